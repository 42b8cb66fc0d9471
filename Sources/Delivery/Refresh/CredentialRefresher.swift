// SPDX-License-Identifier: Apache-2.0

internal import Dispatch
package import struct FoundationEssentials.Date
internal import Synchronization
import SystemSupport

/// Keeps the credentials of one role fresh in memory.
///
/// ``run()`` replaces them in the background, one request at a time. After a failure the old credentials stay until they
/// expire, and the request is repeated with growing waits. Times are compared by the wall clock every few seconds, so that a
/// machine which slept notices.
package final class CredentialRefresher: Sendable {
    /// The clock, sleep function and random source; tests replace them.
    package struct Dependencies: Sendable {
        package var now: @Sendable () -> Date
        /// What it throws ends ``CredentialRefresher/run()``.
        package var sleep: @Sendable (Duration) async throws -> Void
        /// Returns a number from 0 up to but not including 1.
        package var random: @Sendable () -> Double

        package init(
            now: @escaping @Sendable () -> Date, sleep: @escaping @Sendable (Duration) async throws -> Void,
            random: @escaping @Sendable () -> Double
        ) {
            self.now = now
            self.sleep = sleep
            self.random = random
        }
    }

    package enum Event: Sendable {
        case refreshed(Credentials)
        /// With the seconds until the next attempt.
        case failed(any Error, retryIn: Double)
        /// The certificate or key has changed, so new credentials are requested.
        case sourceChanged
    }

    package struct Status: Sendable {
        /// Credentials that have not expired.
        package var credentials: Credentials?
        /// By the refresher's own clock; 0 without credentials.
        package var secondsLeft: Double
        /// Why the last attempt failed; `nil` if it succeeded or there was none yet.
        package var failure: String?
        /// Whether an attempt is under way, or none was made yet.
        package var isPending: Bool
        package var refreshes: Int
        package var failures: Int
        /// `nil` if it is not known.
        package var certificateExpiration: Date?
    }

    /// The profile.
    package let name: String

    private struct State {
        var source: CredentialSource
        var document: CredentialDocument?
        var failure: String?
        var failuresInARow = 0
        var refreshes = 0
        var failures = 0
        var lastAttempt: Date?
        var nextAttempt: Date?
        var isRefreshing = false
        var waiters: [Waiter] = []
    }

    private struct Waiter {
        var since: Date
        var action: @Sendable () -> Void
    }

    private let state: Mutex<State>
    private let schedule: RefreshSchedule
    private let dependencies: Dependencies
    private let observer: @Sendable (Event) -> Void

    /// The longest sleep in seconds: how late a suspended machine, a changed clock or a changed file is noticed.
    static let longestSleep = 3.0

    /// - Parameter observer: Called on any thread.
    package init(
        name: String,
        source: CredentialSource,
        schedule: RefreshSchedule = RefreshSchedule(),
        dependencies: Dependencies,
        observer: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        self.name = name
        self.schedule = schedule
        self.dependencies = dependencies
        self.observer = observer
        state = Mutex(State(source: source))
    }

    package var status: Status {
        let now = dependencies.now()
        let (status, source) = state.withLock { state in
            let credentials = state.document.flatMap { $0.credentials.expiration > now ? $0.credentials : nil }
            let status = Status(
                credentials: credentials, secondsLeft: credentials?.expiration.timeIntervalSince(now) ?? 0,
                failure: state.failure, isPending: state.isRefreshing || state.lastAttempt == nil,
                refreshes: state.refreshes, failures: state.failures)
            return (status, state.source)
        }
        var complete = status
        complete.certificateExpiration = source.certificateExpiration()
        return complete
    }

    package var credentials: Credentials? { document?.credentials }

    /// The credentials, unless they have expired.
    var document: CredentialDocument? {
        let now = dependencies.now()
        return state.withLock { state in state.document.flatMap { $0.credentials.expiration > now ? $0 : nil } }
    }

    /// Uses another source, as soon as possible. The old credentials stay until it has returned new ones.
    package func replace(source: CredentialSource) {
        state.withLock { state in
            state.source = source
            state.nextAttempt = nil
        }
    }

    /// Calls an action, which must not block, after the current or first attempt; at once if there is none. It is called once, on
    /// any thread.
    package func whenSettled(_ action: @escaping @Sendable () -> Void) {
        let now = dependencies.now()
        let isWaiting = state.withLock { state in
            guard state.isRefreshing || state.lastAttempt == nil else { return false }
            state.waiters.append(Waiter(since: now, action: action))
            return true
        }
        if !isWaiting { action() }
    }

    /// Calls the actions that have waited longer than this for an attempt.
    package func releaseWaiters(after seconds: Double) {
        let now = dependencies.now()
        let actions = state.withLock { state in
            let isPatient = { (waiter: Waiter) in abs(now.timeIntervalSince(waiter.since)) < seconds }
            defer { state.waiters.removeAll { !isPatient($0) } }
            return state.waiters.filter { !isPatient($0) }.map(\.action)
        }
        for action in actions { action() }
    }

    /// Replaces the credentials whenever they are due, until the sleep throws because the task is cancelled.
    package func run() async throws {
        while true {
            if sourceHasChanged() { observer(.sourceChanged) }
            if isDue { await refreshOnThread() }
            try await dependencies.sleep(.seconds(timeToNextStep))
        }
    }

    /// Replaces the credentials now, unless that is under way. Blocks.
    package func refresh() throws {
        let source: CredentialSource? = state.withLock { state in
            guard !state.isRefreshing else { return nil }
            state.isRefreshing = true
            state.nextAttempt = .distantFuture
            return state.source
        }
        guard let source else { return }
        let outcome = Result { try source.obtain() }
        let now = dependencies.now()
        let delay = settle(outcome, at: now)
        switch outcome {
        case .success(let credentials): observer(.refreshed(credentials))
        case .failure(let error):
            observer(.failed(error, retryIn: delay))
            throw error
        }
    }

    /// Records the outcome, and returns the seconds until the next attempt.
    private func settle(_ outcome: Result<Credentials, any Error>, at now: Date) -> Double {
        let random = dependencies.random()
        let (delay, waiters) = state.withLock { state in
            state.isRefreshing = false
            state.lastAttempt = now
            let next: Date
            switch outcome {
            case .success(let credentials):
                state.document = CredentialDocument(credentials)
                state.failure = nil
                state.failuresInARow = 0
                state.refreshes += 1
                next = schedule.refreshDate(of: credentials)
            case .failure(let error):
                state.failure = (error as? any ExplainedError)?.message ?? "\(error)"
                state.failuresInARow += 1
                state.failures += 1
                next = now.addingTimeInterval(schedule.delay(after: state.failuresInARow, random: random))
            }
            // Another attempt may have been requested meanwhile.
            if state.nextAttempt != nil { state.nextAttempt = next }
            defer { state.waiters = [] }
            return (next.timeIntervalSince(now), state.waiters)
        }
        for waiter in waiters { waiter.action() }
        return delay
    }

    /// Whether an attempt is due; also after the clock was set back, because the plan is then meaningless.
    private var isDue: Bool {
        let now = dependencies.now()
        return state.withLock { state in
            guard !state.isRefreshing else { return false }
            guard let next = state.nextAttempt, let last = state.lastAttempt else { return true }
            return now >= next || now < last.addingTimeInterval(-Self.longestSleep)
        }
    }

    private var timeToNextStep: Double {
        let now = dependencies.now()
        let next = state.withLock { $0.nextAttempt } ?? now
        return min(max(next.timeIntervalSince(now), 0.01), Self.longestSleep)
    }

    private func sourceHasChanged() -> Bool {
        guard state.withLock({ $0.source }).hasChanged() else { return false }
        state.withLock { $0.nextAttempt = nil }
        return true
    }

    /// Refreshes on a thread that may block. A cancelled task does not wait for it, so that a service which does not answer
    /// delays no exit.
    private func refreshOnThread() async {
        let end = Mutex<(isOver: Bool, continuation: CheckedContinuation<Void, Never>?)>((false, nil))
        let finish = { @Sendable in
            let waiting = end.withLock { end in
                defer { end = (true, nil) }
                return end.continuation
            }
            waiting?.resume()
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = end.withLock { end in
                    if !end.isOver { end.continuation = continuation }
                    return end.isOver
                }
                guard !isOver else { return continuation.resume() }
                DispatchQueue.global().async {
                    // The observer got the error, and the next attempt is planned.
                    try? self.refresh()
                    finish()
                }
            }
        } onCancel: {
            finish()
        }
    }
}

