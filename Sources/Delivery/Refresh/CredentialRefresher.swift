// SPDX-License-Identifier: Apache-2.0

internal import Dispatch
package import FoundationEssentials
internal import Synchronization
import SystemSupport

/// Keeps the credentials of one role fresh in memory.
///
/// ``run()`` replaces them in the background. One request is under way at a time, however many ask. A failure leaves the
/// credentials that are there in place until they expire, and is tried again, with growing waits, for as long as it takes.
/// All times are compared by the wall clock, in steps of a few seconds, so that a machine which slept notices.
package final class CredentialRefresher: Sendable {
    /// What a keeper takes from the world around it. A test drives each.
    package struct Dependencies: Sendable {
        /// The time.
        package var now: @Sendable () -> Date
        /// Waits. What it throws ends ``CredentialRefresher/run()``.
        package var sleep: @Sendable (Duration) async throws -> Void
        /// Draws a number from 0 up to but not including 1.
        package var random: @Sendable () -> Double

        /// Makes dependencies.
        ///
        /// - Parameters:
        ///   - now: The time.
        ///   - sleep: Waits; what it throws ends the keeper's work.
        ///   - random: Draws a number from 0 up to but not including 1.
        package init(
            now: @escaping @Sendable () -> Date,
            sleep: @escaping @Sendable (Duration) async throws -> Void,
            random: @escaping @Sendable () -> Double
        ) {
            self.now = now
            self.sleep = sleep
            self.random = random
        }
    }

    /// What happened to a keeper.
    package enum Event: Sendable {
        /// There are new credentials.
        case refreshed(Credentials)
        /// There are none. The next attempt is so many seconds away.
        case failed(any Error, retryIn: Double)
        /// What the credentials are obtained with has changed: new ones are asked for.
        case sourceChanged
    }

    /// How it stands with a keeper at one moment.
    package struct Status: Sendable {
        /// Credentials that have not expired.
        package var credentials: Credentials?
        /// How many seconds they are good for yet, by the keeper's own clock; 0 when there are none.
        package var secondsLeft: Double
        /// Why the last attempt failed; nothing when it succeeded or there was none yet.
        package var failure: String?
        /// Whether an attempt is under way, or none was made yet.
        package var isPending: Bool
        /// How many attempts succeeded.
        package var refreshes: Int
        /// How many attempts failed.
        package var failures: Int
        /// When the certificate behind the credentials ends; nothing when that is not known.
        package var certificateExpiration: Date?
    }

    /// What the keeper's credentials are called: the profile.
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

    /// The longest sleep at once: how late a suspended machine, a changed clock or a changed file may be noticed.
    static let longestSleep = 3.0

    /// Makes a keeper, which has nothing yet.
    ///
    /// - Parameters:
    ///   - name: What the credentials are called.
    ///   - source: Where they come from.
    ///   - schedule: When they are replaced.
    ///   - dependencies: Clock, sleep and chance.
    ///   - observer: Told what happens, on any thread.
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

    /// How it stands.
    package var status: Status {
        let now = dependencies.now()
        let (status, source) = state.withLock { state in
            let credentials = state.document.flatMap { $0.credentials.expiration > now ? $0.credentials : nil }
            let status = Status(
                credentials: credentials,
                secondsLeft: credentials?.expiration.timeIntervalSince(now) ?? 0,
                failure: state.failure,
                isPending: state.isRefreshing || state.lastAttempt == nil,
                refreshes: state.refreshes,
                failures: state.failures
            )
            return (status, state.source)
        }
        var complete = status
        complete.certificateExpiration = source.certificateExpiration()
        return complete
    }

    /// The credentials, unless they have expired.
    package var credentials: Credentials? { document?.credentials }

    /// The credentials as they are served, unless they have expired.
    var document: CredentialDocument? {
        let now = dependencies.now()
        return state.withLock { state in state.document.flatMap { $0.credentials.expiration > now ? $0 : nil } }
    }

    /// Takes another source and asks it for credentials as soon as possible. Those that are there stay until it gave some.
    ///
    /// - Parameter source: Where credentials come from now on.
    package func replace(source: CredentialSource) {
        state.withLock { state in
            state.source = source
            state.nextAttempt = nil
        }
    }

    /// Calls an action when the attempt that is under way, or the first one, is over; at once when there is none.
    ///
    /// - Parameter action: Is called once, from anywhere, and must not block.
    package func whenSettled(_ action: @escaping @Sendable () -> Void) {
        let now = dependencies.now()
        let isWaiting = state.withLock { state in
            guard state.isRefreshing || state.lastAttempt == nil else { return false }
            state.waiters.append(Waiter(since: now, action: action))
            return true
        }
        if !isWaiting { action() }
    }

    /// Lets those go that have waited too long for an attempt to end.
    ///
    /// - Parameter seconds: How long is too long.
    package func releaseWaiters(after seconds: Double) {
        let now = dependencies.now()
        let actions = state.withLock { state in
            let isPatient = { (waiter: Waiter) in abs(now.timeIntervalSince(waiter.since)) < seconds }
            defer { state.waiters.removeAll { !isPatient($0) } }
            return state.waiters.filter { !isPatient($0) }.map(\.action)
        }
        for action in actions { action() }
    }

    /// Replaces the credentials whenever they are due, until the dependencies' sleep throws, as it does when the task is
    /// cancelled.
    ///
    /// - Throws: What the sleep throws.
    package func run() async throws {
        while true {
            if sourceHasChanged() { observer(.sourceChanged) }
            if isDue { await refreshOnThread() }
            try await dependencies.sleep(.seconds(timeToNextStep))
        }
    }

    /// Replaces the credentials now, unless that is under way already. It blocks.
    ///
    /// - Throws: What the source throws.
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

    /// Takes in what an attempt led to.
    ///
    /// - Returns: How many seconds the next attempt is away.
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
            // Somebody may have asked for another attempt meanwhile.
            if state.nextAttempt != nil { state.nextAttempt = next }
            defer { state.waiters = [] }
            return (next.timeIntervalSince(now), state.waiters)
        }
        for waiter in waiters { waiter.action() }
        return delay
    }

    /// Whether an attempt is due. A clock that was put back makes one due, too: nobody knows what was planned by it.
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

    /// Refreshes on a thread that may block. A cancelled task does not wait for it: a service that does not answer holds
    /// up no end.
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
                    // The observer was told, and the next attempt is planned.
                    try? self.refresh()
                    finish()
                }
            }
        } onCancel: {
            finish()
        }
    }
}
