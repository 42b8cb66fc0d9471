// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SQL
import SQLite
import SystemSupport

/// The SQL statements of the inventory. ``Inventory`` decides about locks and transactions.
final class InventoryDatabase {
    let database: any Connection
    /// The same if it is a file.
    var file: Database? { database as? Database }
    /// What a transaction has read or written, so that it need not ask again.
    struct Known {
        /// The last row of the audit and its digest.
        var lastAudit: (id: Int64, digest: [UInt8])?
        /// Whether any subject has several common names.
        var hasParts: Bool?
        /// The digests of templates that are there.
        var templates: Set<[UInt8]> = []
    }

    /// `nil` outside a transaction, where others write.
    var known: Known?
    /// Whether the table of certificates has the column `lifetime` of version 2.
    private let hasLifetime: Bool

    /// Opens the database for writing, and creates it if it does not exist.
    convenience init(in directory: CADirectory, repairs: Bool = false) throws {
        let path = directory.path(of: Inventory.fileName)
        let database = try explained(path) {
            try Database(
                Inventory.fileName, in: directory.directory,
                applicationIdentifier: InventorySchema.applicationIdentifier, busyTimeout: 60_000,
                checkpointsAtEnd: false)
        }
        try explained(path) { try InventorySchema.check(database, path: path, isLenient: repairs) }
        self.init(database)
    }

    /// Opens the database read-only, without a migration.
    convenience init(reading directory: CADirectory) throws {
        let path = directory.path(of: Inventory.fileName)
        let (database, version) = try explained(path) {
            let database = try Database(
                reading: Inventory.fileName, in: directory.directory,
                applicationIdentifier: InventorySchema.applicationIdentifier)
            try InventorySchema.check(database, path: path, isLenient: true)
            return (database, try database.schemaVersion())
        }
        self.init(database, hasLifetime: version >= 2)
    }

    init(_ database: any Connection, hasLifetime: Bool = true) {
        self.database = database
        self.hasLifetime = hasLifetime
    }

    /// Whether there are no tables yet.
    var isNew: Bool { get throws { try database.schemaVersion() == 0 } }

    /// Whether the tables are missing or of an earlier version.
    var isBehind: Bool { get throws { try database.schemaVersion() < InventorySchema.migrations.count } }

    // MARK: - Certificates

    /// Adds a row with the certificate and its template, if known. Throws `SQLError` also if the issuer has used the
    /// serial number before.
    func insert(_ entry: InventoryEntry, _ certificate: Certificate?, _ template: CertificateTemplate? = nil) throws {
        // A reader would refuse other values.
        let paths = [entry.name, certificate == nil ? nil : entry.certificateFile, entry.chainFile].compactMap(\.self)
        guard paths.allSatisfy(AuthorityFiles.isPath),
            entry.keyFile.map({ AuthorityFiles.isPath($0) || AuthorityFiles.isLastingAddress($0) }) ?? true
        else {
            throw AuthorityError(
                .invalidRequest, "\"\(printable(entry.name, limit: 200))\" cannot be used in file names")
        }
        if let template { try insert(template) }
        var values: [SQLValue] = [
            .text(entry.name), .blob(entry.serialNumber.stored), .text(entry.subject),
            .text(entry.joinedAlternativeNames), .text(entry.profile), .text(entry.keyType),
            .integer(entry.isCA ? 1 : 0), .time(entry.notBefore), .time(entry.notAfter), .integer(entry.place.rawValue),
            .time(entry.revocation?.date), entry.revocation.map { .integer(Int64($0.reason.rawValue)) } ?? .null,
            .time(entry.revocation?.invalidityDate), .time(entry.issuedAt), .text(entry.issuedBy),
            .text(entry.certificateFile), .optional(entry.keyFile), .optional(entry.chainFile), .blob(entry.issuerKey),
            .blob(entry.subjectKey), .blob(entry.fingerprintBytes), entry.templateDigest.map { .blob($0) } ?? .null,
            entry.lifetime.map { .integer(Int64($0.rounded(.up))) } ?? .null,
        ]
        let commonName = certificate.map { CommonName(of: $0.subject) } ?? CommonName(ofText: entry.subject)
        values.append(.optional(commonName?.whole))
        let columns = "\(Self.columns.dropFirst("id, ".count)), lifetime, common_name"
        let places = values.map { _ in "?" }.joined(separator: ", ")
        var identifier: Int64 = 0
        try database.visit("INSERT INTO certificates (\(columns)) VALUES (\(places)) RETURNING id", values) {
            identifier = $0.integer(0)
        }
        if let certificate {
            try database.execute(
                "INSERT INTO certificate_contents (id, der) VALUES (?, ?)", .integer(identifier),
                .blob(certificate.derEncoded))
        }
        try recordParts(of: commonName, at: identifier)
    }