/// How credentials are obtained.
package struct CredentialSource: Sendable {
    /// Obtains credentials. It may block, and is called by one thread at a time.
    package var obtain: @Sendable () throws -> Credentials

    /// Whether the certificate or key has changed since the last call. Called every few seconds; must not block.
    package var hasChanged: @Sendable () -> Bool

    /// When the certificate expires; `nil` if that is not known.
    package var certificateExpiration: @Sendable () -> Date?

    package init(
        obtain: @escaping @Sendable () throws -> Credentials,
        hasChanged: @escaping @Sendable () -> Bool = { false },
        certificateExpiration: @escaping @Sendable () -> Date? = { nil }
    ) {
        self.obtain = obtain
        self.hasChanged = hasChanged
        self.certificateExpiration = certificateExpiration
    }
}

/// When credentials are replaced, and until when they are used. All times are in seconds.
package struct RefreshSchedule: Hashable, Sendable {
    /// How long before expiration credentials are replaced in the background, unless their half-life is later. SDKs ask again
    /// when less than 15 minutes are left.
    package var backgroundMargin = 25.0 * 60

    /// How long credentials in a cache must still last to be used, unless half their lifetime is shorter.
    package var cacheMargin = 20.0 * 60

    /// The longest wait after the first failure; it doubles with each further one.
    package var firstDelay = 1.0

    /// The longest wait after any failure.
    package var longestDelay = 60.0

    /// The shortest time between two successful attempts.
    package var shortestInterval = 1.0

    /// The longest possible lifetime: 12 hours, and 5 minutes for clocks that differ. Credentials that claim more are invalid.
    package static let longestLifetime = 12.0 * 3600 + 300

    package init() {}

    /// When credentials are replaced: 25 minutes before expiration, or at their half-life if that is later.
    package func refreshDate(of credentials: Credentials) -> Date {
        let halfLife = credentials.issued.addingTimeInterval(credentials.lifetime / 2)
        let margin = credentials.expiration.addingTimeInterval(-backgroundMargin)
        return max(margin, halfLife, credentials.issued.addingTimeInterval(shortestInterval))
    }

    /// Whether credentials have not expired, and do not claim to last longer than possible.
    package func isValid(_ credentials: Credentials, at date: Date) -> Bool {
        let left = credentials.expiration.timeIntervalSince(date)
        return left > 0 && left <= Self.longestLifetime
    }

    /// Whether cached credentials may be used: with 20 minutes left, or half their lifetime if that is less.
    package func isFresh(_ credentials: Credentials, at date: Date) -> Bool {
        let left = credentials.expiration.timeIntervalSince(date)
        return isValid(credentials, at: date) && left >= min(cacheMargin, credentials.lifetime / 2)
    }

    /// How long to wait after this many failures in a row: a random time between half of a limit that doubles and all of it, so
    /// that machines which failed together do not retry together.
    ///
    /// - Parameter random: From 0 up to but not including 1.
    package func delay(after failures: Int, random: Double) -> Double {
        var limit = firstDelay
        for _ in 1..<max(1, min(failures, 64)) where limit < longestDelay { limit *= 2 }
        return min(limit, longestDelay) * (0.5 + random / 2)
    }
}

extension Credentials {
    /// The lifetime in seconds; zero for credentials that had expired when they came.
    var lifetime: Double { max(0, expiration.timeIntervalSince(issued)) }
}
