// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Synchronization

@testable import Delivery

/// A clock that a test drives: who sleeps moves it, and nobody waits.
final class DrivenClock: Sendable {
    private struct State {
        var now = Date(timeIntervalSince1970: 1_767_323_045)
        var sleeps: [Double] = []
        var end = Date.distantFuture
        var atSleep: (@Sendable (Date) -> Void)?
    }

    /// What a sleep throws when the test's time is over.
    struct TimeOver: Error {}

    private let state = Mutex(State())

    var now: Date { state.withLock { $0.now } }

    /// How long each sleep was asked to be.
    var sleeps: [Double] { state.withLock { $0.sleeps } }

    /// Lets time pass while nobody sleeps, as in a suspended machine.
    func advance(_ seconds: Double) { state.withLock { $0.now = $0.now.addingTimeInterval(seconds) } }

    /// Ends the sleeping at some time.
    func stop(after seconds: Double) { state.withLock { $0.end = $0.now.addingTimeInterval(seconds) } }

    /// Is called with the time at each sleep.
    func atSleep(_ action: @escaping @Sendable (Date) -> Void) { state.withLock { $0.atSleep = action } }

    func sleep(_ duration: Duration) throws {
        let seconds = duration / .seconds(1)
        let action = try state.withLock { state in
            state.sleeps.append(seconds)
            state.now = state.now.addingTimeInterval(seconds)
            if state.now > state.end { throw TimeOver() }
            return state.atSleep
        }
        action?(now)
    }

    func dependencies(random: Double = 0.5) -> CredentialRefresher.Dependencies {
        CredentialRefresher.Dependencies(now: { self.now }, sleep: { try self.sleep($0) }, random: { random })
    }
}

/// A service that a test makes fail.
final class ScriptedService: Sendable {
    struct Failure: Error {}

    private struct State {
        var isFailing = false
        var lifetime = 3600.0
        var calls: [Date] = []
        var hasChanged = false
        var atCall: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())
    private let clock: DrivenClock

    init(_ clock: DrivenClock) { self.clock = clock }

    /// When it was asked.
    var calls: [Date] { state.withLock { $0.calls } }

    func fail(_ isFailing: Bool) { state.withLock { $0.isFailing = isFailing } }
    func setLifetime(_ seconds: Double) { state.withLock { $0.lifetime = seconds } }
    func change() { state.withLock { $0.hasChanged = true } }
    func atCall(_ action: @escaping @Sendable () -> Void) { state.withLock { $0.atCall = action } }

    var source: CredentialSource {
        CredentialSource(
            obtain: {
                let now = self.clock.now
                let (count, isFailing, lifetime, action) = self.state.withLock { state in
                    state.calls.append(now)
                    return (state.calls.count, state.isFailing, state.lifetime, state.atCall)
                }
                action?()
                if isFailing { throw Failure() }
                var credentials = Credentials.example(issued: now, lifetime: lifetime)
                credentials.accessKeyID = "ASIA\(count)"
                return credentials
            },
            hasChanged: {
                self.state.withLock { state in
                    defer { state.hasChanged = false }
                    return state.hasChanged
                }
            },
            certificateExpiration: { self.clock.now.addingTimeInterval(86_400) }
        )
    }
}
