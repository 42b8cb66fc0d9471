// SPDX-License-Identifier: Apache-2.0

import struct FoundationEssentials.Date
import SystemSupport

/// A column of CSV, or a key of JSON, that describes a host; see ``HostList``.
enum HostColumn: Int, CaseIterable {
    case name, dns, ip, uri, email, subject, days, notAfter, keyType, profile, csr

    var heading: String {
        switch self {
        case .notAfter: "not_after"
        case .keyType: "key_type"
        default: "\(self)"
        }
    }

    private static let columns = Dictionary(uniqueKeysWithValues: allCases.map { ($0.heading, $0) })

    /// Finds the column of a heading, ignoring case, and with `-` or a blank for `_`.
    init?(heading: String) {
        if let column = Self.columns[heading] {
            self = column
            return
        }
        let name = heading.lowercased().map { $0 == "-" || $0 == " " ? "_" : String($0) }.joined()
        guard let column = Self.columns[name] else { return nil }
        self = column
    }

    /// Whether several values are allowed, separated by blanks or `;`.
    var takesSeveral: Bool {
        switch self {
        case .dns, .ip, .uri, .email: true
        default: false
        }
    }

    func values(in field: String) -> [String] {
        if field.isEmpty { return [] }
        if takesSeveral {
            guard field.utf8.contains(where: { Self.isBlank($0) || $0 == UInt8(ascii: ";") }) else { return [field] }
            return field.utf8.split { Self.isBlank($0) || $0 == UInt8(ascii: ";") }.map { String(Substring($0)) }
        }
        let trimmed = Self.trimmed(field)
        return trimmed.isEmpty ? [] : [trimmed]
    }

    /// A field without the blanks around it.
    static func trimmed(_ field: String) -> String {
        var text = Substring(field).utf8
        while let first = text.first, isBlank(first) { text.removeFirst() }
        while let last = text.last, isBlank(last) { text.removeLast() }
        return text.count == field.utf8.count ? field : String(Substring(text))
    }

    static func isEmpty(_ field: String) -> Bool { field.utf8.allSatisfy(isBlank) }

    private static func isBlank(_ octet: UInt8) -> Bool { octet == 0x20 || (0x09...0x0d).contains(octet) }

    /// All names, for messages.
    static var list: String { allCases.map(\.heading).joined(separator: ", ") }
}

/// Hosts in comma-separated values, or in a plain list of names.
enum HostTable {
    /// Headings of the names in tables for other purposes.
    private static let headingsOfOthers: Set<String> = [
        "cn", "common_name", "commonname", "fqdn", "host", "host_name", "hostname", "hostnames", "hosts", "names",
    ]

    static func hosts(in bytes: [UInt8], now: Date, _ faults: inout HostListFaults) -> [HostList.Host] {
        var reader = CSVReader(bytes)
        var next = reader.next()
        while let record = next, record.fault == nil, record.fields.allSatisfy(HostColumn.isEmpty) {
            next = reader.next()
        }
        guard let first = next else { return [] }
        if let fault = first.fault {
            faults.add(fault, line: first.line)
            return []
        }
        let headings = first.fields.map(HostColumn.trimmed)
        if headings.count == 1, HostColumn(heading: headings[0]) == nil,
            !headings[0].contains(where: { ";\t".contains($0) })
        {
            return names(first, &reader, now: now, &faults)
        }
        reader.skipsComments = false
        guard let positions = positions(of: headings, line: first.line, &faults) else { return [] }
        return hosts(from: reader.next(), &reader, count: headings.count, positions, now: now, &faults)
    }

    /// Reads a list of names after its first.
    private static func names(
        _ first: CSVReader.Record, _ reader: inout CSVReader, now: Date, _ faults: inout HostListFaults
    ) -> [HostList.Host] {
        if let name = first.fields.first.map(HostColumn.trimmed), headingsOfOthers.contains(name.lowercased()) {
            faults.add(
                "\"\(name)\" looks like a heading; the heading of the names must be name", line: first.line,
                hint: "replace it by name, or insert a line with name above it if it is a host")
            return []
        }
        let positions: [Int?] = HostColumn.allCases.map { $0 == .name ? 0 : nil }
        return hosts(from: first, &reader, count: 1, positions, now: now, &faults)
    }

