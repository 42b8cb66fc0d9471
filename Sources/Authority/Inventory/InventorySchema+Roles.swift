// SPDX-License-Identifier: Apache-2.0

import PostgreSQL
import SQL

/// The roles of a server of PostgreSQL: what servers, people and readers may do.
extension InventorySchema {
    /// Group roles, which are not for logging in.
    static let roles = ["pki_server", "pki_admin", "pki_reader"]

    /// What the roles that write may do with a table besides reading it: add rows, change columns, remove rows.
    struct Rights {
        let table: String
        var inserts = true
        /// The columns that a new row may have; all if it is empty.
        var columns = ""
        var updates = ""
        var deletes = false
    }

    /// What serving needs. Rows of certificates stay, and those of the audit do not change.
    private static let serving = [
        Rights(table: "templates"),
        Rights(
            table: "certificates",
            updates: "name, place, certificate_path, key_path, chain_path, revoked_at, revocation_reason, invalid_since"
        ),
        Rights(table: "certificate_contents"),
        Rights(table: "common_name_parts"),
        Rights(table: "revocation_lists", updates: "der"),
        Rights(table: "audit"),
        // A use is counted, and the end of one that has expired is recorded.
        Rights(table: "tokens", inserts: false, updates: "used, expires_at"),
        Rights(table: "enrolments"),
        Rights(table: "name_locks", updates: "at, serial, peer, last_certificate, last_token"),
        // Not the decision.
        Rights(table: "pending_requests", columns: "proof, request, der, name, peer, asked_at"),
        Rights(table: "acme_accounts", updates: "contacts, deactivated_at, key, thumbprint"),
        Rights(table: "acme_orders", updates: "request, problem, challenges, certificate", deletes: true),
        Rights(table: "acme_nonces", deletes: true),
        Rights(table: "acme_nonce_key"),
        Rights(table: "inventory_writers", updates: "mark, at", deletes: true),
    ]

    /// What people decide, and a copy into empty tables.
    private static let administering = [
        Rights(table: "inventory_settings", deletes: true),
        Rights(table: "tokens", updates: "revoked_at"),
        Rights(table: "pending_requests", updates: "decision, decided_at, decided_by"),
    ]

    /// What a role may do besides reading.
    static func rights(of role: String) -> [Rights] {
        switch role {
        case roles[0]: serving
        case roles[1]: serving + administering
        default: []
        }
    }

    /// Creates a role if there is none; another process may do the same.
    static func creation(of role: String) -> String {
        """
        DO $pki$ BEGIN
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '\(role)') THEN CREATE ROLE \(role) NOLOGIN; END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END $pki$
        """
    }

    /// The statements that give a role its rights, in the schema of the connection.
    static func grants(to role: String) -> [String] {
        // The key of nonces is no reader's.
        let readable = InventoryTable.all.map(\.name) + ["inventory_version", "inventory_settings"]
        let tables =
            rights(of: role).isEmpty ? readable : readable + ["acme_nonces", "acme_nonce_key", "inventory_writers"]
        var statements = [
            // Who makes functions there has them called by others.
            """
            DO $pki$ BEGIN
            EXECUTE pg_catalog.format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', pg_catalog.current_schema());
            EXCEPTION WHEN insufficient_privilege THEN NULL;
            END $pki$
            """,
            """
            DO $pki$ BEGIN
            EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA %I TO \(role)', pg_catalog.current_schema());
            END $pki$
            """,
            "GRANT SELECT ON \(tables.joined(separator: ", ")) TO \(role)",
        ]
        for right in rights(of: role) {
            let parts =
                (right.inserts ? [right.columns.isEmpty ? "INSERT" : "INSERT (\(right.columns))"] : [])
                + (right.updates.isEmpty ? [] : ["UPDATE (\(right.updates))"])
                + (right.deletes ? ["DELETE"] : [])
            statements.append("GRANT \(parts.joined(separator: ", ")) ON \(right.table) TO \(role)")
        }
        if role == roles[1] {
            // As PostgreSQL names the counters of identity columns.
            let counters = InventoryTable.all.compactMap { table in table.counter.map { "\(table.name)_\($0)_seq" } }
            statements.append("GRANT SELECT, UPDATE ON SEQUENCE \(counters.joined(separator: ", ")) TO \(role)")
        }
        return statements
    }

    /// Makes the roles that are missing, and gives each its rights. Returns those that this login may not make.
    static func grantRoles(on server: Server) throws -> [String] {
        var missing: [String] = []
        for role in roles {
            do {
                try server.transaction { try server.execute(creation(of: role)) }
            } catch let error as SQLError where error.kind == .denied {
                missing.append(role)
                continue
            }
            try server.transaction { for statement in grants(to: role) { try server.execute(statement) } }
        }
        return missing
    }

    /// Makes missing triggers again, and turns on those that were turned off.
    static func restoreTriggers(on server: Server) throws {
        for (name, statement) in try missingServerTriggers(in: server) {
            try server.execute(statement.replacing("CREATE TRIGGER", with: "CREATE OR REPLACE TRIGGER"))
            try server.execute("ALTER TABLE audit ENABLE TRIGGER \(name)")
        }
    }

    /// Everything for psql, which may be run again.
    package static var script: String {
        let tables =
            statements(.postgreSQL, after: 0)
            + Server.versionStatements(
                Int64(migrations.count), oldest: oldestVersion)
        let made = tables.map { "\($0);" }.joined(separator: "\n\n")
        let roles = roles.flatMap { [creation(of: $0)] + grants(to: $0) }.map { "\($0);" }
        return """
            -- The inventory of a CA on PostgreSQL 14 or newer: its tables, of version \(migrations.count), and its roles.
            -- Run it as the owner of the database: psql --single-transaction --set ON_ERROR_STOP=1 --file FILE
            DO $pki$ BEGIN
            IF to_regclass('inventory_version') IS NULL THEN

            \(made)

            ELSIF (SELECT version FROM inventory_version) < \(migrations.count) THEN
                RAISE EXCEPTION 'the tables are of an earlier version: bring them up to date by pki inventory init --inventory URL';
            END IF;
            END $pki$;

            -- Group roles; give a login its rights by GRANT pki_server TO the_login.
            \(roles.joined(separator: "\n"))

            """
    }
}
