// SPDX-License-Identifier: Apache-2.0

import SQLite

/// The tables of the inventory, version by version.
///
/// Every statement of the inventory stands in this room, and in SQL that other databases understand as well.
enum InventorySchema {
    /// Marks the file as an inventory of this program: "pkiI".
    static let applicationIdentifier: Int32 = 0x706b_6949

    /// What leads from one version to the next; the first makes version 1.
    static let migrations: [[String]] = [version1, version2, version3]

    private static let version1 = [
        // The text of a template, so that a renewal does not depend on a file that may be gone.
        """
        CREATE TABLE templates (
            digest BLOB PRIMARY KEY,
            name TEXT NOT NULL,
            content BLOB NOT NULL
        )
        """,
        // Moments are seconds since 1970. Names are those of files, without "-cert.pem"; paths are below the folder.
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
        // What the last change still has to do to the folder, or has done: see FileMove.
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
        // How many seconds a certificate was to be good for, although its CA may have ended before. NULL when nobody knows.
        "ALTER TABLE certificates ADD COLUMN lifetime INTEGER"
    ]

    private static let version3 = [
        // Every list names the CAs, of which there are few: they are found without reading what is none.
        "CREATE INDEX certificates_of_authorities ON certificates (place) WHERE is_ca = 1"
    ]

    /// Brings a database to the newest version.
    ///
    /// - Parameter database: The database, in a transaction that may write.
    /// - Returns: Whether the inventory is a new one.
    /// - Throws: `SQLiteError`, or ``AuthorityError`` when a newer program made the file.
    static func migrate(_ database: Database) throws -> Bool {
        let version = Int(try database.userVersion())
        for statement in migrations.dropFirst(version).joined() { try database.execute(statement) }
        if version < migrations.count { try database.setUserVersion(Int32(migrations.count)) }
        return version == 0
    }

    /// Refuses a database that a newer program made.
    static func checkVersion(_ database: Database, path: String) throws {
        let version = try database.userVersion()
        guard version <= migrations.count else {
            throw AuthorityError(
                .broken,
                "the inventory \(path) is of version \(version), and this program knows \(migrations.count)",
                remedy: "use the newer pki that wrote it"
            )
        }
    }
}
