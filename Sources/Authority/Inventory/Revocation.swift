// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date
import SQL
import SystemSupport

extension Inventory {
    /// Revokes a certificate, and for a compromised key every certificate of that key. Returns the newly revoked ones.
    ///
    /// A revocation takes effect when the next CRL is published. The invalidity date is the time since which the key
    /// may have been compromised. A root cannot be revoked by its own CRL.
    public func revoke(
        _ entry: InventoryEntry, reason: RevocationReason, invalidityDate: Date? = nil, now: Date
    ) throws -> [InventoryEntry] {
        if entry.isSelfSigned {
            throw AuthorityError(
                .policy, "\(entry.name) is a root, which its own CRL cannot revoke",
                hint: "remove it from the trust anchor in AWS, or replace it: pki rotate-ca")
        }
        guard reason != .removeFromCRL else {
            throw AuthorityError(
                .invalidRequest, "removeFromCRL is not a reason to revoke",
                hint: "release a hold: pki revoke --release \(entry.name)")
        }
        if let invalidityDate, invalidityDate > now {
            throw AuthorityError(
                .invalidRequest, "the invalidity date \(timestamp(invalidityDate)) is in the future")
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
                // A permanent revocation keeps its date and reason.
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

    /// Releases a certificate from a hold; `false` if it was not on hold. A permanent revocation is an error.
    public func release(_ entry: InventoryEntry, now: Date) throws -> Bool {
        try change(now: now) { change in
            guard let one = try change.records.entries(where: "id = ?", [.integer(entry.id)]).first,
                let revocation = one.revocation
            else { return false }
            guard revocation.reason == .certificateHold else {
                throw AuthorityError(
                    .policy,
                    "\(one.name) was revoked at \(timestamp(revocation.date)) (\(revocation.reason.name)); only a hold can be released",
                    hint: "issue another: pki issue-client --name \(one.name) --force")
            }
            try change.records.setRevocation(of: one.id, nil)
            try change.audit(.release, one.name, one.serialNumber)
            return true
        }
    }

    /// The name of the CA that issued a certificate; `nil` if it is not in the inventory.
    package func issuerName(of entry: InventoryEntry) throws -> String? {
        try withDatabase { database in try database.authority(withKey: entry.issuerKey)?.name }
    }

    /// The other certificates of the same name that are not expired, lost or revoked.
    package func usable(besides entry: InventoryEntry, at now: Date) throws -> [InventoryEntry] {
        try withDatabase { try $0.entries(where: "name = ? ORDER BY id", [.text(entry.name)]) }
            .filter { $0.id != entry.id && $0.revocation == nil && $0.place != .lost && now <= $0.notAfter }
    }

    /// The name of the CA that issued a certificate, if the CA is current and can issue CRLs.
    package func presentIssuerName(of entry: InventoryEntry) throws -> String? {
        try withDatabase { database in try database.currentAuthority(withKey: entry.issuerKey)?.name }
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
    /// The number of certificates in it.
    package let count: Int
    /// The audit's newest row with its digest, which says that this CRL was made.
    package let auditHead: AuditChain.Head?
}

extension CertificateAuthority {
    /// Creates the CA's next CRL, which replaces the file of the last one. It contains the revoked certificates that
    /// had not expired at the time of the last CRL.
    ///
    /// The CRL does not outlive the CA's certificate, because verifiers reject a CRL whose signer has expired.
    public func makeRevocationList(validFor lifetime: Lifetime, now: Date) throws -> IssuedRevocationList {
        let made = try makeRevocationList(validFor: lifetime, now: now) { _ in true }
        guard let made else { throw AuthorityError(.storage, "the CRL was not made") }
        return made
    }

    /// The same if the number of the last CRL is still this one; `nil` if another process has made one meanwhile.
    package func makeRevocationList(
        after number: Int64?, validFor lifetime: Lifetime, now: Date
    ) throws -> IssuedRevocationList? {
        try makeRevocationList(validFor: lifetime, now: now) { $0 == number }
    }

    private func makeRevocationList(
        validFor lifetime: Lifetime, now: Date, if condition: (Int64?) -> Bool
    ) throws -> IssuedRevocationList? {
        let this = Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down))
        let wanted = try lifetime.end(from: this)
        let next = min(wanted, certificate.notAfter)
        var notices =
            wanted == next
            ? []
            : ["the CRL expires with its CA, at \(timestamp(next)), not at \(timestamp(wanted)) as requested"]
        let issuerKey = certificate.publicKey.digest
        let file = AuthorityFiles.revocationList(of: name)
        return try inventory.change(now: now) { change in
            let last = try change.records.lastRevocationList(issuerKey: issuerKey)
            guard condition(last?.number) else { return nil }
            let former = try formerList(newerThan: last?.number ?? 0)
            if let former { notices.append(try take(former.list, number: former.number, into: &change)) }
            let number =
                try
                (former?.number ?? change.records.lastUsedNumber(last.map { ($0.number, $0.thisUpdate) }, now: this))
                + 1
            var entries: [RevocationListParameters.Entry] = []
            // What has expired is left out, after it was in a CRL that was made later (RFC 5280 §3.3). A CRL made by a clock that
            // was ahead does not count: what it left out is valid.
            let end = min(last?.thisUpdate ?? .distantPast, this)
            try change.records.visitRevoked(issuerKey: issuerKey, endingAfter: end) { serial, revocation in
                entries.append(
                    .init(
                        serialNumber: serial, revocationDate: revocation.date, reason: revocation.reason,
                        invalidityDate: revocation.invalidityDate))
            }
            let count = entries.count
            let list = try RevocationListParameters(
                number: SerialNumber(unsafe withUnsafeBytes(of: UInt64(number).bigEndian) { unsafe Array($0) }),
                thisUpdate: this, nextUpdate: next, entries: entries
            ).signed(by: key, issuer: certificate)
            change.replace(with: .init(name: file, contents: SecretBytes(list.pemEncoded.utf8), mode: 0o644))
            try change.records.insertRevocationList(
                issuerKey: issuerKey, number: number, thisUpdate: this, nextUpdate: next, entries: count,
                encoded: change.keepsFiles ? nil : list.derEncoded)
            try change.audit(.revocationList, name, nil, detail: "number \(number), \(count) revoked")
            return IssuedRevocationList(
                list: list, path: change.keepsFiles ? directory.path(of: file) : inventory.place, notices: notices,
                count: count, auditHead: change.records.known?.lastAudit.map { .init(row: $0.id, digest: $0.digest) })
        }
    }

    /// The CRL in the directory, if this CA signed it and its number is above the inventory's: then the inventory is
    /// older than the CRL, such as a copy without its log or a backup.
    private func formerList(newerThan last: Int64) throws -> (list: CertificateRevocationList, number: Int64)? {
        let file = AuthorityFiles.revocationList(of: name)
        guard let contents = try? directory.read(file, isPrivate: false),
            let list = try? Container(reading: contents).revocationLists.first, list.isIssued(by: certificate),
            let number = list.number
        else { return nil }
        guard let integer = number.integer else {
            throw AuthorityError(
                .policy,
                "\(directory.path(of: file)) has the CRL number \(number.decimal), and none above it can be used",
                hint: "pki counts CRLs up to \(Int64.max)")
        }
        return integer > last ? (list, integer) : nil
    }

    /// Adds the revocations of a newer CRL to the inventory, also of certificates that the inventory does not have.
    /// Returns the notice for the user.
    private func take(
        _ list: CertificateRevocationList, number: Int64, into change: inout InventoryChange
    ) throws -> String {
        let source = "from CRL \(number) in the directory"
        var taken = 0
        for entry in list.entries {
            let revocation = InventoryEntry.Revocation(
                date: entry.revocationDate, reason: entry.reason ?? .unspecified, invalidityDate: nil)
            let known = try change.records.entries(
                where: "issuer_key = ? AND serial = ?",
                [.blob(certificate.publicKey.digest), .blob(entry.serialNumber.stored)]
            ).first
            if let known {
                // A hold may have become permanent; no other revocation changes.
                let isOnHold = known.revocation?.reason == .certificateHold
                guard known.revocation == nil || isOnHold && revocation.reason != .certificateHold else { continue }
                try change.records.setRevocation(of: known.id, revocation)
            } else {
                let lost = LostCertificate(
                    serialNumber: entry.serialNumber, subject: nil, subjectName: nil, notAfter: nil,
                    revocation: revocation, issuer: certificate.publicKey,
                    file: AuthorityFiles.revocationList(of: name),
                    line: nil)
                try change.records.insert(InventoryEntry(lost, issuedAt: change.now, issuedBy: change.who), nil)
            }
            try change.audit(.revoke, known?.name, entry.serialNumber, detail: source)
            taken += 1
        }
        return "CRL \(number) in the directory is newer than the inventory, which may be an old copy: "
            + "\(taken) revocation\(taken == 1 ? " was" : "s were") added from it"
    }
}
