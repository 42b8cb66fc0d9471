// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import Synchronization
import SystemSupport

/// How far a long piece of work has got: a line on a terminal that is drawn again and again and is gone at the end, or one line
/// at the end where there is no terminal.
///
/// Any number of threads may report to one.
final class ProgressBar: Sendable {
    private struct State {
        var done: Int
        var drawn: Duration?
    }

    /// The line is drawn ten times a second at most.
    private static let interval = Duration.milliseconds(100)

    private let verb: String
    private let total: Int
    private let doneBefore: Int
    private let features: TerminalFeatures
    private let start: Duration
    private let now: @Sendable () -> Duration
    private let write: @Sendable ([UInt8]) -> Void
    private let state: Mutex<State>

    /// Starts to show progress.
    ///
    /// - Parameters:
    ///   - verb: What is done to each: `issued`.
    ///   - total: How many there are.
    ///   - done: How many were done before, in another run; they do not count for the rate.
    ///   - features: What the stream can show.
    ///   - now: A clock that never goes back.
    ///   - write: Writes to the stream.
    init(
        _ verb: String,
        total: Int,
        done: Int = 0,
        on features: TerminalFeatures = TerminalFeatures(of: STDERR_FILENO),
        now: @escaping @Sendable () -> Duration = ProgressBar.clock(),
        write: @escaping @Sendable ([UInt8]) -> Void = ProgressBar.writeToStandardError
    ) {
        self.verb = verb
        self.total = total
        doneBefore = done
        self.features = features
        self.now = now
        self.write = write
        start = now()
        state = Mutex(State(done: done))
    }

    /// Counts what was done, and shows it when it is time to.
    ///
    /// - Parameter count: How many were done since the last call.
    func advance(by count: Int = 1) {
        state.withLock { state in
            state.done += count
            guard features.canRedraw, let width = features.width else { return }
            let time = now()
            if let drawn = state.drawn, time - drawn < Self.interval { return }
            state.drawn = time
            let line = ProgressLine(
                verb: verb,
                done: state.done,
                doneBefore: doneBefore,
                total: total,
                elapsed: time - start
            )
            write(Array("\r\(line.text(within: width - 1))\u{1b}[K".utf8))
        }
    }

    /// Takes the line from the terminal, so that something else can be said; it is drawn again with the next advance.
    func clear() {
        state.withLock { state in
            if state.drawn != nil { write(Array("\r\u{1b}[K".utf8)) }
            state.drawn = nil
        }
    }

    /// Ends the showing: the line is gone from a terminal; elsewhere one line says what was done, and in which time. What was
    /// done in another run does not count.
    func finish() {
        clear()
        if features.canRedraw { return }
        let line = state.withLock { state in
            "pki: \(verb) \(state.done - doneBefore) of \(total - doneBefore) in \(ProgressLine.text(of: now() - start))\n"
        }
        write(Array(line.utf8))
    }

    private static func clock() -> @Sendable () -> Duration {
        let start = ContinuousClock.now
        return { ContinuousClock.now - start }
    }

    private static func writeToStandardError(_ bytes: [UInt8]) {
        _ = writeAll(bytes, to: STDERR_FILENO)
    }
}
