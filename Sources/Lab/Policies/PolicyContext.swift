// SPDX-License-Identifier: Apache-2.0

/// What is known of a request, by condition key.
///
/// Case does not count in the name of a key (IAM User Guide, "IAM JSON policy elements: Condition"). A key without
/// values is an absent key.
struct PolicyContext: Sendable, Hashable {
    private struct Entry: Sendable, Hashable {
        var name: String
        var values: [String]
    }

    private var entries: [String: Entry] = [:]

    /// Nothing is known.
    init() {}

    /// Makes a context.
    ///
    /// - Parameter values: Keys and values; of a key that stands twice, in whatever case, the last values count.
    init(_ values: some Sequence<(key: String, value: [String])>) {
        for (key, value) in values { self[key] = value }
    }

    /// The values of a key; none when it is absent.
    subscript(_ key: String) -> [String] {
        get { values(ofFolded: key.lowercased()) }
        set { entries[key.lowercased()] = newValue.isEmpty ? nil : Entry(name: key, values: newValue) }
    }

    /// Sets the one value of a key.
    ///
    /// - Parameters:
    ///   - value: The value; nothing removes the key.
    ///   - key: The key.
    mutating func set(_ value: String?, for key: String) { self[key] = value.map { [$0] } ?? [] }

    /// The values of a key that is in lower case already.
    func values(ofFolded key: String) -> [String] { entries[key]?.values ?? [] }

    /// The names of the keys, as they were set, sorted.
    var keys: [String] { entries.values.map(\.name).sorted() }

    /// The keys that share the longest beginning with a key that is absent: what its writer may have meant.
    ///
    /// - Parameter key: The key.
    /// - Returns: The names, sorted; none when not even the part before the colon is known.
    func keys(near key: String) -> [String] {
        let folded = key.lowercased()
        var beginning = folded[...]
        while let end = beginning.lastIndex(where: { $0 == "/" || $0 == ":" }) {
            beginning = beginning[...end]
            let found = entries.filter { $0.key.hasPrefix(beginning) && $0.key != folded }.map(\.value.name)
            if !found.isEmpty { return found.sorted() }
            beginning = beginning.dropLast()
        }
        return []
    }
}

extension PolicyContext: ExpressibleByDictionaryLiteral {
    init(dictionaryLiteral elements: (String, [String])...) {
        self.init(elements.map { (key: $0.0, value: $0.1) })
    }
}
