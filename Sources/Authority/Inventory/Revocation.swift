// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date
import SQLite
import SystemSupport

extension Inventory {
    /// Revokes a certificate, and for a compromised key every certificate of that key. Returns what was not revoked
    /// before.
    ///
    /// The revocation takes effect where the next CRL is read. The invalidity date is the time since which the key may
    /// have been compromised. A root cannot be revoked: its own CRL cannot take it back.
    public func revoke(
        _ entry: InventoryEntry, reason: RevocationReason, invalidityDate: Date? = nil, now: Date
    ) throws -> [InventoryEntry] {
        if entry.isSelfSigned {
            throw AuthorityError(
                .policy, "\(entry.name) is a root, and a list that it signs itself cannot take it back",
                hint: "take it out of the trust anchor in AWS, or replace it: pki rotate-ca")
        }
        guard reason != .removeFromCRL else {
            throw AuthorityError(.invalidRequest, "removeFromCRL takes a revocation back", hint: "use --release")
        }
        if let invalidityDate, invalidityDate > now {
            throw AuthorityError(
                .invalidRequest, "the key cannot have been lost at \(timestamp(invalidityDate)), which is to come")
        }
        return try change(now: now) { change in
            let isKeyLost = [.keyCompromise, .cACompromise, .aACompromise].contains(reason)
            // Read again under the lock.
            let affected = try change.records.entries(
                where: isKeyLost
                    ? "subject_key = (SELECT subject_key FROM certificates WHERE id = ?) AND subject_key <> issuer_key"
                    : "id = ?", [.integer(entry.id)])
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
                    reason == .certificateHold ? .hold : .revoke, one.name, one.serialNumber, detail: reason.name)
                revoked.append(one)
            }
            return revoked
        }
    }

    /// Releases a certificate from a hold; `false` when it was not on hold. A permanent revocation is an error.
    public func release(_ entry: InventoryEntry, now: Date) throws -> Bool {
        try change(now: now) { change in
            guard let one = try change.records.entries(where: "id = ?", [.integer(entry.id)]).first,
                let revocation = one.revocation
            else { return false }
            guard revocation.reason == .certificateHold else {
                throw AuthorityError(
                    .policy,
                    "\(one.name) was revoked at \(timestamp(revocation.date)) (\(revocation.reason.name)), and only a hold can be taken back",
                    hint: "issue another: pki issue-client --name \(one.name) --force")
            }
            try change.records.setRevocation(of: one.id, nil)
            try change.audit(.release, one.name, one.serialNumber)
            return true
        }
    }

    /// The name of the CA that issued a certificate; `nil` when the inventory does not have it.
    package func issuerName(of entry: InventoryEntry) throws -> String? {
        try withDatabase { database in try database.name(ofCAWithKey: entry.issuerKey) }
    }

    /// The other certificates of the same name that are not expired, lost or revoked.
    package func usable(besides entry: InventoryEntry, at now: Date) throws -> [InventoryEntry] {
        try withDatabase { try $0.entries(where: "name = ? ORDER BY id", [.text(entry.name)]) }
            .filter { $0.id != entry.id && $0.revocation == nil && $0.place != .lost && now <= $0.notAfter }
    }

    /// The name of the CA that issued a certificate, if it is still current, so that its CRLs can name the certificate.
    package func presentIssuerName(of entry: InventoryEntry) throws -> String? {
        try withDatabase { database in try database.authority(withKey: entry.issuerKey)?.name }
    }
}

/// A CRL that is on the disk, and where.
public struct IssuedRevocationList: Sendable {
    /// The CRL.
    public let list: CertificateRevocationList
    /// The path of its file.
    public let path: String
    /// What the user should know and may not expect, each a sentence without a full stop.
    public let notices: [String]
}

extension CertificateAuthority {
    /// Makes the CA's next CRL, which replaces the file of the last one: everything that it revoked and that had not
    /// expired when its last CRL was made.
    ///
    /// The CRL does not outlive the CA's certificate: verifiers reject a CRL whose signer has expired, however long it
    /// is valid.
    public func makeRevocationList(validFor lifetime: Lifetime, now: Date) throws -> IssuedRevocationList {
        let this = Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down))
        let wanted = try lifetime.end(from: this)
        let next = min(wanted, certificate.notAfter)
        let notices =
            wanted == next
            ? []
            : ["the list ends with its CA, at \(timestamp(next)), and not at \(timestamp(wanted)) as was asked for"]
        let issuerKey = certificate.publicKey.digest
        let file = AuthorityFiles.revocationList(of: name)
        return try inventory.change(now: now) { change in
            let last = try change.records.lastRevocationList(issuerKey: issuerKey)
            let number = (last?.number ?? 0) + 1
            var entries: [RevocationListParameters.Entry] = []
            try change.records.visitRevoked(issuerKey: issuerKey, endingAfter: last?.thisUpdate ?? .distantPast) {
                serial, revocation in
                entries.append(
                    .init(
                        serialNumber: serial, revocationDate: revocation.date, reason: revocation.reason,
                        invalidityDate: revocation.invalidityDate))
            }
            let count = entries.count
            let list = try RevocationListParameters(
                number: SerialNumber(unsafe withUnsafeBytes(of: UInt64(number).bigEndian) { unsafe Array($0) }),
                thisUpdate: this,
                nextUpdate: next,
                entries: entries
            ).signed(by: key, issuer: certificate)
            change.replace(with: .init(name: file, contents: SecretBytes(list.pemEncoded.utf8), mode: 0o644))
            try change.records.insertRevocationList(
                issuerKey: issuerKey, number: number, thisUpdate: this, nextUpdate: next, entries: count)
            try change.audit(.revocationList, name, nil, detail: "number \(number), \(count) revoked")
            return IssuedRevocationList(list: list, path: directory.path(of: file), notices: notices)
        }
    }
}
