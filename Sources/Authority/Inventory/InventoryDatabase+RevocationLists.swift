// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SQLite
import SystemSupport

extension InventoryDatabase {
    /// The last list of an issuer: its number and when it was made.
    func lastRevocationList(issuerKey: [UInt8]) throws -> (number: Int64, thisUpdate: Date, nextUpdate: Date)? {
        var last: (Int64, Date, Date)?
        try database.visit(
            """
            SELECT id, number, this_update, next_update FROM revocation_lists WHERE issuer_key = ? \
            ORDER BY number DESC LIMIT 1
            """,
            [.blob(issuerKey)]
        ) { row in
            let value = RowReader(table: "revocation_lists", id: row.integer(0))
            // The next one is a number too.
            guard (0..<Int64.max).contains(row.integer(1)) else { throw value.damaged("number", "a number of a CRL") }
            last = (row.integer(1), try value.time(row, 2, "this_update"), try value.time(row, 3, "next_update"))
        }
        return last
    }

    /// Writes down that a list was made.
    func insertRevocationList(
        issuerKey: [UInt8],
        number: Int64,
        thisUpdate: Date,
        nextUpdate: Date,
        entries: Int
    ) throws {
        try database.execute(
            """
            INSERT INTO revocation_lists (issuer_key, number, this_update, next_update, entries) VALUES (?, ?, ?, ?, ?)
            """,
            .blob(issuerKey),
            .integer(number),
            .moment(thisUpdate),
            .moment(nextUpdate),
            .integer(Int64(entries))
        )
    }

    /// How many certificates a list holds.
    func entryCount(ofList number: Int64, issuerKey: [UInt8]) throws -> Int {
        let row = try database.query(
            "SELECT entries FROM revocation_lists WHERE issuer_key = ? AND number = ?",
            .blob(issuerKey),
            .integer(number)
        ).first
        return Int(row?.first?.integer ?? 0)
    }

    /// When an issuer last revoked something.
    func lastRevocation(issuerKey: [UInt8]) throws -> Date? {
        let row = try database.query(
            "SELECT MAX(revoked_at) FROM certificates WHERE issuer_key = ? AND revoked_at IS NOT NULL",
            .blob(issuerKey)
        ).first
        guard let seconds = row?.first?.integer else { return nil }
        guard CivilTime.range.contains(Int(seconds)) else {
            throw DamagedValue(table: "certificates", id: 0, column: "revoked_at", wanted: "a time")
        }
        return Date(timeIntervalSince1970: Double(seconds))
    }
}
