// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// Resources of one kind by their identifiers, and which of them were touched since they were last kept.
struct Table<Resource: Codable & Hashable & Sendable>: Sendable {
    private(set) var resources: [String: Resource] = [:]
    private(set) var touched: Set<String> = []

    /// A resource; setting it to nothing removes it.
    subscript(identifier: String) -> Resource? {
        get { resources[identifier] }
        set {
            resources[identifier] = newValue
            touched.insert(identifier)
        }
    }

    var values: Dictionary<String, Resource>.Values { resources.values }

    var count: Int { resources.count }

    /// Forgets what was touched, once it was kept.
    mutating func settle() { touched = [] }
}
