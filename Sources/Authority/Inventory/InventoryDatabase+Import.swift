// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SQLite

extension InventoryDatabase {
    /// Whether a certificate is known.
    func contains(fingerprint: [UInt8]) throws -> Bool {
        try !database.query("SELECT 1 FROM certificates WHERE fingerprint = ?", .blob(fingerprint)).isEmpty
    }

    /// Whether an issuer's serial number is known.
    func contains(serialNumber: SerialNumber, of issuerKey: [UInt8]) throws -> Bool {
        try !database.query(
            "SELECT 1 FROM certificates WHERE issuer_key = ? AND serial = ?",
            .blob(issuerKey),
            .blob(serialNumber.magnitude)
        ).isEmpty
    }

    /// Adds what an index knows of a certificate that is nowhere. It has no encoding, and a fingerprint that is none.
    func insertLost(_ lost: LostCertificate, issuerKey: [UInt8], now: Date, who: String) throws {
        // The last moment that X.509 can say: until who knows when, it stands in every list.
        let end = lost.notAfter ?? Date(timeIntervalSince1970: 253_402_300_799)
        try database.execute(
            """
            INSERT INTO certificates (name, serial, subject, alternative_names, profile, key_type, is_ca, not_before, \
            not_after, place, revoked_at, revocation_reason, invalid_since, issued_at, issued_by, certificate_path, \
            key_path, chain_path, issuer_key, subject_key, fingerprint, template)
            VALUES (?, ?, ?, '', 'unknown', 'unknown', 0, 0, ?, ?, ?, ?, ?, ?, ?, '', NULL, NULL, ?, ?, ?, NULL)
            """,
            .text(lost.serialNumber.hexadecimal),
            .blob(lost.serialNumber.magnitude),
            .text(lost.subjectName?.description ?? lost.subject ?? ""),
            .moment(end),
            .integer(InventoryEntry.Place.lost.rawValue),
            .moment(lost.revocation?.date),
            lost.revocation.map { .integer(Int64($0.reason.rawValue)) } ?? .null,
            .moment(lost.revocation?.invalidityDate),
            .moment(now),
            .text(who),
            .blob(issuerKey),
            .blob([]),
            .blob(Digest.sha256.hash(issuerKey + lost.serialNumber.magnitude))
        )
    }
}
