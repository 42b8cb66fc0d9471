// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SQL
import SQLite
import SystemSupport

/// The tables of the inventory, version by version.
///
/// All SQL of the inventory is in this directory, and is portable to other databases.
enum InventorySchema {
    /// Marks the file as an inventory of this program: "pkiI".
    static let applicationIdentifier: Int32 = 0x706b_6949
    /// The statements that lead from one version to the next; the first creates version 1.
    static let migrations: [[String]] = [version1, version2, version3, version4, version5]
    /// The earliest version whose programs can still use the tables of the newest, where both run on one server. A migration
    /// only adds; what is not used any more is removed by a later one.
    static let oldestVersion: Int64 = 5
    private static let version1 = [
        // The text of a template, so that a renewal does not depend on the template's file.
        """
        CREATE TABLE templates (
            digest BLOB PRIMARY KEY,
            name TEXT NOT NULL,
            content BLOB NOT NULL
        )
        """,
        // Times are seconds since 1970. Names are those of files, without "-cert.pem"; paths are below the directory.
        // place: 0 current, 1 replaced, 2 lost. revocation_reason: as in RFC 5280, 0 to 10.
        """
        CREATE TABLE certificates (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL,
            serial BLOB NOT NULL,
            subject TEXT NOT NULL,
            alternative_names TEXT NOT NULL,
            profile TEXT NOT NULL,
            key_type TEXT NOT NULL,
            is_ca INTEGER NOT NULL,
            not_before INTEGER NOT NULL,
            not_after INTEGER NOT NULL,
            place INTEGER NOT NULL,
            revoked_at INTEGER,
            revocation_reason INTEGER,
            invalid_since INTEGER,
            issued_at INTEGER NOT NULL,
            issued_by TEXT NOT NULL,
            certificate_path TEXT NOT NULL,
            key_path TEXT,
            chain_path TEXT,
            issuer_key BLOB NOT NULL,
            subject_key BLOB NOT NULL,
            fingerprint BLOB NOT NULL UNIQUE,
            template BLOB REFERENCES templates (digest),
            UNIQUE (issuer_key, serial)
        )
        """,
        "CREATE INDEX certificates_by_name ON certificates (name, place)",
        "CREATE INDEX certificates_by_end ON certificates (not_after)",
        "CREATE INDEX certificates_by_key ON certificates (subject_key)",
        "CREATE INDEX certificates_revoked ON certificates (issuer_key, revoked_at) WHERE revoked_at IS NOT NULL",
        // A table of its own, so that listings do not read the encodings.
        """
        CREATE TABLE certificate_contents (
            id INTEGER PRIMARY KEY REFERENCES certificates (id),
            der BLOB NOT NULL
        )
        """,
        """
        CREATE TABLE revocation_lists (
            id INTEGER PRIMARY KEY,
            issuer_key BLOB NOT NULL,
            number INTEGER NOT NULL,
            this_update INTEGER NOT NULL,
            next_update INTEGER NOT NULL,
            entries INTEGER NOT NULL,
            UNIQUE (issuer_key, number)
        )
        """,
        """
        CREATE TABLE audit (
            id INTEGER PRIMARY KEY,
            at INTEGER NOT NULL,
            who TEXT NOT NULL,
            action TEXT NOT NULL,
            name TEXT,
            serial BLOB,
            detail TEXT
        )
        """,
        """
        CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit table only grows'); END
        """,
        """
        CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit table only grows'); END
        """,
        // The steps of the last change in the directory: see FileMove.
        """
        CREATE TABLE file_moves (
            position INTEGER PRIMARY KEY,
            stage INTEGER NOT NULL,
            name TEXT NOT NULL,
            draft TEXT,
            replaces INTEGER NOT NULL,
            copy TEXT
        )
        """,
    ]

    private static let version2 = [
        // The requested lifetime in seconds, although the CA may expire before; NULL if unknown.
        "ALTER TABLE certificates ADD COLUMN lifetime INTEGER"
    ]

    private static let version3 = [
        // Every listing reads the few CAs without the other rows.
        "CREATE INDEX certificates_of_authorities ON certificates (place) WHERE is_ca = 1"
    ]

