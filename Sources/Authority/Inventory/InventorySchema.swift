// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SQLite
import SystemSupport

/// The tables of the inventory, version by version.
///
/// Every statement of the inventory is in this directory, in SQL that other databases understand as well.
enum InventorySchema {
    /// Marks the file as an inventory of this program: "pkiI".
    static let applicationIdentifier: Int32 = 0x706b_6949
    /// What leads from one version to the next; the first makes version 1.
    static let migrations: [[String]] = [version1, version2, version3, version4]
    private static let version1 = [
        // The text of a template, so that a renewal does not depend on a file that may be gone.
        """
        CREATE TABLE templates (
            digest BLOB PRIMARY KEY,
            name TEXT NOT NULL,
            content BLOB NOT NULL
        )
        """,
        // Moments are seconds since 1970. Names are those of files, without "-cert.pem"; paths are below the directory.
        // place: 0 in its place, 1 replaced by another, 2 lost. revocation_reason: as in RFC 5280, 0 to 10.
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
        // Apart, so that a list does not read through what it does not show.
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
        // What the last change still has to do to the directory, or has done: see FileMove.
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
        // Every list names the CAs, of which there are few: they are found without reading what is none.
        "CREATE INDEX certificates_of_authorities ON certificates (place) WHERE is_ca = 1"
    ]

    private static let version4 = [
        // SHA-256 of the row before: see InventoryDatabase+Audit.
        "ALTER TABLE audit ADD COLUMN previous BLOB",
        // INSERT OR REPLACE deletes without asking the trigger for deletions.
        """
        CREATE TRIGGER audit_is_never_replaced BEFORE INSERT ON audit
        WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'the audit table only grows'); END
        """,
    ]

    /// Brings a database to the newest version.
    static func migrate(_ database: Database) throws -> Bool {
        let version = Int(try database.userVersion())
        for statement in migrations.dropFirst(version).joined() { try database.execute(statement) }
        if version < migrations.count { try database.setUserVersion(Int32(migrations.count)) }
        if (1..<4).contains(version) { try chainAudit(in: database) }
        return version == 0
    }

    /// Links the rows of an audit that was begun without digests.
    private static func chainAudit(in database: Database) throws {
        try database.execute("DROP TRIGGER audit_is_never_changed")
        try InventoryDatabase(database).chainAudit()
        try database.execute(version1.first { $0.contains("TRIGGER audit_is_never_changed") } ?? "")
    }

    /// Refuses a database that a newer program made, and one in which there is anything but this program's own tables: a view
    /// or a trigger in it would run here.
    static func check(_ database: Database, path: String, isLenient: Bool) throws {
        let version = try database.userVersion()
        guard version >= 0 else { throw damagedInventory(path, "its version is \(version)") }
        guard version <= migrations.count else {
            throw AuthorityError(
                .broken, "the inventory \(path) is of version \(version), and this program knows \(migrations.count)",
                hint: "use the newer pki that wrote it")
        }
        let found = try database.schema()
        let expected = schema(ofVersion: Int(version))
        for (name, text) in found.sorted(by: { $0.key < $1.key }) where expected[name] != text {
            throw damagedInventory(
                path,
                expected[name] == nil
                    ? "pki does not make \"\(printable(name, limit: 80))\", which is in its schema"
                    : "\"\(name)\" is not defined as pki defines it")
        }
        let missing = expected.filter { found[$0.key] == nil }
        guard let name = missing.keys.min() else { return }
        if isLenient, missing.values.allSatisfy({ $0.hasPrefix("CREATE TRIGGER") }) { return }
        guard missing.values.allSatisfy({ $0.hasPrefix("CREATE TRIGGER") }) else {
            throw damagedInventory(path, "\"\(name)\" is missing")
        }
        throw AuthorityError(
            .broken,
            "the inventory \(path) is damaged: the trigger \"\(name)\" is missing, which keeps the audit from being changed",
            hint: "see whether it was changed: pki audit --verify; then: pki doctor --repair")
    }

    /// The triggers that are not there, with their texts.
    static func missingTriggers(in database: Database) throws -> [String: String] {
        let found = try database.schema()
        return schema(ofVersion: Int(try database.userVersion())).filter {
            found[$0.key] == nil && $0.value.hasPrefix("CREATE TRIGGER")
        }
    }

    /// The texts that SQLite keeps of the statements of a version, by the names of what they make.
    private static func schema(ofVersion version: Int) -> [String: String] {
        var texts: [String: String] = [:]
        for statement in migrations.prefix(version).joined() {
            let words = statement.split(maxSplits: 5) { $0 == " " || $0 == "\n" }
            if words[0] == "CREATE" {
                texts[String(words[2])] = statement
            } else if let table = texts[String(words[2])] {
                // ALTER TABLE name ADD COLUMN …: SQLite writes it behind the last column.
                let end = table.firstRange(of: ",\n    UNIQUE (")?.lowerBound ?? table.lastIndex(of: ")")
                if let end { texts[String(words[2])] = "\(table[..<end]), \(words[5])\(table[end...])" }
            }
        }
        return texts
    }
}
