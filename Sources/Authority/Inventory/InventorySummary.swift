// SPDX-License-Identifier: Apache-2.0

import Certificates
import struct FoundationEssentials.Date
import SQLite

/// What a list shows of a certificate, for lists of a hundred thousand.
public struct InventorySummary: Sendable {
    /// The name: that of the files, without `-cert.pem`.
    public let name: String
    /// The profile.
    public let profile: String
    /// The alternative names with their kinds, blanks between them.
    public let alternativeNames: String
    /// Whether it is a CA's.
    public let isCA: Bool
    /// The last moment of validity, in seconds since 1970.
    public let notAfter: Int64
    /// What the certificate is good for at the moment that was asked about.
    public let status: InventoryEntry.Status
    /// Whole days that are left, fewer than none after the end.
    public let daysLeft: Int
    /// The name of the CA that issued it: `itself` for a root, `unknown` when the directory does not have it.
    public let issuer: String
}

extension Inventory {
    /// Visits what is asked for as a list shows it, those that end first before the others.
    ///
    /// - Parameters:
    ///   - query: Which.
    ///   - body: Called with each, while nothing else of this inventory may be called.
    /// - Throws: ``AuthorityError``, or what the body throws.
    public func visitSummaries(_ query: InventoryQuery, _ body: (InventorySummary) throws -> Void) throws {
        let names = try issuerNames()
        let now = Int64(query.now.timeIntervalSince1970.rounded(.down))
        try withDatabase { database in
            let (condition, values) = InventoryDatabase.condition(for: query)
            // Most rows have the issuer of the row before.
            var lastKey: [UInt8] = []
            var lastIssuer = ""
            try database.database.visit(
                """
                SELECT name, profile, alternative_names, is_ca, not_before, not_after, place, \
                revocation_reason, issuer_key, issuer_key = subject_key, id FROM certificates WHERE \(condition)
                """,
                values
            ) { row in
                if !row.isBlob(8, equalTo: lastKey) {
                    lastKey = row.blob(8)
                    lastIssuer = names.name(ofKey: lastKey) ?? "unknown"
                }
                let value = RowReader(table: "certificates", id: row.integer(10))
                let notAfter = try value.seconds(row, 5, "not_after")
                guard let place = InventoryEntry.Place(rawValue: row.integer(6)) else {
                    throw value.damaged("place", "0, 1 or 2")
                }
                let left = notAfter - now
                try body(
                    InventorySummary(
                        name: try value.name(row.text(0), "name"),
                        profile: row.text(1),
                        alternativeNames: Self.onOneLine(row.text(2)),
                        isCA: row.integer(3) != 0,
                        notAfter: notAfter,
                        status: InventoryEntry.Status(
                            row.isNull(7) ? nil : row.integer(7),
                            place,
                            from: try value.seconds(row, 4, "not_before"),
                            to: notAfter,
                            at: now
                        ),
                        daysLeft: Int(left >= 0 ? left / 86400 : (left - 86399) / 86400),
                        issuer: row.integer(9) != 0 ? "itself" : lastIssuer
                    )
                )
            }
        }
    }

    /// Names that stand on lines, with blanks between them.
    private static func onOneLine(_ names: String) -> String {
        // At once over all octets: most certificates have one name.
        let isOne = unsafe names.utf8.withContiguousStorageIfAvailable { unsafe $0.reduce(true) { $0 && $1 != 0x0a } }
        return isOne == true ? names : names.replacing("\n", with: " ")
    }
}