    private static let version4 = [
        // SHA-256 of the row before: see AuditChain.
        "ALTER TABLE audit ADD COLUMN previous BLOB",
        // INSERT OR REPLACE deletes without firing the trigger for deletions.
        """
        CREATE TRIGGER audit_is_never_replaced BEFORE INSERT ON audit
        WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'the audit table only grows'); END
        """,
    ]

    private static let version5 = [
        // For comparison: see CommonName. NULL if the subject has none.
        "ALTER TABLE certificates ADD COLUMN common_name TEXT",
        "CREATE INDEX certificates_by_common_name ON certificates (common_name) WHERE place = 0",
        // Each of several common names of one subject.
        """
        CREATE TABLE common_name_parts (
            name TEXT NOT NULL,
            certificate INTEGER NOT NULL REFERENCES certificates (id),
            PRIMARY KEY (name, certificate)
        )
        """,
        // See JoinToken. names and alternative_names: patterns, one a line. challenge: NULL for none.
        """
        CREATE TABLE tokens (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            names TEXT NOT NULL,
            alternative_names TEXT NOT NULL,
            template BLOB NOT NULL REFERENCES templates (digest),
            lifetime INTEGER NOT NULL,
            uses INTEGER NOT NULL,
            used INTEGER NOT NULL,
            replaces INTEGER NOT NULL,
            needs_approval INTEGER NOT NULL,
            challenge TEXT,
            created_at INTEGER NOT NULL,
            created_by TEXT NOT NULL,
            expires_at INTEGER NOT NULL,
            revoked_at INTEGER
        )
        """,
        // What was issued for a request: the same proof and request get the same certificate again.
        // request: SHA-256 of the request. proof: as EnrolmentProof.key, or `server`
        // for the server's own.
        """
        CREATE TABLE enrolments (
            proof TEXT NOT NULL,
            request BLOB NOT NULL,
            certificate INTEGER NOT NULL REFERENCES certificates (id),
            PRIMARY KEY (proof, request)
        )
        """,
        "CREATE INDEX enrolments_by_certificate ON enrolments (certificate)",
        // Names for which a replaced certificate tried to renew. What came later than the last certificate and the last
        // token of then may be used.
        """
        CREATE TABLE name_locks (
            name TEXT PRIMARY KEY,
            at INTEGER NOT NULL,
            serial BLOB NOT NULL,
            peer TEXT NOT NULL,
            last_certificate INTEGER NOT NULL,
            last_token INTEGER NOT NULL
        )
        """,
        // Requests that wait for a person. decision: 0 none yet, 1 approved, 2 denied.
        """
        CREATE TABLE pending_requests (
            id INTEGER PRIMARY KEY,
            proof TEXT NOT NULL,
            request BLOB NOT NULL,
            der BLOB NOT NULL,
            name TEXT NOT NULL,
            peer TEXT NOT NULL,
            asked_at INTEGER NOT NULL,
            decision INTEGER NOT NULL DEFAULT 0,
            decided_at INTEGER,
            decided_by TEXT,
            UNIQUE (proof, request)
        )
        """,
        // Accounts of ACME. thumbprint: of the key as a JWK (RFC 7638). key: SubjectPublicKeyInfo.
        """
        CREATE TABLE acme_accounts (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            thumbprint BLOB NOT NULL UNIQUE,
            key BLOB NOT NULL,
            token TEXT NOT NULL REFERENCES tokens (id),
            contacts TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            deactivated_at INTEGER
        )
        """,
        "CREATE INDEX acme_accounts_by_token ON acme_accounts (token)",
        // Orders of ACME. names: one a line, with its kind. challenges: one a line, for each name; NULL for none.
        // request: set while a person decides.
        """
        CREATE TABLE acme_orders (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            account TEXT NOT NULL REFERENCES acme_accounts (id),
            names TEXT NOT NULL,
            challenges TEXT,
            expires_at INTEGER NOT NULL,
            replaces TEXT,
            request BLOB,
            certificate INTEGER REFERENCES certificates (id),
            problem TEXT
        )
        """,
        "CREATE INDEX acme_orders_by_account ON acme_orders (account, number)",
        // The newest CRL of an issuer in an inventory that is not in the directory; NULL otherwise.
        "ALTER TABLE revocation_lists ADD COLUMN der BLOB",
    ]

