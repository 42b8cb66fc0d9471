// SPDX-License-Identifier: Apache-2.0

import Authority
import Synchronization

/// Limits how often something may happen for each key: a burst, then a steady rate (the generic cell rate algorithm).
///
/// It remembers a time for each key, and at most a fixed number of keys: if there are more, those that are at rest are
/// forgotten, then all.
package final class Throttle: Sendable {
    private let interval: Duration
    private let tolerance: Duration
    private let largestCount: Int
    private let arrivals = Mutex<[String: ContinuousClock.Instant]>([:])

    /// - Parameters:
    ///   - burst: How many may happen at once.
    ///   - interval: After which time one more may.
    ///   - largestCount: The most keys that are remembered.
    package init(burst: Int, interval: Duration, largestCount: Int = 10_000) {
        self.interval = interval
        tolerance = interval * (burst - 1)
        self.largestCount = largestCount
    }

    /// Counts one event of a key. Returns how long it must wait if there were too many, which are then not counted.
    package func count(_ key: String, at now: ContinuousClock.Instant) -> Duration? {
        arrivals.withLock { arrivals in
            let expected = max(arrivals[key] ?? now, now)
            let wait = now.duration(to: expected) - tolerance
            if wait > .zero { return wait }
            if arrivals[key] == nil, arrivals.count >= largestCount {
                arrivals = arrivals.filter { $0.value > now }
                if arrivals.count >= largestCount { arrivals = [:] }
            }
            arrivals[key] = expected + interval
            return nil
        }
    }
}

/// Passes messages on, a few at once and then one in ten seconds; the next one says how many were left out. A fault of which
/// every request is told must not fill the log.
final class LimitedReport: Sendable {
    private let log: @Sendable (String) -> Void
    private let throttle = Throttle(burst: 20, interval: .seconds(10))
    private let leftOut = Atomic(0)

    init(_ log: @escaping @Sendable (String) -> Void) { self.log = log }

    func report(_ message: String) {
        guard throttle.count("", at: .now) == nil else {
            leftOut.add(1, ordering: .relaxed)
            return
        }
        let count = leftOut.exchange(0, ordering: .relaxed)
        log(count == 0 ? message : "\(message) (\(count) messages before it were left out)")
    }
}

/// What the log is told: faults of the server, and who was refused. Neither fills it, and refusals do not crowd out faults.
struct ServiceLog: Sendable {
    private let faults: LimitedReport
    private let refusals: LimitedReport

    init(_ log: @escaping @Sendable (String) -> Void) { (faults, refusals) = (LimitedReport(log), LimitedReport(log)) }

    func report(_ message: String) { faults.report(message) }

    /// Tells why a client got nothing. Who proved nothing yet has only asked for what is needed.
    func report(_ error: any Error, fault: String?, reason: String, protocol name: String, from address: String) {
        if let fault {
            faults.report("\(name): \(fault)")
        } else if case .replaced(let locked) = error as? EnrolmentRefusal {
            faults.report("\(locked) is locked: its replaced certificate tried to renew, \(name) from \(address)")
        } else if error as? EnrolmentRefusal != .noProof {
            refusals.report("\(name) from \(address): refused, \(reason)")
        }
    }
}