    /// Adds a template that is not there yet.
    func insert(_ template: CertificateTemplate) throws {
        let digest = Digest.sha256.hash(template.text)
        guard known?.templates.contains(digest) != true else { return }
        try database.execute(
            "INSERT INTO templates (digest, name, content) VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING",
            .blob(digest), .text(template.name), .blob(template.text))
        known?.templates.insert(digest)
    }

    private static let columns = """
        id, name, serial, subject, alternative_names, profile, key_type, is_ca, not_before, not_after, place, revoked_at, \
        revocation_reason, invalid_since, issued_at, issued_by, certificate_path, key_path, chain_path, issuer_key, \
        subject_key, fingerprint, template
        """

    func visit(where condition: String, _ values: [SQLValue] = [], _ body: (InventoryEntry) throws -> Void) throws {
        let lifetime = hasLifetime ? "lifetime" : "NULL"
        try database.visit("SELECT \(Self.columns), \(lifetime) FROM certificates WHERE \(condition)", values) { row in
            try body(InventoryEntry(row))
        }
    }

    func entries(where condition: String, _ values: [SQLValue] = []) throws -> [InventoryEntry] {
        var entries: [InventoryEntry] = []
        try visit(where: condition, values) { entries.append($0) }
        return entries
    }

    /// The current entries of a name: at most one, except in inventories of earlier versions.
    func current(_ name: String) throws -> [InventoryEntry] {
        try entries(where: "name = ? AND place = 0", [.text(name)])
    }

    /// The current entries that the CA with a key issued.
    func issued(byKey digest: [UInt8]) throws -> [InventoryEntry] {
        try entries(where: "issuer_key = ? AND place = 0", [.blob(digest)])
    }

    /// The order of CA certificates, best first. Several can have one key: a root, its cross-certificate, and those that
    /// they replaced. A current one is better than a replaced one, and a root better than its cross-certificate.
    private static let authorityOrder = "place, subject_key = issuer_key DESC, id DESC"

    /// The certificate of the CA with a key, current or replaced; see ``authorityOrder``.
    func authority(withKey digest: [UInt8]) throws -> InventoryEntry? {
        try entries(where: "subject_key = ? AND is_ca = 1 ORDER BY \(Self.authorityOrder) LIMIT 1", [.blob(digest)])
            .first
    }

    /// The current certificate of the CA with a key.
    func currentAuthority(withKey digest: [UInt8]) throws -> InventoryEntry? {
        try authority(withKey: digest).flatMap { $0.place == .current ? $0 : nil }
    }

    /// Visits the CA certificates, best first; see ``authorityOrder``.
    func visitAuthorities(_ body: (InventoryEntry) throws -> Void) throws {
        try visit(where: "is_ca = 1 ORDER BY \(Self.authorityOrder)", [], body)
    }

    /// Refuses a CA that is revoked or on hold, or is below such a CA.
    func refuseRevokedAuthority(withKey digest: [UInt8]) throws {
        var (key, seen): ([UInt8], [[UInt8]]) = (digest, [])
        while !seen.contains(key), let authority = try currentAuthority(withKey: key) {
            seen.append(key)
            if let revocation = authority.revocation {
                let isHold = revocation.reason == .certificateHold
                throw AuthorityError(
                    .broken,
                    "the CA \(authority.name) \(isHold ? "is on hold since" : "was revoked at") "
                        + "\(timestamp(revocation.date)) and cannot issue",
                    hint: isHold
                        ? "release it first: pki revoke --release \(authority.name)"
                        : "choose another CA with --issuer NAME, or create one: pki issue-intermediate")
            }
            key = authority.issuerKey
        }
    }

    func currentNames() throws -> Set<String> {
        var names: Set<String> = []
        try database.visit("SELECT id, name FROM certificates WHERE place = 0") { row in
            let value = RowReader(table: "certificates", id: row.integer(0))
            names.insert(try value.name(row.text(1), "name"))
        }
        return names
    }

