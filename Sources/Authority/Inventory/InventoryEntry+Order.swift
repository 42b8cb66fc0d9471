// SPDX-License-Identifier: Apache-2.0

extension Sequence<InventoryEntry> {
    /// The CAs among them, each before those that it issued, and then the rest as it was.
    ///
    /// - Returns: The same entries.
    public func issuersFirst() -> [InventoryEntry] {
        let issuers = Dictionary(filter(\.isCA).map { ($0.subjectKey, $0.issuerKey) }) { first, _ in first }
        func level(_ entry: InventoryEntry) -> Int {
            guard entry.isCA else { return .max }
            var (above, key): (Set<[UInt8]>, [UInt8]) = ([entry.subjectKey], entry.issuerKey)
            // Two roots that have certified each other go round in a circle.
            while let next = issuers[key], above.insert(key).inserted { key = next }
            return above.count
        }
        return map { ($0, level($0)) }.sorted { $0.1 < $1.1 }.map(\.0)
    }
}
