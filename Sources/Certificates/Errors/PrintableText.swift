// SPDX-License-Identifier: Apache-2.0

/// Text from elsewhere made fit for one line of a terminal: control characters, which could drive it, become blanks.
///
/// - Parameters:
///   - text: Any text.
///   - limit: How many characters to keep.
/// - Returns: One line.
package func printable(_ text: String, limit: Int = 1000) -> String {
    var result = ""
    for character in text {
        if result.count == limit { return result + "…" }
        let isControl = character.unicodeScalars.contains { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: true
            default: false
            }
        }
        result.append(isControl ? " " : character)
    }
    return result
}
