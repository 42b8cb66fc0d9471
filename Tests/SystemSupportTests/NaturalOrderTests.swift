// SPDX-License-Identifier: Apache-2.0

import SystemSupport
import Testing

@Suite struct NaturalOrderTests {
    @Test func `C11: numbers in names count as numbers`() {
        let names = [
            "", "1", "2", "10", "db", "node-1", "node-2", "node-2.a", "node-2.b", "node-10", "node-10-1", "node-10-2",
            "node-100000000000000000000000", "node-100000000000000000000001", "node-a", "web",
        ]
        #expect(names.reversed().sortedNaturally() == names)
        #expect(naturalOrder(Array("a01".utf8)[...], Array("a1".utf8)[...]) == 0)
        #expect(naturalOrder(Array("a".utf8)[...], Array("a".utf8)[...]) == 0)
    }
}
