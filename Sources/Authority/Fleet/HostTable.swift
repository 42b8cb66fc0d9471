// SPDX-License-Identifier: Apache-2.0

import SystemSupport

import struct FoundationEssentials.Date

/// Hosts in comma-separated values, or in a plain list of names.
enum HostTable {
    /// What a line of headings would call the names in tables that were made for something else.
    private static let headingsOfOthers: Set<String> = [
        "cn", "common_name", "commonname", "fqdn", "host", "host_name", "hostname", "hostnames", "hosts", "names",
    ]

    /// Reads hosts.
    ///
    /// - Parameters:
    ///   - bytes: The text.
    ///   - now: The moment that no certificate may end before.
    ///   - faults: Takes what is wrong with lines.
    /// - Returns: The hosts of the lines that nothing is wrong with.
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
        var hosts: [HostList.Host] = []
        while let record = reader.next() {
            do {
                if let host = try host(in: record, count: headings.count, positions, now: now) { hosts.append(host) }
            } catch {
                faults.add(error, line: record.line)
            }
        }
        return hosts
    }

    /// Reads a list of names, of which the first is known.
    private static func names(
        _ first: CSVReader.Record,
        _ reader: inout CSVReader,
        now: Date,
        _ faults: inout HostListFaults
    ) -> [HostList.Host] {
        if let name = first.fields.first.map(HostColumn.trimmed), headingsOfOthers.contains(name.lowercased()) {
            faults.add(
                "\"\(name)\" looks like a heading, and the column of the names is called name",
                line: first.line,
                hint: "write name in its place; to name a host \(name), put a line with name above it"
            )
            return []
        }
        let positions: [Int?] = HostColumn.allCases.map { $0 == .name ? 0 : nil }
        var hosts: [HostList.Host] = []
        var next: CSVReader.Record? = first
        while let record = next {
            do {
                if let host = try host(in: record, count: 1, positions, now: now) { hosts.append(host) }
            } catch {
                faults.add(error, line: record.line)
            }
            next = reader.next()
        }
        return hosts
    }

    /// Where each column stands, in the order of all columns; nothing when the headings are faulty.
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
                    ? "save the table with commas between its fields" : "the columns are \(HostColumn.list)"
            )
        } else if let column = doubled.first {
            faults.add("the column \(column) stands there twice", line: line)
        } else if places[.name] == nil {
            faults.add("there is no column \"name\"", line: line, hint: "the columns are \(HostColumn.list)")
        } else {
            return HostColumn.allCases.map { places[$0] }
        }
        return nil
    }

    /// The host of a record; nothing when all its fields are empty.
    private static func host(
        in record: CSVReader.Record,
        count: Int,
        _ positions: [Int?],
        now: Date
    ) throws -> HostList.Host? {
        if let fault = record.fault { throw AuthorityError(.invalidRequest, fault) }
        guard !record.fields.allSatisfy(HostColumn.isEmpty) else { return nil }
        guard record.fields.count == count else {
            let fields = record.fields.count == 1 ? "1 field" : "\(record.fields.count) fields"
            throw AuthorityError(
                .invalidRequest,
                count == 1
                    ? "it has \(fields), and there are no headings that say what they are"
                    : "it has \(fields) where the headings are \(count)",
                hint: count == 1
                    ? "the first line of a table says what its columns are: \(HostColumn.list)"
                    : "put a field with commas in it between quotation marks"
            )
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
