// SPDX-License-Identifier: Apache-2.0

import Testing

/// A file, a change, and the file afterwards.
struct ConfigurationCase: Sendable, CustomTestStringConvertible {
    let name: String
    private(set) var before: [UInt8]
    let section: String
    let settings: [(name: String, value: String?)]
    private(set) var after: [UInt8]

    var testDescription: String { name }

    init(
        _ name: String,
        _ before: String,
        _ section: String = "default",
        _ settings: KeyValuePairs<String, String?> = ["region": "new"],
        gives after: String
    ) {
        self.name = name
        self.before = Array(before.utf8)
        self.section = section
        self.settings = settings.map { ($0.key, $0.value) }
        self.after = Array(after.utf8)
    }

    /// A case whose texts have a character for each byte.
    static func latin1(_ name: String, _ before: String, gives after: String) -> ConfigurationCase {
        var result = ConfigurationCase(name, "", gives: "")
        result.before = before.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        result.after = after.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        return result
    }
}
