// SPDX-License-Identifier: Apache-2.0

import Certificates
import Synchronization
import SystemSupport

/// The progress of long work: a line that is redrawn on a terminal and removed at the end, or one line at the end elsewhere.
///
/// Any number of threads may report to one.
final class ProgressBar: Sendable {
    private struct State {
        var done: Int
        var drawn: Duration?
    }

    private static let interval = Duration.milliseconds(100)
    private static let barWidths = 10...40

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
    ///   - done: How many were done by an earlier run; they do not count for the rate.
    ///   - features: What the stream can show.
    ///   - now: A monotonic clock.
    ///   - write: Writes to the stream.
    init(
        _ verb: String,
        total: Int,
        done: Int = 0,
        on features: TerminalFeatures = TerminalFeatures(of: StandardStream.error),
        now: @escaping @Sendable () -> Duration = { [start = ContinuousClock.now] in ContinuousClock.now - start },
        write: @escaping @Sendable ([UInt8]) -> Void = { _ = writeAll($0, to: StandardStream.error) }
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

    /// Counts what was done since the last call, and shows it ten times a second at most.
    func advance(by count: Int = 1) {
        state.withLock { state in
            state.done += count
            guard features.canRedraw, let width = features.width else { return }
            let time = now()
            if let drawn = state.drawn, time - drawn < Self.interval { return }
            state.drawn = time
            write(Array("\r\(line(done: state.done, elapsed: time - start, width: width - 1))\u{1b}[K".utf8))
        }
    }

    /// Removes the line from the terminal until the next ``advance(by:)``, so that something else can be printed.
    func clear() {
        state.withLock { state in
            if state.drawn != nil { write(Array("\r\u{1b}[K".utf8)) }
            state.drawn = nil
        }
    }

    /// Removes the line from a terminal; elsewhere prints how many this run has done, and in which time.
    func finish() {
        clear()
        if features.canRedraw || Console.beingQuiet { return }
        let done = state.withLock(\.done)
        let time = Self.text(of: now() - start)
        write(Array("pki: \(verb) \(done - doneBefore) of \(total - doneBefore) in \(time)\n".utf8))
    }

    /// The line in ASCII, with at most `width` characters: the count, and a bar, the rate and the time left where they fit.
    func line(done: Int, elapsed: Duration, width: Int) -> String {
        let digits = String(done)
        let blanks = String(repeating: " ", count: max(0, String(total).count - digits.count))
        let count = "\(verb) \(blanks)\(digits) of \(total)"
        let end = ends(done: done, seconds: elapsed / .seconds(1)).first { count.count + $0.count <= width } ?? ""
        let room = min(width - count.count - end.count - 3, Self.barWidths.upperBound)
        guard room >= Self.barWidths.lowerBound, total > 0 else { return String((count + end).prefix(max(0, width))) }
        let filled = min(room, max(0, room * done / total))
        return
            "\(count) [\(String(repeating: "#", count: filled))\(String(repeating: ".", count: room - filled))]\(end)"
    }

    /// The rate and the time left, the longest text first; neither is known in the first second.
    private func ends(done: Int, seconds: Double) -> [String] {
        let perSecond = seconds < 1 ? 0 : Double(done - doneBefore) / seconds
        // At a lower rate the time left is only a guess.
        guard perSecond > 0.05 else { return [""] }
        let rate = perSecond >= 10 ? "\(Int(perSecond.rounded()))" : "\((perSecond * 10).rounded() / 10)"
        let timeLeft = Self.text(of: .seconds(Double(max(0, total - done)) / perSecond))
        return [", \(rate)/s, \(timeLeft) left", ", \(timeLeft) left", ""]
    }

    /// A duration in its two largest units: `9 s`, `3 min 20 s`, `2 h 5 min`.
    static func text(of time: Duration) -> String {
        let seconds = Int((time / .seconds(1)).rounded())
        if seconds < 60 { return "\(max(0, seconds)) s" }
        let (large, small) = seconds < 3600 ? (seconds / 60, seconds % 60) : (seconds / 3600, seconds / 60 % 60)
        let units = seconds < 3600 ? ("min", "s") : ("h", "min")
        return "\(large) \(units.0)" + (small == 0 ? "" : " \(small) \(units.1)")
    }
}