    /// Visits the entries that are asked for, in the order of ``ListingOrder``.
    func visit(_ query: InventoryQuery, _ body: (InventoryEntry) throws -> Void) throws {
        let (condition, values) = Self.condition(for: query)
        var order = ListingOrder()
        var identifiers: [Int64] = []
        try database.visit("SELECT id, not_after, name FROM certificates WHERE \(condition)", values) { row in
            identifiers.append(row.integer(0))
            order.add(row.text(2), notAfter: row.integer(1))
        }
        let positions = order.sorted()
        // A server is asked for several rows at a time.
        let size = file == nil ? 1_000 : 1
        for start in stride(from: 0, to: positions.count, by: size) {
            let batch = positions[start..<min(start + size, positions.count)].map { identifiers[$0] }
            if size == 1 {
                try visit(where: "id = ?", [.integer(batch[0])], body)
            } else {
                var entries: [Int64: InventoryEntry] = [:]
                try visit(where: "id IN (\(batch.map(String.init).joined(separator: ", ")))") { entries[$0.id] = $0 }
                // What was deleted meanwhile is not there.
                for identifier in batch { if let entry = entries[identifier] { try body(entry) } }
            }
        }
    }

    /// The condition of a query, with its values.
    static func condition(for query: InventoryQuery) -> (String, [SQLValue]) {
        var conditions: [String] = []
        var values: [SQLValue] = []
        if let end = query.expiringBy {
            conditions.append("not_after BETWEEN ? AND ?")
            values += [.time(query.now), .time(end)]
        }
        if query.isRevoked {
            conditions.append("revoked_at IS NOT NULL")
        } else if !query.includesFormer {
            conditions.append("place = 0")
        }
        if !query.namePrefix.isEmpty {
            // A range, which an index can find.
            conditions.append("name >= ? AND name < ?")
            values += [.text(query.namePrefix), .text(query.namePrefix + "\u{10FFFF}")]
        }
        if let isCA = query.isCA {
            // A constant: the partial index of CAs has this condition.
            conditions.append(isCA ? "is_ca = 1" : "is_ca = 0")
        }
        return (conditions.isEmpty ? "1 = 1" : conditions.joined(separator: " AND "), values)
    }

    func certificate(of entry: InventoryEntry) throws -> Certificate {
        let row = try database.query("SELECT der FROM certificate_contents WHERE id = ?", .integer(entry.id)).first
        guard let encoded = row?.first?.blob else {
            throw AuthorityError(.broken, "the inventory lacks the encoding of certificate \(entry.serialNumber)")
        }
        return try Certificate(derEncoded: encoded)
    }

    /// The template of a certificate; `nil` if it was imported from files.
    func template(of entry: InventoryEntry) throws -> CertificateTemplate? {
        guard let digest = entry.templateDigest else { return nil }
        let row = try database.query("SELECT name, content FROM templates WHERE digest = ?", .blob(digest)).first
        guard let name = row?[0].text, let text = row?[1].blob else { return nil }
        return try CertificateTemplate(reading: text, name: name)
    }

    func setPlace(
        of identifier: Int64, _ place: InventoryEntry.Place, certificateFile: String, keyFile: String?,
        chainFile: String?
    ) throws {
        try database.execute(
            "UPDATE certificates SET place = ?, certificate_path = ?, key_path = ?, chain_path = ? WHERE id = ?",
            .integer(place.rawValue), .text(certificateFile), .optional(keyFile), .optional(chainFile),
            .integer(identifier))
    }

    func setName(of identifier: Int64, _ name: String) throws {
        try database.execute("UPDATE certificates SET name = ? WHERE id = ?", .text(name), .integer(identifier))
    }

    func setRevocation(of identifier: Int64, _ revocation: InventoryEntry.Revocation?) throws {
        try database.execute(
            "UPDATE certificates SET revoked_at = ?, revocation_reason = ?, invalid_since = ? WHERE id = ?",
            .time(revocation?.date), revocation.map { .integer(Int64($0.reason.rawValue)) } ?? .null,
            .time(revocation?.invalidityDate), .integer(identifier))
    }

    /// Visits the entries of an issuer's next CRL: revoked certificates that had not expired at the time of its last
    /// CRL.
    func visitRevoked(
        issuerKey: [UInt8], endingAfter date: Date, _ body: (SerialNumber, InventoryEntry.Revocation) throws -> Void
    ) throws {
        try database.visit(
            """
            SELECT serial, revoked_at, revocation_reason, invalid_since FROM certificates \
            WHERE issuer_key = ? AND revoked_at IS NOT NULL AND not_after >= ?
            """,
            [.blob(issuerKey), .time(date)]
        ) { row in
            let value = RowReader(table: "certificates", id: 0)
            try body(
                SerialNumber(stored: try value.bytes(row, 0, "serial", atMost: 64)),
                try InventoryEntry.Revocation(row, at: 1, value))
        }
    }
}
