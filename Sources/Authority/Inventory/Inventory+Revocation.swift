// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date
import SQLite
import SystemSupport

extension Inventory {
    /// Revokes certificates. It takes effect where the next certificate revocation list is read.
    ///
    /// - Parameters:
    ///   - entry: The certificate.
    ///   - reason: Why. A compromised key takes every certificate of that key with it.
    ///   - invalidityDate: Since when the key may have been in other hands, when that is known.
    ///   - now: The moment.
    /// - Returns: What was revoked by this; nothing when all of it was before, for good.
    /// - Throws: ``AuthorityError`` for a root, which no list of its own can take back, and for a reason that is none.
    public func revoke(
        _ entry: InventoryEntry,
        reason: RevocationReason,
        invalidityDate: Date? = nil,
        now: Date
    ) throws -> [InventoryEntry] {
        if entry.isSelfSigned {
            throw AuthorityError(
                .policy,
                "\(entry.name) is a root, and a list that it signs itself cannot take it back",
                hint: "take it out of the trust anchor in AWS, or replace it: pki rotate-ca"
            )
        }
        guard reason != .removeFromCRL else {
            throw AuthorityError(.invalidRequest, "removeFromCRL takes a revocation back", hint: "use --release")
        }
        if let invalidityDate, invalidityDate > now {
            throw AuthorityError(
                .invalidRequest,
                "the key cannot have been lost at \(timestamp(invalidityDate)), which is to come"
            )
        }
        return try change(now: now) { change in
            let isKeyLost = [.keyCompromise, .cACompromise, .aACompromise].contains(reason)
            // Read anew under the lock.
            let affected = try change.records.entries(
                where: isKeyLost
                    ? "subject_key = (SELECT subject_key FROM certificates WHERE id = ?) AND subject_key <> issuer_key"
                    : "id = ?",
                [.integer(entry.id)]
            )
            var revoked: [InventoryEntry] = []
            for one in affected {
                // What is revoked for good keeps its date and its reason.
                if let former = one.revocation, former.reason != .certificateHold || reason == .certificateHold {
                    continue
                }
                if one.id != entry.id, now > one.notAfter { continue }
                let revocation = InventoryEntry.Revocation(date: now, reason: reason, invalidityDate: invalidityDate)
                try change.records.setRevocation(of: one.id, revocation)
                try change.audit(
                    reason == .certificateHold ? .hold : .revoke,
                    one.name,
                    one.serialNumber,
                    detail: reason.name
                )
                revoked.append(one)
            }
            return revoked
        }
    }

    /// Takes a hold back.
    ///
    /// - Parameters:
    ///   - entry: The certificate.
    ///   - now: The moment.
    /// - Returns: Whether it was on hold.
    /// - Throws: ``AuthorityError`` when it is revoked for good.
    public func release(_ entry: InventoryEntry, now: Date) throws -> Bool {
        try change(now: now) { change in
            guard let one = try change.records.entries(where: "id = ?", [.integer(entry.id)]).first,
                let revocation = one.revocation
            else { return false }
            guard revocation.reason == .certificateHold else {
                throw AuthorityError(
                    .policy,
                    "\(one.name) was revoked at \(timestamp(revocation.date)) (\(revocation.reason.name)), and only a hold can be taken back",
                    hint: "issue another: pki issue-client --name \(one.name) --force"
                )
            }
            try change.records.setRevocation(of: one.id, nil)
            try change.audit(.release, one.name, one.serialNumber)
            return true
        }
    }

    /// The name of the CA that issued a certificate.
    ///
    /// - Parameter entry: The certificate.
    /// - Returns: What the CA's files are called; nothing when the inventory does not know it.
    /// - Throws: ``AuthorityError``.
    public func issuerName(of entry: InventoryEntry) throws -> String? {
        try withDatabase { database in try database.name(ofCAWithKey: entry.issuerKey) }
    }

    /// The certificates that had the name of a certificate before or after it, can still be used and are not revoked.
    ///
    /// - Parameters:
    ///   - entry: The certificate.
    ///   - now: The moment.
    /// - Returns: The others.
    /// - Throws: ``AuthorityError``.
    public func usable(besides entry: InventoryEntry, at now: Date) throws -> [InventoryEntry] {
        try withDatabase { try $0.entries(where: "name = ? ORDER BY id", [.text(entry.name)]) }
            .filter { $0.id != entry.id && $0.revocation == nil && $0.place != .lost && now <= $0.notAfter }
    }

    /// The name of the CA that issued a certificate and stands in the directory still, so that its lists can name it.
    ///
    /// - Parameter entry: The certificate.
    /// - Returns: The name; nothing when the CA was replaced by one with another key, or was never here.
    /// - Throws: ``AuthorityError``.
    public func presentIssuerName(of entry: InventoryEntry) throws -> String? {
        try withDatabase { database in try database.authority(withKey: entry.issuerKey)?.name }
    }
}
