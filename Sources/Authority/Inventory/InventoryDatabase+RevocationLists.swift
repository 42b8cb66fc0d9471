// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SQLite

extension InventoryDatabase {
    /// The last list of an issuer: its number and when it was made.
    func lastRevocationList(issuerKey: [UInt8]) throws -> (number: Int64, thisUpdate: Date, nextUpdate: Date)? {
        let row = try database.query(
            """
            SELECT number, this_update, next_update FROM revocation_lists WHERE issuer_key = ? \
            ORDER BY number DESC LIMIT 1
            """,
            .blob(issuerKey)
        ).first
        guard let number = row?[0].integer, let this = row?[1].integer, let next = row?[2].integer else { return nil }
        return (number, Date(timeIntervalSince1970: Double(this)), Date(timeIntervalSince1970: Double(next)))
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
        return row?.first?.integer.map { Date(timeIntervalSince1970: Double($0)) }
    }
}