    private static func hosts(
        from first: CSVReader.Record?, _ reader: inout CSVReader, count: Int, _ positions: [Int?], now: Date,
        _ faults: inout HostListFaults
    ) -> [HostList.Host] {
        var hosts: [HostList.Host] = []
        var next = first
        while let record = next {
            do {
                if let host = try host(in: record, count: count, positions, now: now) { hosts.append(host) }
            } catch {
                faults.add(error, line: record.line)
            }
            next = reader.next()
        }
        return hosts
    }

    /// The position of each column, in the order of all columns; `nil` if the headings are not valid.
    private static func positions(of headings: [String], line: Int, _ faults: inout HostListFaults) -> [Int?]? {
        var places: [HostColumn: Int] = [:]
        var unknown: [String] = []
        var doubled: [String] = []
        for (place, heading) in headings.enumerated() where !heading.isEmpty {
            guard let column = HostColumn(heading: heading) else {
                unknown.append("\"\(heading)\"")
                continue
            }
            if places.updateValue(place, forKey: column) != nil { doubled.append(column.heading) }
        }
        if !unknown.isEmpty {
            let isOtherTable = unknown.count == headings.count && headings.count == 1
            faults.add(
                isOtherTable
                    ? "the headings \(unknown[0]) are not separated by commas"
                    : "unknown \(unknown.count == 1 ? "column" : "columns") \(unknown.joined(separator: ", "))",
                line: line,
                hint: isOtherTable
                    ? "save the table with commas between its fields" : "use the columns \(HostColumn.list)")
        } else if let column = doubled.first {
            faults.add("the column \(column) appears twice", line: line)
        } else if places[.name] == nil {
            faults.add("there is no column \"name\"", line: line, hint: "use the columns \(HostColumn.list)")
        } else {
            return HostColumn.allCases.map { places[$0] }
        }
        return nil
    }

    /// The host of a record; `nil` if all its fields are empty.
    private static func host(
        in record: CSVReader.Record, count: Int, _ positions: [Int?], now: Date
    ) throws -> HostList.Host? {
        if let fault = record.fault { throw AuthorityError(.invalidRequest, fault) }
        guard !record.fields.allSatisfy(HostColumn.isEmpty) else { return nil }
        guard record.fields.count == count else {
            let fields = record.fields.count == 1 ? "1 field" : "\(record.fields.count) fields"
            throw AuthorityError(
                .invalidRequest,
                count == 1
                    ? "it has \(fields), but the file has no headings"
                    : "it has \(fields), but there are \(count) headings",
                hint: count == 1
                    ? "add a first line with the headings of the columns: \(HostColumn.list)"
                    : "quote fields that contain commas")
        }
        for (index, field) in record.fields.enumerated() where !HostColumn.isEmpty(field) {
            guard positions.contains(index) else {
                throw AuthorityError(.invalidRequest, "field \(index + 1) has no heading")
            }
        }
        return try HostList.Host(line: record.line, now: now) { column in
            positions[column.rawValue].map { column.values(in: record.fields[$0]) } ?? []
        }
    }
}

/// Reads records of comma-separated values (RFC 4180) with their lines.
///
/// Lines may end in CR, LF or both, and empty lines are skipped. After a syntax error, the next record begins on the
/// next line.
struct CSVReader {
    /// A line of the file, or several if a quoted field contains line ends.
    struct Record {
        /// The first line, counted from 1.
        var line: Int
        /// The fields without quotation marks.
        var fields: [String] = []
        /// The syntax error, if any; then the fields are incomplete.
        var fault: String?
    }

    /// Whether lines that begin with `#` are skipped.
    var skipsComments = true
    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private static let quote = UInt8(ascii: "\"")
    private static let comma = UInt8(ascii: ",")

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    /// The next record; `nil` at the end.
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

    /// Reads up to the comma or line end after a field.
    private mutating func readField(of record: inout Record) {
        if current == Self.quote { return readQuotedField(of: &record) }
        let start = position
        while let octet = current, octet != Self.comma, octet != 0x0a, octet != 0x0d {
            guard octet != Self.quote else {
                record.fault = "a quotation mark is inside a field that does not begin with one"
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
                        record.fault = "there is text between a closing quotation mark and the next comma"
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

    /// Skips one line end, if any.
    private mutating func skipLineEnd() {
        guard let octet = current else { return }
        position += 1
        if octet == 0x0d, current == 0x0a { position += 1 }
        line += 1
    }
}
