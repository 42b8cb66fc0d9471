// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Remembers the results of work that gives the same result again, up to a number of them.
///
/// When it is full the older half goes. A client that fills it with rubbish costs the others time, never memory.
final class BoundedCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct State {
        var recent: [Key: Value] = [:]
        var older: [Key: Value] = [:]
    }

    private let state = Mutex(State())
    private let capacity: Int

    /// Makes a cache.
    ///
    /// - Parameter capacity: The most values that are kept.
    init(capacity: Int) { self.capacity = max(2, capacity) }

    /// Finds a value, or makes it and keeps it.
    ///
    /// - Parameters:
    ///   - key: What the value belongs to.
    ///   - make: Makes the value; what it throws is not kept.
    /// - Returns: The value.
    func value(for key: Key, orMake make: () throws -> Value) rethrows -> Value {
        if let value = find(key) { return value }
        let value = try make()
        keep(value, for: key)
        return value
    }

    private func find(_ key: Key) -> Value? {
        state.withLock { state in
            if let value = state.recent[key] { return value }
            guard let value = state.older[key] else { return nil }
            insert(value, key, into: &state)
            return value
        }
    }

    private func keep(_ value: Value, for key: Key) {
        state.withLock { insert(value, key, into: &$0) }
    }

    private func insert(_ value: Value, _ key: Key, into state: inout State) {
        if state.recent.count >= capacity / 2 { (state.recent, state.older) = ([:], state.recent) }
        state.recent[key] = value
    }
}
