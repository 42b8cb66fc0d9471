// SPDX-License-Identifier: Apache-2.0

import Certificates
import SQL

/// A table of the newest version of the inventory, read from the statements that make it.
struct InventoryTable: Sendable {
    let name: String
    private(set) var columns: [String] = []
    /// The positions of the primary key's columns.
    private(set) var key: [Int] = []
    /// The column that counts the rows; `nil` if there is none.
    private(set) var counter: String?

    /// Every table but that of a directory's file moves, those that others refer to first.
    static let all: [InventoryTable] = {
        var tables: [InventoryTable] = []
        for statement in InventorySchema.migrations.joined() {
            let words = statement.split(maxSplits: 6) { $0 == " " || $0 == "\n" }.map(String.init)
            if words.starts(with: ["CREATE", "TABLE"]) {
                tables.append(InventoryTable(words[2], statement))
            } else if words.starts(with: ["ALTER", "TABLE"]),
                let place = tables.firstIndex(where: { $0.name == words[2] })
            {
                tables[place].columns.append(words[5])
            }
        }
        return tables.filter { $0.name != "file_moves" }
    }()

    private init(_ name: String, _ statement: String) {
        self.name = name
        let keyMark = "PRIMARY KEY"
        for line in statement.split(separator: "\n").dropFirst().dropLast() {
            let words = line.split { " ,()".contains($0) }.map(String.init)
            if line.contains("    \(keyMark) (") {
                key = words.dropFirst(2).compactMap(columns.firstIndex)
            } else if let column = words.first, column != "UNIQUE" {
                if line.contains(keyMark) { key = [columns.count] }
                if line.contains("INTEGER \(keyMark)"), !line.contains("REFERENCES") { counter = column }
                columns.append(column)
            }
        }
    }

    /// A row of the table for messages: `certificates, id 17`.
    func description(of row: [SQLValue]) -> String {
        let values = key.map { position in
            let value: String =
                switch row[position] {
                case .null: "NULL"
                case .integer(let integer): "\(integer)"
                case .text(let text): "\"\(text)\""
                case .blob(let bytes): bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                }
            return "\(columns[position]) \(value)"
        }
        return "\(name), \(values.joined(separator: ", "))"
    }

    /// Whether a row's key is before (-1), equal to (0) or after (1) that of another, as both databases sort.
    func order(_ row: [SQLValue], _ other: [SQLValue]) -> Int {
        for position in key {
            let order: Int =
                switch (row[position], other[position]) {
                case (.integer(let left), .integer(let right)): left < right ? -1 : left == right ? 0 : 1
                case (.text(let left), .text(let right)): Self.order(left.utf8, right.utf8)
                case (.blob(let left), .blob(let right)): Self.order(left, right)
                default: 0
                }
            if order != 0 { return order }
        }
        return 0
    }

    private static func order<Octets: Sequence<UInt8>>(_ left: Octets, _ right: Octets) -> Int {
        left.lexicographicallyPrecedes(right) ? -1 : left.elementsEqual(right) ? 0 : 1
    }
}

/// A digest of the rows of tables. Each row adds its values: a letter for the type (`n`, `i`, `t` or `b`), the length as
/// decimal text, a colon and the octets. After each it is SHA-256 of the digest before and of what was added.
struct RowsDigest {
    private(set) var value: [UInt8]
    private var buffer: [UInt8] = []

    init(_ start: String = "") { value = Digest.sha256.hash(Array(start.utf8)) }

    /// Adds a text, such as the name of a table.
    mutating func add(_ text: String) { value = Digest.sha256.hash(value + text.utf8) }

    mutating func add(_ row: [SQLValue]) {
        buffer.removeAll(keepingCapacity: true)
        buffer += value
        for value in row {
            switch value {
            case .null: add("n", [])
            case .integer(let integer): add("i", "\(integer)".utf8)
            case .text(let text): add("t", text.utf8)
            case .blob(let bytes): add("b", bytes)
            }
        }
        value = Digest.sha256.hash(buffer)
    }

    private mutating func add(_ type: String, _ octets: some Collection<UInt8>) {
        buffer += "\(type)\(octets.count):".utf8
        buffer += octets
    }
}
