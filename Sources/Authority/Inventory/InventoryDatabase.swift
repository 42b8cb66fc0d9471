// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SQLite
import SystemSupport

/// The statements of the inventory. Who may run which, and when, is ``Inventory``'s business.
final class InventoryDatabase {
    let database: Database

    /// The last row of the audit and its digest, as far as this transaction knows.
    var lastAudit: (id: Int64, digest: [UInt8])?

    /// Whether the table of certificates has the column `lifetime`, which came with version 2.
    private let hasLifetime: Bool

    /// Opens the database for writing, and makes the file when there is none.
    ///
    /// - Parameters:
    ///   - directory: Where it is.
    ///   - repairs: Whether triggers may be missing.
    /// - Throws: ``AuthorityError`` naming the file.
    convenience init(in directory: CADirectory, repairs: Bool = false) throws {
        let path = directory.path(of: Inventory.fileName)
        let database = try explained(path) {
            try Database(
                Inventory.fileName,
                in: directory.directory,
                applicationIdentifier: InventorySchema.applicationIdentifier,
                busyTimeout: 60_000,
                checkpointsAtEnd: false
            )
        }
        try explained(path) { try InventorySchema.check(database, path: path, isLenient: repairs) }
        self.init(database)
    }

    /// Opens the database as it is, to read it.
    ///
    /// - Parameter directory: Where it is.
    /// - Throws: ``AuthorityError`` naming the file.
    convenience init(reading directory: CADirectory) throws {
        let path = directory.path(of: Inventory.fileName)
        let (database, version) = try explained(path) {
            let database = try Database(
                reading: Inventory.fileName,
                in: directory.directory,
                applicationIdentifier: InventorySchema.applicationIdentifier
            )
            try InventorySchema.check(database, path: path, isLenient: true)
            return (database, try database.userVersion())
        }
        self.init(database, hasLifetime: version >= 2)
    }

    /// Takes an open database.
    init(_ database: Database, hasLifetime: Bool = true) {
        self.database = database
        self.hasLifetime = hasLifetime
    }

    /// Whether the tables are still to be made.
    var isNew: Bool { get throws { try database.userVersion() == 0 } }

    /// Whether a former version of this program wrote the tables, or none.
    var isBehind: Bool { get throws { try database.userVersion() < InventorySchema.migrations.count } }

    // MARK: - Certificates

