// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing

@testable import pki

@Suite struct ProgressBarTests {
    /// A clock that is set by hand, and a stream that remembers what each write was.
    private final class Stage: Sendable {
        private let time = Mutex(Duration.seconds(1000))
        private let writes = Mutex([String]())

        var written: [String] { writes.withLock { $0 } }

        func wait(_ duration: Duration) { time.withLock { $0 += duration } }

        func bar(total: Int, done: Int = 0, on features: TerminalFeatures) -> ProgressBar {
            ProgressBar(
                "issued",
                total: total,
                done: done,
                on: features,
                now: { self.time.withLock { $0 } },
                write: { bytes in self.writes.withLock { $0.append(String(decoding: bytes, as: UTF8.self)) } }
            )
        }
    }

    private func terminal(_ width: Int) -> TerminalFeatures {
        TerminalFeatures(windowWidth: width, environment: ["TERM": "xterm"])
    }

    @Test func `a terminal shows how far it is, ten times a second at most, and nothing at the end`() {
        let stage = Stage()
        let bar = stage.bar(total: 1000, on: terminal(80))
        for _ in 0..<500 {
            stage.wait(.milliseconds(10))
            bar.advance()
        }
        #expect(stage.written.count == 50)
        #expect(stage.written[0] == "\rissued    1 of 1000 [\(String(repeating: ".", count: 40))]\u{1b}[K")
        #expect(
            stage.written[49]
                == "\rissued  491 of 1000 [\(String(repeating: "#", count: 19))\(String(repeating: ".", count: 21))], 100/s, 5 s left\u{1b}[K"
        )
        bar.finish()
        #expect(stage.written.last == "\r\u{1b}[K")
        #expect(stage.written.count == 51)
    }

    @Test(arguments: [
        TerminalFeatures.none, TerminalFeatures(windowWidth: 80, environment: ["TERM": "dumb"]),
    ])
    func `elsewhere one line is said at the end`(features: TerminalFeatures) {
        let stage = Stage()
        let bar = stage.bar(total: 10_000, on: features)
        for _ in 0..<100 {
            stage.wait(.milliseconds(90))
            bar.advance(by: 100)
        }
        bar.clear()
        #expect(stage.written.isEmpty)
        bar.finish()
        #expect(stage.written == ["pki: issued 10000 of 10000 in 9 s\n"])
    }

    @Test func `what was done before does not count for the rate`() {
        let bar = Stage().bar(total: 1000, done: 500, on: terminal(40))
        #expect(bar.line(done: 600, elapsed: .seconds(10), width: 40) == "issued  600 of 1000, 10/s, 40 s left")
    }

    @Test func `a message can be said in between`() {
        let stage = Stage()
        let bar = stage.bar(total: 10, on: terminal(30))
        bar.clear()
        #expect(stage.written.isEmpty)
        bar.advance()
        bar.clear()
        bar.advance()
        #expect(
            stage.written == [
                "\rissued  1 of 10 [#..........]\u{1b}[K", "\r\u{1b}[K", "\rissued  2 of 10 [##.........]\u{1b}[K",
            ]
        )
    }

    @Test(arguments: 0...90)
    func `no line is longer than the terminal is wide`(width: Int) {
        let bar = Stage().bar(total: 10_000, on: terminal(width))
        for done in [0, 1, 9999, 10_000, 10_001] {
            for elapsed in [0.0, 0.5, 3, 4000, 1e9] {
                #expect(bar.line(done: done, elapsed: .seconds(elapsed), width: width).count <= width)
            }
        }
    }

    @Test func `nothing to do is no division by nothing`() {
        #expect(Stage().bar(total: 0, on: terminal(80)).line(done: 0, elapsed: .zero, width: 80) == "issued 0 of 0")
    }

    @Test(arguments: [
        (0.4, "0 s"), (9, "9 s"), (59.4, "59 s"), (59.6, "1 min"), (60, "1 min"), (200, "3 min 20 s"), (3600, "1 h"),
        (7500, "2 h 5 min"), (1e6, "277 h 46 min"),
    ])
    func `a time is told in the units that matter`(seconds: Double, text: String) {
        #expect(ProgressBar.text(of: .seconds(seconds)) == text)
    }
}
