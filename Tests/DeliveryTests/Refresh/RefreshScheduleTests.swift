// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Testing

@testable import Delivery

@Suite struct RefreshScheduleTests {
    private let schedule = RefreshSchedule()

    /// Lifetime, and after how many seconds of it the credentials are due.
    @Test(arguments: [
        (43_200.0, 41_700.0), (7200.0, 5700.0), (3600.0, 2100.0), (3000.0, 1500.0), (2400.0, 1200.0), (900.0, 450.0),
        (10.0, 5.0), (1.0, 1.0), (0.0, 1.0),
    ])
    func `credentials are due with 25 minutes left, or at their half-life when that is later`(
        lifetime: Double, due: Double
    ) {
        let credentials = Credentials.example(lifetime: lifetime)
        #expect(schedule.refreshDate(of: credentials) == credentials.issued.addingTimeInterval(due))
    }

    @Test func `credentials that had ended when they came are due a second later, not at once`() {
        let credentials = Credentials.example(lifetime: -500)
        #expect(schedule.refreshDate(of: credentials) == credentials.issued.addingTimeInterval(1))
    }

    /// Lifetime, and the least that must be left.
    @Test(arguments: [(43_200.0, 1200.0), (3600.0, 1200.0), (2400.0, 1200.0), (1800.0, 900.0), (900.0, 450.0)])
    func `a cache hands out what lasts 20 minutes yet, or half of a shorter lifetime`(lifetime: Double, left: Double) {
        let credentials = Credentials.example(lifetime: lifetime)
        #expect(schedule.isFresh(credentials, at: credentials.expiration.addingTimeInterval(-left)))
        #expect(!schedule.isFresh(credentials, at: credentials.expiration.addingTimeInterval(-left + 1)))
    }

    @Test(arguments: [0.0, 1.0, -1.0])
    func `what has expired is not fresh, however short it lived`(lifetime: Double) {
        let credentials = Credentials.example(lifetime: lifetime)
        #expect(!schedule.isFresh(credentials, at: credentials.expiration))
    }

    @Test(arguments: [
        (1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (8, 60.0), (1000, 60.0), (.max, 60.0), (0, 1.0),
    ])
    func `waits double up to a minute, and half of each is chance`(failures: Int, limit: Double) {
        #expect(schedule.delay(after: failures, random: 0) == limit / 2)
        #expect(schedule.delay(after: failures, random: 0.5) == limit * 0.75)
        #expect(schedule.delay(after: failures, random: 0.999_999) < limit)
    }
}
