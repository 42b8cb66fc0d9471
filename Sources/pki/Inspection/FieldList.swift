// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// Fields for a person: a label, and its values below one another, in lines of at most 100 columns.
///
/// Everything that goes in is made ``printable(_:limit:)`` here, so that no name in a certificate can steer a terminal.
struct FieldList {
    /// How many columns there are.
    static let width = 100
    private static let indent = 2
    private static let labelWidth = 18

    /// How many values of one field are shown.
    private static let valueLimit = 20

    private(set) var lines: [String] = []

    /// Begins a block.
    mutating func heading(_ text: String) { lines.append(printable(text)) }

    /// Adds a field with one value.
    ///
    /// - Parameters:
    ///   - label: What the value is; nothing for a value that goes on with the field before.
    ///   - value: The value; nothing adds nothing.
    mutating func add(_ label: String = "", _ value: String?) {
        guard let value else { return }
        for (index, line) in Self.wrapped(printable(value)).enumerated() {
            let start = index == 0 ? label : ""
            let gap = String(repeating: " ", count: max(1, Self.labelWidth - start.count))
            lines.append("\(String(repeating: " ", count: Self.indent))\(start)\(gap)\(line)")
        }
    }

    /// Adds a field with several values, each on a line of its own; of very many the first ones.
    ///
    /// - Parameters:
    ///   - label: What the values are.
    ///   - values: The values; none add nothing.
    mutating func add(_ label: String, _ values: [String]) {
        for (index, value) in values.prefix(Self.valueLimit).enumerated() { add(index == 0 ? label : "", value) }
        if values.count > Self.valueLimit { add("", "… and \(values.count - Self.valueLimit) more") }
    }

    /// Breaks a line behind blanks and commas. What has none of them stays whole, so that it can be copied.
    private static func wrapped(_ text: String) -> [String] {
        let width = Self.width - indent - labelWidth
        guard text.count > width else { return [text] }
        var lines: [String] = []
        var line = ""
        var word = ""
        func flush() {
            if !line.isEmpty, line.count + word.count > width, line.count + trimmed(word).count > width {
                lines.append(trimmed(line))
                line = ""
            }
            line += word
            word = ""
        }
        for character in text {
            word.append(character)
            if character == " " || character == "," { flush() }
        }
        flush()
        return lines + [trimmed(line)]
    }

    private static func trimmed(_ text: String) -> String {
        var rest = Substring(text)
        while rest.last == " " { rest.removeLast() }
        return String(rest)
    }
}
