// SPDX-License-Identifier: Apache-2.0

/// The last values that were put in, up to a number of them.
struct RingBuffer<Element: Sendable>: Sendable {
    private var storage: [Element] = []
    private var next = 0
    private let capacity: Int

    /// Makes a buffer.
    ///
    /// - Parameter capacity: How many values are kept, one or more.
    init(capacity: Int) { self.capacity = max(1, capacity) }

    /// Keeps a value, in the place of the oldest when there is no other.
    mutating func append(_ element: Element) {
        if storage.count < capacity {
            storage.append(element)
        } else {
            storage[next] = element
            next = (next + 1) % capacity
        }
    }

    /// The values, oldest first.
    var elements: [Element] { Array(storage[next...] + storage[..<next]) }
}
