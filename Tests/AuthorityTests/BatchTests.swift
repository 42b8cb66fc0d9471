// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Synchronization
import Testing

@testable import Authority

@Suite struct BatchTests {
    /// A clock that goes ahead by so many seconds whenever it is read.
    private final class RunningClock: Sendable {
        private let seconds: Double
        private let date = Mutex(Date(timeIntervalSince1970: 1_700_000_000))

        init(seconds: Double) { self.seconds = seconds }

        var now: Date {
            date.withLock { date in
                date += seconds
                return date
            }
        }
    }

    /// Issues to ten hosts, and returns the outcome and what was done after every change.
    private func issue(
        _ clock: RunningClock, isStopped: @Sendable () -> Bool = { false }
    ) throws -> (outcome: BatchOutcome, progress: [Int]) {
        let directory = try TemporaryDirectory()
        var generator = SystemRandomNumberGenerator()
        let root = RootRequest(template: try BuiltInTemplate.root.template)
        _ = try CertificateAuthority.create(in: directory.path, root, now: clock.now, using: &generator)
        let authority = try CertificateAuthority(openingIn: directory.path, now: clock.now)
        let requests = try (1...10).map {
            var request = ClientRequest(template: try BuiltInTemplate.client.template, name: "web-\($0)")
            request.nameIsCommonName = true
            return request
        }
        var progress: [Int] = []
        let outcome = try authority.issue(
            requests, jobs: 1, now: { clock.now }, using: &generator, isStopped: isStopped
        ) { progress.append($0) }
        return (outcome, progress)
    }

    @Test func `B10: what takes long is saved in between`() throws {
        let slow = try issue(RunningClock(seconds: 3))
        #expect(slow.progress == Array(0...10))
        #expect(slow.outcome.issued.count == 10)
        #expect(try issue(RunningClock(seconds: 0.01)).progress == [0, 10])
    }

    @Test func `B10: a batch that is stopped keeps what is done`() throws {
        let (outcome, progress) = try issue(RunningClock(seconds: 0.01)) { true }
        #expect(outcome.wasStopped)
        #expect(outcome.issued == ["web-1"])
        #expect(progress == [0, 1])
        #expect(try !issue(RunningClock(seconds: 0.01)).outcome.wasStopped)
    }
}
