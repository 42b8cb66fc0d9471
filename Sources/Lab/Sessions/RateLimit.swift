// SPDX-License-Identifier: Apache-2.0

import HTTPService

import Synchronization

/// Lets so many requests through in a second, and as many at once.
final class RateLimit: Sendable {
    private struct State {
        var tokens: Double
        var last: ContinuousClock.Instant?
    }

    private let perSecond: Double
    private let state: Mutex<State>

    /// Makes a limit.
    ///
    /// - Parameter perSecond: How many requests are let through in a second, one or more.
    init(perSecond: Int) {
        self.perSecond = Double(max(1, perSecond))
        state = Mutex(State(tokens: self.perSecond))
    }

    /// Lets a request through, or refuses it.
    ///
    /// - Parameter moment: When it arrived.
    /// - Returns: What was found, for the trace.
    /// - Throws: ``ServiceRefusal`` with `ThrottlingException`.
    func check(at moment: ContinuousClock.Instant) throws(ServiceRefusal) -> String {
        let isGranted = state.withLock { state in
            if let last = state.last {
                let seconds = last.duration(to: moment) / .seconds(1)
                state.tokens = min(perSecond, state.tokens + max(0, seconds) * perSecond)
            }
            state.last = moment
            guard state.tokens >= 1 else { return false }
            state.tokens -= 1
            return true
        }
        guard isGranted else {
            throw ServiceRefusal(
                code: .throttling,
                message: "Rate exceeded",
                detail: "more than \(Int(perSecond)) requests in a second",
                hint: "try again after a pause that grows and varies, or keep credentials instead of asking again"
            )
        }
        return "at most \(Int(perSecond)) in a second"
    }
}