    /// Migrates a database to the newest version; returns whether it was empty.
    static func migrate(_ database: any Connection) throws -> Bool {
        let version = Int(try database.schemaVersion())
        for statement in statements(database.dialect, after: version) { try database.execute(statement) }
        if version < migrations.count { try database.setSchemaVersion(Int64(migrations.count), oldest: oldestVersion) }
        if (1..<4).contains(version) { try chainAudit(in: database) }
        if (1..<5).contains(version) { try InventoryDatabase(database).fillCommonNames() }
        return version == 0
    }

    /// Adds digests to the rows of an audit of an earlier version.
    private static func chainAudit(in database: any Connection) throws {
        try database.execute("DROP TRIGGER audit_is_never_changed")
        try InventoryDatabase(database).chainAudit()
        try database.execute(version1.first { $0.contains("TRIGGER audit_is_never_changed") } ?? "")
    }

    /// Refuses a database of a newer version, and one whose schema is not this program's: a foreign view or trigger
    /// would run in this process. With `isLenient`, missing triggers are accepted.
    /// `others` are tables that a backup has beside those of the inventory.
    static func check(
        _ database: Database, path: String, isLenient: Bool, others: [String: String] = [:]
    ) throws {
        let version = try database.schemaVersion()
        guard version >= 0 else { throw damagedInventory(path, "its version is \(version)") }
        guard version <= migrations.count else {
            throw AuthorityError(
                .broken,
                "the inventory \(path) has version \(version); this program supports up to \(migrations.count)",
                hint: "use the newer version of pki that wrote it")
        }
        let found = try database.schema()
        let expected = schema(ofVersion: Int(version)).merging(others) { own, _ in own }
        for (name, text) in found.sorted(by: { $0.key < $1.key }) where expected[name] != text {
            throw damagedInventory(
                path,
                expected[name] == nil
                    ? "its schema contains \"\(printable(name, limit: 80))\", which is not part of an inventory"
                    : "the definition of \"\(name)\" was changed")
        }
        let missing = expected.filter { found[$0.key] == nil }
        guard let name = missing.keys.min() else { return }
        if isLenient, missing.values.allSatisfy({ $0.hasPrefix("CREATE TRIGGER") }) { return }
        guard missing.values.allSatisfy({ $0.hasPrefix("CREATE TRIGGER") }) else {
            throw damagedInventory(path, "\"\(name)\" is missing")
        }
        throw AuthorityError(
            .broken, "the inventory \(path) is damaged: the trigger \"\(name)\", which protects the audit, is missing",
            hint: "check the audit with pki audit --verify, then run pki doctor --repair")
    }

    /// The missing triggers, with their statements.
    static func missingTriggers(in database: any Connection) throws -> [String: String] {
        guard let file = database as? Database else { return try missingServerTriggers(in: database) }
        let found = try file.schema()
        return schema(ofVersion: Int(try database.schemaVersion())).filter {
            found[$0.key] == nil && $0.value.hasPrefix("CREATE TRIGGER")
        }
    }

    /// The statements of a version by the names of the tables, indices and triggers, as SQLite stores them.
    private static func schema(ofVersion version: Int) -> [String: String] {
        var texts: [String: String] = [:]
        for statement in migrations.prefix(version).joined() {
            let words = statement.split(maxSplits: 5) { $0 == " " || $0 == "\n" }
            if words[0] == "CREATE" {
                texts[String(words[2])] = statement
            } else if let table = texts[String(words[2])] {
                // ALTER TABLE name ADD COLUMN …: SQLite adds it after the last column.
                let constraint = ",\n    UNIQUE (".utf8
                let end =
                    table.utf8.indices.first { table.utf8[$0...].starts(with: constraint) } ?? table.lastIndex(of: ")")
                if let end { texts[String(words[2])] = "\(table[..<end]), \(words[5])\(table[end...])" }
            }
        }
        return texts
    }
}
