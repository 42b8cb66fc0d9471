// SPDX-License-Identifier: Apache-2.0

import Authority
import Testing

@Suite struct ListingOrderTests {
    @Test func `the day counts first, then the name with its numbers, then the second`() {
        let day: Int64 = 86400
        let rows: [(String, Int64)] = [
            ("node-10", 2 * day), ("node-2", 2 * day + 9), ("node-1", 3 * day), ("z", day - 1), ("node-2", 2 * day + 3),
            ("node-02", 2 * day + 3),
        ]
        var order = ListingOrder()
        for (name, notAfter) in rows { order.add(name, notAfter: notAfter) }
        #expect(order.sorted() == [3, 4, 5, 1, 0, 2])
    }
}
