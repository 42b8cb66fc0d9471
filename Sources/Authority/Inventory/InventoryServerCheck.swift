// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import PostgreSQL
import SQL
import SystemSupport

/// Checks a server of PostgreSQL that has an inventory.
struct InventoryServerCheck {
    let server: any Connection
    let place: String
    private(set) var findings: [CADirectoryFinding] = []

    init(_ server: any Connection, at place: String) { (self.server, self.place) = (server, place) }

    private mutating func report(
        _ check: String, _ severity: CADirectoryFinding.Severity, _ message: String, _ hint: String? = nil
    ) {
        findings.append(.init(check: check, severity: severity, message: message, hint: hint, isRepairable: false))
    }

    private func text(_ expression: String) throws -> String {
        try server.query("SELECT (\(expression))::text").first?.first?.text ?? ""
    }

    private func isTrue(_ expression: String) throws -> Bool { try text(expression) == "true" }

    /// - Parameter clock: Tells the time before and after the server is asked for its own.
    mutating func run(clock: () -> Date) throws {
        try checkServer()
        try checkRights()
        try checkReplication()
        try checkClock(clock)
    }

    private mutating func checkServer() throws {
        let version = try server.schemaVersion()
        report(
            "database", .fine,
            "PostgreSQL \(printable(try text("current_setting('server_version')"), limit: 40)), tables of version \(version)"
        )
        for setting in ["fsync", "full_page_writes"] where try text("current_setting('\(setting)')") == "off" {
            report(
                "database", .failure, "\(setting) is off: a loss of power destroys the database",
                "turn it on: ALTER SYSTEM SET \(setting) = on")
        }
    }

    private mutating func checkRights() throws {
        let login = printable(try text("current_user"), limit: 80)
        var needed: [(role: String, lacking: [String])] = []
        for role in InventorySchema.roles {
            var lacking: [String] = []
            for table in InventoryTable.all where try !isTrue("has_table_privilege('\(table.name)', 'SELECT')") {
                lacking.append("SELECT on \(table.name)")
            }
            for right in InventorySchema.rights(of: role) {
                let wanted =
                    (right.inserts ? [("INSERT", "has_any_column_privilege('\(right.table)', 'INSERT')")] : [])
                    + (right.deletes ? [("DELETE", "has_table_privilege('\(right.table)', 'DELETE')")] : [])
                    + right.updates.split(separator: ", ").map {
                        ("UPDATE of \($0)", "has_column_privilege('\(right.table)', '\($0)', 'UPDATE')")
                    }
                for (name, question) in wanted where try !isTrue(question) {
                    lacking.append("\(name) on \(right.table)")
                }
            }
            needed.append((role, lacking))
        }
        let sufficient = needed.filter(\.lacking.isEmpty).map(\.role)
        if sufficient.contains("pki_admin") {
            report("rights", .fine, "\(login) may serve and administer")
        } else if sufficient.contains("pki_server") {
            report("rights", .fine, "\(login) may serve")
        } else if sufficient.contains("pki_reader") {
            report("rights", .notice, "\(login) may read only; pki serve-ca needs \(needed[0].lacking[0])")
        } else {
            report(
                "rights", .failure, "\(login) lacks \(needed[2].lacking[0])",
                "give it a role: GRANT pki_reader TO \(login)")
        }
        for right in ["UPDATE", "DELETE", "TRUNCATE"] where try isTrue("has_table_privilege('audit', '\(right)')") {
            report(
                "rights", .notice, "\(login) owns the tables, or may change the audit: only a trigger prevents it",
                "use a login that has a role: GRANT pki_server TO a login of its own")
            break
        }
    }

    /// What a failure of the machine can lose.
    private mutating func checkReplication() throws {
        if try isTrue("pg_is_in_recovery()") {
            return report("replication", .notice, "this is a standby, which is only read")
        }
        let standbys = try text("SELECT count(*) FROM pg_stat_replication")
        let names = try text("current_setting('synchronous_standby_names')")
        let commit = try text("current_setting('synchronous_commit')")
        if names.isEmpty {
            report(
                "replication", .notice,
                standbys == "0"
                    ? "no standby is connected: what was issued since the last backup is lost with the machine"
                    : "\(standbys) standbys, none synchronous: the last certificates can be lost with the machine",
                "docs/fleet.md shows one synchronous standby, with Patroni")
        } else if ["off", "local"].contains(commit) {
            // Transactions of this program ask for more.
            report(
                "replication", .notice,
                "synchronous_commit is \(commit); pki's own changes wait for the standbys all the same")
        } else {
            report(
                "replication", standbys == "0" ? .warning : .fine,
                standbys == "0"
                    ? "changes wait for a synchronous standby (\(printable(names, limit: 60))), and none is connected"
                    : "changes wait for a synchronous standby: \(printable(names, limit: 60))")
        }
    }

    private mutating func checkClock(_ clock: () -> Date) throws {
        let before = clock()
        let answer = try server.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint").first?.first
        let after = clock()
        let middle = before.timeIntervalSince1970 + after.timeIntervalSince(before) / 2
        let difference = Double(answer?.integer ?? 0) / 1000 - middle
        let seconds = Int(difference.magnitude.rounded())
        if difference.magnitude < 5 { return report("clock", .fine, "the server's clock is this machine's") }
        report(
            "clock", seconds < 60 ? .warning : .failure,
            "the server's clock is \(seconds) s \(difference > 0 ? "ahead of" : "behind") this machine's",
            "let both follow NTP: timedatectl status")
    }
}
