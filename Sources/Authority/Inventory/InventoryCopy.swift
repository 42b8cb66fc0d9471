// SPDX-License-Identifier: Apache-2.0

import PostgreSQL
import SQL
import SQLite

/// Copies a whole inventory from one database into another that is empty.
package enum InventoryCopy {
    /// The tables, those that others refer to first, each with its column that counts rows.
    private static let tables: [(name: String, counter: String?)] = [
        ("templates", nil), ("certificates", "id"), ("certificate_contents", nil), ("common_name_parts", nil),
        ("revocation_lists", "id"), ("audit", nil), ("tokens", "number"), ("enrolments", nil), ("name_locks", nil),
        ("pending_requests", "id"), ("acme_accounts", "number"), ("acme_orders", "number"),
    ]

    /// Copies the inventory of a CA directory to a server, in one transaction. Returns the number of rows of each table.
    package static func copy(from inventory: Inventory, to address: String) throws -> [(table: String, rows: Int)] {
        try inventory.withDatabase { source in
            try explained("on PostgreSQL") {
                let server = try Server(address, isReading: false)
                return try server.transaction {
                    try InventorySchema.check(server, server.name)
                    guard try server.query("SELECT 1 FROM certificates LIMIT 1").isEmpty,
                        try server.query("SELECT 1 FROM audit LIMIT 1").isEmpty
                    else { throw SQLError(.other, "it has rows already") }
                    return try tables.map { table in
                        (table.name, try copy(table, from: source.database, to: server))
                    }
                }
            }
        }
    }

    private static func copy(
        _ table: (name: String, counter: String?), from source: any Connection, to target: any Connection
    ) throws -> Int {
        let columns = try source.query("SELECT name FROM pragma_table_info(?) ORDER BY cid", .text(table.name))
            .compactMap(\.first?.text).joined(separator: ", ")
        let places = columns.split(separator: ",").map { _ in "?" }.joined(separator: ", ")
        var count = 0
        try source.visit("SELECT \(columns) FROM \(table.name) ORDER BY rowid") { row in
            try target.visit("INSERT INTO \(table.name) (\(columns)) VALUES (\(places))", row.values) { _ in }
            count += 1
        }
        if let counter = table.counter, count > 0 {
            // New rows count on from the last.
            _ = try target.query(
                "SELECT setval(pg_get_serial_sequence('\(table.name)', '\(counter)'), max(\(counter))) FROM \(table.name)"
            )
        }
        return count
    }
}
