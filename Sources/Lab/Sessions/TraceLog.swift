// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The last traces, oldest first.
final class TraceLog: Sendable {
    private struct State {
        var traces: [SessionTrace] = []
        var next = 0
    }

    private let state = Mutex(State())
    private let capacity: Int

    /// Makes a log.
    ///
    /// - Parameter capacity: How many traces are kept, one or more.
    init(capacity: Int) { self.capacity = max(1, capacity) }

    /// Keeps a trace, in the place of the oldest when there is no other.
    func append(_ trace: SessionTrace) {
        state.withLock { state in
            if state.traces.count < capacity {
                state.traces.append(trace)
            } else {
                state.traces[state.next] = trace
                state.next = (state.next + 1) % capacity
            }
        }
    }

    /// The traces, oldest first.
    var traces: [SessionTrace] {
        state.withLock { Array($0.traces[$0.next...] + $0.traces[..<$0.next]) }
    }
}
