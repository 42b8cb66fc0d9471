// SPDX-License-Identifier: Apache-2.0

/// Writes comma-separated values (RFC 4180) for programs, with a line of headings and lines that end in LF.
///
/// A field that a spreadsheet would take for a formula, because it begins with `=`, `+`, `-`, `@`, has an apostrophe before it,
/// which spreadsheets leave out when they show it; numbers do not need it. Ends of lines, and what could steer a terminal, are
/// escaped as in JSON: each row is one line.
struct CSVWriter: Sendable {
    private var bytes: [UInt8] = []

    private let columnCount: Int
    private var next = 0
    private var isFirst = true

    /// Writes the headings.
    ///
    /// - Parameter columns: The headings, at least one.
    init(_ columns: [String]) {
        columnCount = columns.count
        for column in columns { add(column) }
    }

    /// Writes the next field, in a new row when the row before has all of its fields.
    ///
    /// - Parameter text: The field.
    mutating func add(_ text: String) {
        separate()
        let start = bytes.count
        if let first = text.utf8.first, "=+-@".utf8.contains(first) { bytes.append(UInt8(ascii: "'")) }
        bytes.append(showing: text)
        let field = bytes[start...]
        let needsQuotes = field.contains { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: ",") }
        // A row of one empty field must not be an empty line.
        guard needsQuotes || field.first == 0x20 || field.last == 0x20 || field.isEmpty && columnCount == 1 else {
            return
        }
        let quoted = field.flatMap { $0 == UInt8(ascii: "\"") ? [$0, $0] : [$0] }
        bytes.replaceSubrange(start..., with: [UInt8(ascii: "\"")] + quoted + [UInt8(ascii: "\"")])
    }

    /// Writes the next field.
    ///
    /// - Parameter number: The field.
    mutating func add(_ number: Int) {
        separate()
        bytes += String(number).utf8
    }

    /// Gives the whole rows that were written, and forgets them. To be called between rows.
    ///
    /// - Returns: The rows in UTF-8; the last one's end comes with the next row, or at the end.
    mutating func take() -> [UInt8] {
        defer { bytes.removeAll(keepingCapacity: true) }
        return bytes
    }

    /// Ends the last row, and gives all of them.
    ///
    /// - Returns: The rows in UTF-8, each with its end.
    consuming func encoded() -> [UInt8] {
        bytes.append(0x0a)
        return bytes
    }

    private mutating func separate() {
        if !isFirst { bytes.append(next == 0 ? 0x0a : UInt8(ascii: ",")) }
        isFirst = false
        next = next + 1 == columnCount ? 0 : next + 1
    }
}