    /// Adds a certificate.
    ///
    /// - Parameter record: What is known of it.
    /// - Throws: `SQLiteError`, also when the issuer has used the serial number before.
    func insert(_ record: CertificateRecord) throws {
        let certificate = record.certificate
        // What a reader would refuse is never written.
        let paths = [record.name, record.certificateFile, record.chainFile].compactMap(\.self)
        guard paths.allSatisfy(AuthorityFiles.isPath),
            record.keyFile.map({ AuthorityFiles.isPath($0) || AuthorityFiles.isLastingAddress($0) }) ?? true
        else {
            throw AuthorityError(.invalidRequest, "\"\(printable(record.name, limit: 200))\" cannot be a name of files")
        }
        var digest: [UInt8]?
        if let template = record.template {
            let hash = Digest.sha256.hash(template.text)
            try database.execute(
                "INSERT INTO templates (digest, name, content) VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING",
                .blob(hash),
                .text(template.name),
                .blob(template.text)
            )
            digest = hash
        }
        try database.execute(
            """
            INSERT INTO certificates (name, serial, subject, alternative_names, profile, key_type, is_ca, not_before, \
            not_after, place, revoked_at, revocation_reason, invalid_since, issued_at, issued_by, certificate_path, \
            key_path, chain_path, issuer_key, subject_key, fingerprint, template, lifetime)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            .text(record.name),
            .blob(certificate.serialNumber.magnitude),
            .text(certificate.subject.description),
            .text(certificate.subjectAlternativeNames.map(\.description).joined(separator: "\n")),
            .text(record.profile),
            .text(certificate.publicKey.algorithm.description),
            .integer(certificate.isCA ? 1 : 0),
            .moment(certificate.notBefore),
            .moment(certificate.notAfter),
            .integer(record.place.rawValue),
            .moment(record.revocation?.date),
            record.revocation.map { .integer(Int64($0.reason.rawValue)) } ?? .null,
            .moment(record.revocation?.invalidityDate),
            .moment(record.issuedAt),
            .text(record.issuedBy),
            .text(record.certificateFile),
            .optional(record.keyFile),
            .optional(record.chainFile),
            .blob(record.issuerKey),
            .blob(certificate.publicKey.digest),
            .blob(Digest.sha256.hash(certificate.derEncoded)),
            digest.map(SQLiteValue.blob) ?? .null,
            record.lifetime.map { .integer(Int64($0.rounded(.up))) } ?? .null
        )
        try database.execute(
            "INSERT INTO certificate_contents (id, der) VALUES (last_insert_rowid(), ?)",
            .blob(certificate.derEncoded)
        )
    }

    private static let columns = """
        id, name, serial, subject, alternative_names, profile, key_type, is_ca, not_before, not_after, place, revoked_at, \
        revocation_reason, invalid_since, issued_at, issued_by, certificate_path, key_path, chain_path, issuer_key, \
        subject_key, fingerprint, template
        """

    /// Visits the entries that a condition names.
    ///
    /// - Parameters:
    ///   - condition: What follows WHERE.
    ///   - values: Its values.
    ///   - body: Called with each.
    /// - Throws: `SQLiteError`, or what the body throws.
    func visit(
        where condition: String,
        _ values: [SQLiteValue] = [],
        _ body: (InventoryEntry) throws -> Void
    ) throws {
        let lifetime = hasLifetime ? "lifetime" : "NULL"
        try database.visit("SELECT \(Self.columns), \(lifetime) FROM certificates WHERE \(condition)", values) { row in
            try body(InventoryEntry(row))
        }
    }

    /// The entries that a condition names.
    func entries(where condition: String, _ values: [SQLiteValue] = []) throws -> [InventoryEntry] {
        var entries: [InventoryEntry] = []
        try visit(where: condition, values) { entries.append($0) }
        return entries
    }

    /// What stands under a name: one entry or none, unless an earlier program left more.
    func current(_ name: String) throws -> [InventoryEntry] {
        try entries(where: "name = ? AND place = 0", [.text(name)])
    }

    /// What stands under its name and was issued by the CA with a key.
    func issued(byKey digest: [UInt8]) throws -> [InventoryEntry] {
        try entries(where: "issuer_key = ? AND place = 0", [.blob(digest)])
    }

    /// The CA with a key, as it stands under its name; a root before a certificate that another CA gave it.
    func authority(withKey digest: [UInt8]) throws -> InventoryEntry? {
        try entries(
            where:
                "subject_key = ? AND is_ca = 1 AND place = 0 ORDER BY subject_key = issuer_key DESC, id DESC LIMIT 1",
            [.blob(digest)]
        ).first
    }

    /// Refuses a CA that is revoked or on hold, or stands below one that is: nobody accepts what it issues.
    ///
    /// - Parameter digest: SHA-256 of the CA's public key.
    /// - Throws: ``AuthorityError`` with ``AuthorityErrorCode/policy``, or `SQLiteError`.
    func refuseRevokedAuthority(withKey digest: [UInt8]) throws {
        var (key, seen): ([UInt8], Set<[UInt8]>) = (digest, [])
        while seen.insert(key).inserted, let authority = try authority(withKey: key) {
            if let revocation = authority.revocation {
                let isHold = revocation.reason == .certificateHold
                throw AuthorityError(
                    .policy,
                    "the CA \(authority.name) \(isHold ? "is on hold since" : "was revoked at") \(timestamp(revocation.date)), "
                        + "and nobody accepts what is issued below it",
                    hint: isHold
                        ? "take the hold back first: pki revoke --release \(authority.name)"
                        : "let another CA issue: --issuer NAME, or make one with pki issue-intermediate"
                )
            }
            key = authority.issuerKey
        }
    }

    /// The names under which something stands.
    func currentNames() throws -> Set<String> {
        var names: Set<String> = []
        try database.visit("SELECT id, name FROM certificates WHERE place = 0") { row in
            let value = RowReader(table: "certificates", id: row.integer(0))
            names.insert(try value.name(row.text(1), "name"))
        }
        return names
    }

    /// What the files of the CA with a key are called.
    func name(ofCAWithKey digest: [UInt8]) throws -> String? {
        try database.query(
            "SELECT name FROM certificates WHERE subject_key = ? AND is_ca = 1 ORDER BY place, id DESC LIMIT 1",
            .blob(digest)
        ).first?.first?.text
    }

    /// Visits the entries that are asked for, those that end first before the others.
    func visit(_ query: InventoryQuery, _ body: (InventoryEntry) throws -> Void) throws {
        let (condition, values) = Self.condition(for: query)
        try visit(where: condition, values, body)
    }

    /// What follows WHERE for a query, with its values.
    static func condition(for query: InventoryQuery) -> (String, [SQLiteValue]) {
        var conditions: [String] = []
        var values: [SQLiteValue] = []
        if let end = query.expiringBy {
            conditions.append("not_after BETWEEN ? AND ?")
            values += [.moment(query.now), .moment(end)]
        }
        if query.isRevoked {
            conditions.append("revoked_at IS NOT NULL")
        } else if !query.includesFormer {
            conditions.append("place = 0")
        }
        if !query.namePrefix.isEmpty {
            // Up to what no continuation of the prefix can reach.
            conditions.append("name >= ? AND name < ?")
            values += [.text(query.namePrefix), .text(query.namePrefix + "\u{10FFFF}")]
        }
        if let isCA = query.isCA {
            // Not a value to be bound: the index of the CAs is there for this very condition.
            conditions.append(isCA ? "is_ca = 1" : "is_ca = 0")
        }
        let condition = conditions.isEmpty ? "1 = 1" : conditions.joined(separator: " AND ")
        return ("\(condition) ORDER BY not_after, id", values)
    }

    /// The encoding of a certificate.
    func certificate(of entry: InventoryEntry) throws -> Certificate {
        let row = try database.query("SELECT der FROM certificate_contents WHERE id = ?", .integer(entry.id)).first
        guard let encoded = row?.first?.blob else {
            throw AuthorityError(.broken, "the inventory lacks the encoding of certificate \(entry.serialNumber)")
        }
        return try Certificate(derEncoded: encoded)
    }

    /// The template that a certificate was made from; nothing when it was read from files.
    func template(of entry: InventoryEntry) throws -> CertificateTemplate? {
        guard let digest = entry.templateDigest else { return nil }
        let row = try database.query("SELECT name, content FROM templates WHERE digest = ?", .blob(digest)).first
        guard let name = row?[0].text, let text = row?[1].blob else { return nil }
        return try CertificateTemplate(reading: text, name: name)
    }

    /// Writes down where the files of a certificate are now.
    func setPlace(
        of identifier: Int64,
        _ place: InventoryEntry.Place,
        certificateFile: String,
        keyFile: String?,
        chainFile: String?
    ) throws {
        try database.execute(
            "UPDATE certificates SET place = ?, certificate_path = ?, key_path = ?, chain_path = ? WHERE id = ?",
            .integer(place.rawValue),
            .text(certificateFile),
            .optional(keyFile),
            .optional(chainFile),
            .integer(identifier)
        )
    }

    /// Writes down a new name, or a former one.
    func setName(of identifier: Int64, _ name: String) throws {
        try database.execute("UPDATE certificates SET name = ? WHERE id = ?", .text(name), .integer(identifier))
    }

    /// Writes down that a certificate is revoked, or is not.
    func setRevocation(of identifier: Int64, _ revocation: InventoryEntry.Revocation?) throws {
        try database.execute(
            "UPDATE certificates SET revoked_at = ?, revocation_reason = ?, invalid_since = ? WHERE id = ?",
            .moment(revocation?.date),
            revocation.map { .integer(Int64($0.reason.rawValue)) } ?? .null,
            .moment(revocation?.invalidityDate),
            .integer(identifier)
        )
    }

    /// Visits what stands in an issuer's next list: what it revoked and what was not over when its last list was made.
    func visitRevoked(
        issuerKey: [UInt8],
        endingAfter moment: Date,
        _ body: (SerialNumber, InventoryEntry.Revocation) throws -> Void
    ) throws {
        try database.visit(
            """
            SELECT serial, revoked_at, revocation_reason, invalid_since FROM certificates \
            WHERE issuer_key = ? AND revoked_at IS NOT NULL AND not_after >= ?
            """,
            [.blob(issuerKey), .moment(moment)]
        ) { row in
            let value = RowReader(table: "certificates", id: 0)
            try body(
                SerialNumber(magnitude: try value.bytes(row, 0, "serial", atMost: 64)),
                try InventoryEntry.Revocation(row, at: 1, value)
            )
        }
    }
}
