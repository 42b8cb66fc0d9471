// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing

@testable import EnrolmentService

@Suite struct ThrottleTests {
    @Test func `a burst, then a steady rate`() {
        let throttle = Throttle(burst: 3, interval: .seconds(2))
        let start = ContinuousClock.now
        #expect((0..<4).map { _ in throttle.count("a", at: start) } == [nil, nil, nil, .seconds(2)])
        #expect(throttle.count("b", at: start) == nil)
        #expect(throttle.count("a", at: start + .seconds(2)) == nil)
        #expect(throttle.count("a", at: start + .seconds(2)) == .seconds(2))
    }

    @Test func `keys at rest are forgotten`() {
        let throttle = Throttle(burst: 1, interval: .seconds(1), largestCount: 2)
        let start = ContinuousClock.now
        #expect(throttle.count("a", at: start) == nil)
        #expect(throttle.count("b", at: start + .seconds(2)) == nil)
        #expect(throttle.count("c", at: start + .seconds(2)) == nil)
        #expect(throttle.count("b", at: start + .seconds(2)) != nil)
    }

    @Test func `many messages at once are cut short`() {
        let lines = Mutex<[String]>([])
        let log = LimitedReport { line in lines.withLock { $0.append(line) } }
        for number in 0..<1_000 { log.report("\(number)") }
        #expect(lines.withLock(\.self) == (0..<20).map(String.init))
    }
}
