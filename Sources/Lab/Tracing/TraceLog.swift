// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The last traces, and whoever wants to hear of the next.
final class TraceLog: Sendable {
    /// What subscribers are told.
    enum News: Sendable {
        /// A request was answered.
        case trace(Trace)
        /// Something was set up, changed or removed.
        case change
    }

    private struct State {
        var traces: RingBuffer<Trace>
        var lastNumber = 0
        var subscribers: [Int: @Sendable (News) -> Void] = [:]
        var lastSubscriber = 0
    }

    private let state: Mutex<State>

    /// Makes a log.
    ///
    /// - Parameter capacity: How many traces are kept, one or more.
    init(capacity: Int) { state = Mutex(State(traces: RingBuffer(capacity: capacity))) }

    /// Numbers a trace, keeps it, and tells the subscribers.
    ///
    /// - Parameter trace: The trace.
    /// - Returns: The same with its number.
    @discardableResult
    func append(_ trace: Trace) -> Trace {
        var trace = trace
        let subscribers = state.withLock { state in
            state.lastNumber += 1
            trace.number = state.lastNumber
            state.traces.append(trace)
            return Array(state.subscribers.values)
        }
        for subscriber in subscribers { subscriber(.trace(trace)) }
        return trace
    }

    /// Tells the subscribers that something was changed.
    func noteChange() {
        for subscriber in state.withLock({ Array($0.subscribers.values) }) { subscriber(.change) }
    }

    /// The traces that are kept, oldest first.
    var traces: [Trace] { state.withLock { $0.traces.elements } }

    /// The traces with a higher number, oldest first.
    func traces(after number: Int) -> [Trace] { traces.filter { $0.number > number } }

    /// Has a subscriber told of all that comes.
    ///
    /// - Parameter subscriber: Is told on the thread that answers a request; it must not block.
    /// - Returns: By what to end it.
    func subscribe(_ subscriber: @escaping @Sendable (News) -> Void) -> Int {
        state.withLock { state in
            state.lastSubscriber += 1
            state.subscribers[state.lastSubscriber] = subscriber
            return state.lastSubscriber
        }
    }

    /// Ends a subscription.
    func unsubscribe(_ subscription: Int) {
        state.withLock { _ = $0.subscribers.removeValue(forKey: subscription) }
    }
}
