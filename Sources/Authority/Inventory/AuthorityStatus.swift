// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
import SQL
import SystemSupport

/// A CA of the directory, with what it has issued and its last CRL.
package struct AuthorityStatus: Sendable {
    /// The last CRL of a CA.
    package struct RevocationList: Sendable {
        package let number: Int64
        package let thisUpdate: Date
        package let nextUpdate: Date
    }

    package let entry: InventoryEntry
    /// How many current certificates it has issued, CAs included.
    package let issuedCount: Int
    /// `nil` if it has made none.
    package let revocationList: RevocationList?
    /// Whether it has revoked a certificate that is not in its last CRL.
    package let hasUnlistedRevocations: Bool
}

extension Inventory {
    /// The current CAs, roots first, in the order of issue.
    package func authorityStatuses() throws -> [AuthorityStatus] {
        try withDatabase { database in
            try database.entries(where: "is_ca = 1 AND place = 0 ORDER BY issuer_key != subject_key, id").map { entry in
                let last = try database.lastRevocationList(issuerKey: entry.subjectKey)
                let isUnlisted = try database.hasUnlistedRevocations(of: entry, since: last)
                return AuthorityStatus(
                    entry: entry, issuedCount: try database.issuedCount(issuerKey: entry.subjectKey),
                    revocationList: last.map {
                        .init(number: $0.number, thisUpdate: $0.thisUpdate, nextUpdate: $0.nextUpdate)
                    }, hasUnlistedRevocations: isUnlisted)
            }
        }
    }
}

extension InventoryDatabase {
    /// Whether a CA has revoked a certificate that is not in its last CRL. Within one second, the number of entries decides.
    func hasUnlistedRevocations(
        of issuer: InventoryEntry, since last: (number: Int64, thisUpdate: Date, nextUpdate: Date)?
    ) throws -> Bool {
        guard let newest = try lastRevocation(issuerKey: issuer.subjectKey) else { return false }
        guard let last, newest <= last.thisUpdate else { return true }
        guard newest == last.thisUpdate else { return false }
        var count = 0
        try visitRevoked(issuerKey: issuer.subjectKey, endingAfter: last.thisUpdate) { _, _ in count += 1 }
        return try entryCount(ofList: last.number, issuerKey: issuer.subjectKey) < count
    }

    fileprivate func issuedCount(issuerKey: [UInt8]) throws -> Int {
        let row = try database.query(
            "SELECT COUNT(*) FROM certificates WHERE issuer_key = ? AND subject_key != issuer_key AND place = 0",
            .blob(issuerKey)
        ).first
        return Int(row?.first?.integer ?? 0)
    }
}
