// SPDX-License-Identifier: Apache-2.0

/// Reads records of comma-separated values as RFC 4180 has them, each with the line on which it begins.
///
/// Lines may end in CR, LF or both. Empty lines are no records. What the RFC forbids spoils a record, and the next one begins
/// on the next line.
struct CSVReader {
    /// A line of the file, or several where a quoted field goes over their ends.
    struct Record {
        /// The first line, from 1.
        var line: Int
        /// The fields, as they are, without quotation marks.
        var fields: [String] = []
        /// What is wrong, when the fields cannot be trusted.
        var fault: String?
    }

    /// Whether lines that begin with `#` are left out.
    var skipsComments = true

    private let bytes: [UInt8]
    private var position = 0
    private var line = 1

    private static let quote = UInt8(ascii: "\"")
    private static let comma = UInt8(ascii: ",")

    /// Makes a reader.
    ///
    /// - Parameter bytes: The whole text, in UTF-8.
    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    /// The next record, or nothing at the end.
    mutating func next() -> Record? {
        skipping: while let octet = current {
            switch octet {
            case 0x0a, 0x0d: skipLineEnd()
            case UInt8(ascii: "#") where skipsComments: skipLine()
            default: break skipping
            }
        }
        guard current != nil else { return nil }
        var record = Record(line: line)
        while true {
            readField(of: &record)
            guard record.fault == nil else {
                skipLine()
                return record
            }
            guard current == Self.comma else {
                skipLineEnd()
                return record
            }
            position += 1
        }
    }

    /// Reads up to the comma or the end of the line behind a field.
    private mutating func readField(of record: inout Record) {
        if current == Self.quote { return readQuotedField(of: &record) }
        let start = position
        while let octet = current, octet != Self.comma, octet != 0x0a, octet != 0x0d {
            guard octet != Self.quote else {
                record.fault = "a quotation mark stands inside a field that does not begin with one"
                return
            }
            position += 1
        }
        record.fields.append(String(decoding: bytes[start..<position], as: UTF8.self))
    }

    private mutating func readQuotedField(of record: inout Record) {
        let firstLine = line
        position += 1
        var value: [UInt8] = []
        while let octet = current {
            if octet == Self.quote {
                position += 1
                guard current == Self.quote else {
                    record.fields.append(String(decoding: value, as: UTF8.self))
                    if let next = current, next != Self.comma, next != 0x0a, next != 0x0d {
                        record.fault = "text stands between a closing quotation mark and the next comma"
                    }
                    return
                }
            } else if octet == 0x0a || octet == 0x0d && !(position + 1 < bytes.count && bytes[position + 1] == 0x0a) {
                line += 1
            }
            value.append(octet)
            position += 1
        }
        record.line = firstLine
        record.fault = "a quotation mark is not closed"
    }

    private mutating func skipLine() {
        while let octet = current, octet != 0x0a, octet != 0x0d { position += 1 }
        skipLineEnd()
    }

    /// Goes behind one end of a line; there is none at the end of the file.
    private mutating func skipLineEnd() {
        guard let octet = current else { return }
        position += 1
        if octet == 0x0d, current == 0x0a { position += 1 }
        line += 1
    }
}
