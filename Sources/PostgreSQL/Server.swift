// SPDX-License-Identifier: Apache-2.0

internal import CPostgreSQL
internal import Glibc
package import SQL
internal import SystemSupport

/// A connection to a server of PostgreSQL, by libpq, which is opened when it is first used.
///
/// It works behind PgBouncer in transaction mode: no setting and no lock outlives a transaction, and statements are prepared only
/// where the session is the connection's own. It belongs to one owner at a time.
@safe package final class Server: Connection {
    package var dialect: Dialect { .postgreSQL }

    /// What the user gave, without a password, for messages.
    package let name: String
    private let parameters: [(keyword: String, value: String)]
    private let patience: Duration
    private let hasLimits: Bool
    private var link: Link?
    private var knownVersions: (schema: Int64, oldest: Int64)?
    /// What this connection's marks are kept under.
    private let writer = Server.randomMark()
    private var hasMark = false
    private var isInTransaction = false

    /// Connects to a server.
    ///
    /// - Parameters:
    ///   - address: A URL `postgresql://…` or the settings `host=… dbname=…`, with everything that libpq understands:
    ///     several hosts, service files, `PGPASSFILE` and the other variables.
    ///   - isReading: Whether a standby will do, which cannot be written to.
    ///   - patience: For how long ``transaction(_:)`` connects again to a server that was lost.
    ///   - hasLimits: Whether a statement may take half a minute at most. Making tables can take longer.
    /// - Throws: ``SQLError``.
    package init(
        _ address: String, isReading: Bool, patience: Duration = .seconds(30), hasLimits: Bool = true
    ) throws(SQLError) {
        let settings = try Self.settings(address)
        // Its beginning would be part of the password.
        if let host = settings["host"], host.dropFirst().contains("@") {
            throw SQLError(.other, "its address has more than one @; in a password it is written %40")
        }
        name = Self.name(of: settings)
        self.patience = patience
        self.hasLimits = hasLimits
        var parameters = [
            // The connection to a machine that is gone must end before users give up.
            ("connect_timeout", "3"), ("keepalives_idle", "2"), ("keepalives_interval", "1"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "5000"), ("target_session_attrs", isReading ? "any" : "read-write"),
            ("client_encoding", "UTF8"), ("fallback_application_name", "pki"),
        ]
        if try Self.needsVerification(settings) { parameters.append(("sslmode", "verify-full")) }
        // What stands in the address comes after, and goes first.
        self.parameters = parameters + [("dbname", address)]
        try connect()
    }

    // MARK: - Connecting

    /// The settings that an address gives.
    private static func settings(_ address: String) throws(SQLError) -> [String: String] {
        var message: UnsafeMutablePointer<CChar>?
        guard let options = unsafe PQconninfoParse(address, &message) else {
            let text = unsafe message.map { unsafe String(cString: $0) }
            unsafe PQfreemem(message)
            // It may quote a password.
            throw SQLError(.other, text?.split(separator: "\"").first.map(String.init)?.firstLine ?? "no memory")
        }
        var settings: [String: String] = [:]
        var option = unsafe options
        while let keyword = unsafe option.pointee.keyword {
            if let value = unsafe option.pointee.val {
                unsafe settings[String(cString: keyword)] = unsafe String(cString: value)
            }
            unsafe option += 1
        }
        unsafe PQconninfoFree(options)
        return settings
    }

    /// The host and the database, or the service.
    private static func name(of settings: [String: String]) -> String {
        if let service = settings["service"] { return "service=\(printable(service, limit: 100))" }
        let host = settings["host"] ?? settings["hostaddr"] ?? ""
        let port = settings["port"].map { ":\($0)" } ?? ""
        return printable("postgresql://\(host)\(port)/\(settings["dbname"] ?? "")", limit: 200)
    }

    /// Whether the server's certificate must be verified although nothing was said about it: libpq itself would connect
    /// without encryption. A socket and this machine are near enough; what a service file says is not known here.
    private static func needsVerification(_ settings: [String: String]) throws(SQLError) -> Bool {
        guard settings["sslmode"] == nil, settings["service"] == nil else { return false }
        for variable in ["PGSSLMODE", "PGSERVICE"] where unsafe getenv(variable) != nil { return false }
        func variable(_ name: String) -> String? { unsafe getenv(name).map { unsafe String(cString: $0) } }
        let addresses = settings["hostaddr"] ?? variable("PGHOSTADDR") ?? ""
        let hosts = addresses.isEmpty ? settings["host"] ?? variable("PGHOST") ?? "" : addresses
        return hosts.split(separator: ",").contains { host in
            let isLoopback = host.hasPrefix("127.") && host.utf8.allSatisfy { $0 == 0x2e || (0x30...0x39).contains($0) }
            return !(host.hasPrefix("/") || host.hasPrefix("@") || host == "localhost" || host == "::1" || isLoopback)
        }
    }

    private func connect() throws(SQLError) {
        disconnect()
        link = try Link(parameters, patience: hasLimits ? .seconds(35) : nil)
    }

    private func disconnect() { link = nil }

    private var isConnected: Bool { link?.isUsable ?? false }

    // MARK: - Statements

    package func visit(_ sql: String, _ values: [SQLValue], _ body: (borrowing Row) throws -> Void) throws {
        var isBegun = false
        do {
            try usable().visit(sql, values) { row in
                isBegun = true
                try body(row)
            }
        } catch let error as SQLError {
            // What stands alone reads, and can be asked again.
            guard error.kind == .unreachable, !isInTransaction, !isBegun else { throw error }
            try connect()
            try usable().visit(sql, values, body)
        }
    }

    /// Runs statements without values, separated by semicolons; the last result counts.
    private func run(_ sql: String) throws(SQLError) { try usable().run(sql) }

    /// The connection; one that was lost is made again, but not within a transaction, which was lost with it.
    private func usable() throws(SQLError) -> Link {
        if let link, link.isUsable { return link }
        guard !isInTransaction else { throw SQLError(.unreachable, "the connection was lost") }
        try connect()
        guard let link else { throw SQLError(.unreachable, "the connection was lost") }
        return link
    }

    // MARK: - Transactions

    /// How writers of one inventory take turns: by a table, which needs the right to write it. Before there are tables, by a
    /// number, "pkiI".
    private static let turns = (
        table: "LOCK TABLE inventory_writers IN EXCLUSIVE MODE",
        number: "SELECT pg_catalog.pg_advisory_xact_lock(1886087497::bigint)"
    )

    /// A transaction's settings hold for it alone. A server that is cut off must not hold the others up for long. Commits wait for
    /// the disk, also where the server's default is not to.
    private func beginning(_ turn: String) -> String {
        let limits =
            hasLimits
            ? "SET LOCAL lock_timeout = '20s'; SET LOCAL statement_timeout = '30s'; "
                + "SET LOCAL idle_in_transaction_session_timeout = '10s'; " : ""
        return """
            BEGIN; \(limits)\
            SELECT pg_catalog.set_config('synchronous_commit', 'on', true) \
            WHERE pg_catalog.current_setting('synchronous_commit') IN ('off', 'local'); \
            \(turn)
            """
    }

    package func transaction<Result>(_ body: () throws -> Result) throws -> Result {
        let end = ContinuousClock.now + patience
        var pause: Duration = .milliseconds(50)
        var unknown: (result: Result, mark: String)?
        while true {
            do {
                if !isConnected { try connect() }
                try begin()
                if let (result, mark) = unknown {
                    if try wasCommitted(mark) { return result }
                    try begin()
                }
                unknown = nil
                let result = try changed(body)
                let mark = Self.randomMark()
                if try commits(mark) { return result }
                unknown = (result, mark)
            } catch let error as SQLError {
                guard [.unreachable, .busy].contains(error.kind) else { throw error }
                guard ContinuousClock.now < end else {
                    guard unknown != nil else { throw error }
                    throw SQLError(
                        .unreachable, "the connection was lost during a commit, and its outcome is not known")
                }
                usleep(UInt32(pause.components.attoseconds / 1_000_000_000_000))
                pause = min(pause * 2, .milliseconds(800))
                // A server that only reads now is not the one to write to.
                if error.kind == .unreachable { disconnect() }
            }
        }
    }

    /// Waits for the turn: from then on, what earlier transactions did on this server is known.
    private func begin() throws {
        let turn = try versions().schema == 0 ? Self.turns.number : Self.turns.table
        isInTransaction = true
        do {
            try run(beginning(turn))
        } catch {
            try? finish("ROLLBACK")
            throw error
        }
    }

    private func changed<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch {
            try? finish("ROLLBACK")
            throw error
        }
    }

    /// Ends the transaction, if it has not ended with the connection.
    private func finish(_ statement: String) throws(SQLError) {
        isInTransaction = false
        if isConnected { try run(statement) }
    }

    private static let hasChanged = "pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL"

    /// Commits, and leaves a mark if something was changed; `false` if what became of the transaction is not known.
    private func commits(_ mark: String) throws(SQLError) -> Bool {
        let sweep =
            hasMark
            ? ""
            : "DELETE FROM inventory_writers WHERE at < pg_catalog.now() - interval '1 day' AND \(Self.hasChanged);"
        let isDone = try isCommitted(
            """
            \(sweep) INSERT INTO inventory_writers (writer, mark, at) SELECT '\(writer)', '\(mark)', pg_catalog.now() \
            WHERE \(Self.hasChanged) \
            ON CONFLICT (writer) DO UPDATE SET mark = excluded.mark, at = excluded.at; \
            COMMIT
            """)
        if isDone { hasMark = true }
        return isDone
    }

    /// Whether this writer's last transaction has left a mark; ends the transaction that asks. Numbers of transactions would
    /// not tell: a standby that was promoted without one gives its number to another. The question changes the mark's row and commits,
    /// so that what it finds is on the synchronous standby as well.
    private func wasCommitted(_ mark: String) throws -> Bool {
        let isThere = try changed {
            try !query(
                "UPDATE inventory_writers SET at = pg_catalog.now() WHERE writer = ? AND mark = ? RETURNING at",
                .text(writer),
                .text(mark)
            ).isEmpty
        }
        guard isThere else {
            try finish("ROLLBACK")
            return false
        }
        guard try isCommitted("COMMIT") else { throw SQLError(.unreachable, "the connection was lost") }
        return true
    }

    /// Runs statements that end with a commit; `false` if the connection was lost, or the server did not wait for its standby: it
    /// says so in a notice.
    private func isCommitted(_ statements: String) throws(SQLError) -> Bool {
        isInTransaction = false
        guard isConnected else { return false }
        link?.hasNotice = false
        do {
            try run(statements)
            return !(link?.hasNotice ?? true)
        } catch {
            if error.kind == .unreachable { return false }
            if isConnected { try? run("ROLLBACK") }
            throw error
        }
    }

    private static func randomMark() -> String {
        String(UInt64.random(in: 0 ... .max), radix: 16) + String(UInt64.random(in: 0 ... .max), radix: 16)
    }

    package func attempt<Result>(_ body: () throws -> Result) throws -> Result {
        try run("SAVEPOINT attempt")
        do {
            let result = try body()
            try run("RELEASE attempt")
            return result
        } catch {
            if isConnected { try run("ROLLBACK TO attempt; RELEASE attempt") }
            throw error
        }
    }

    package func snapshot<Result>(_ body: () throws -> Result) throws -> Result {
        if !isConnected { try connect() }
        isInTransaction = true
        defer { try? finish("ROLLBACK") }
        try run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return try body()
    }

    /// Refuses a server that takes no changes now.
    package func checkIsWritable() throws {
        let answer = try query("SELECT pg_catalog.current_setting('transaction_read_only')").first?.first?.text
        if answer != "off" { throw SQLError(.unreachable, "the server is read-only") }
    }

    // MARK: - Version

    package func schemaVersion() throws -> Int64 { try versions().schema }

    /// The version of the schema, and the earliest version whose programs can still use the tables; 0 without tables.
    package func versions() throws -> (schema: Int64, oldest: Int64) {
        // They only grow, and a program that runs does not mind if they do: see setSchemaVersion.
        if let knownVersions { return knownVersions }
        guard try query("SELECT pg_catalog.to_regclass('inventory_version')::text").first?.first?.text != nil else {
            return (0, 0)
        }
        guard let row = try query("SELECT version, oldest FROM inventory_version").first,
            row.count == 2, let schema = row[0].integer, let oldest = row[1].integer
        else { return (0, 0) }
        knownVersions = (schema, oldest)
        return (schema, oldest)
    }

    /// Tables only grow from one version to the next, so that programs of both run at the same time; what no program uses any
    /// more is removed one version later. `oldest` says which programs may go on.
    package func setSchemaVersion(_ version: Int64, oldest: Int64) throws {
        try run(Self.versionStatements(version, oldest: oldest).joined(separator: "; "))
        knownVersions = nil
    }

    package static func versionStatements(_ version: Int64, oldest: Int64) -> [String] {
        [
            "CREATE TABLE IF NOT EXISTS inventory_version (version BIGINT NOT NULL, oldest BIGINT NOT NULL)",
            """
            CREATE TABLE IF NOT EXISTS inventory_writers \
            (writer TEXT PRIMARY KEY, mark TEXT NOT NULL, at TIMESTAMPTZ NOT NULL)
            """,
            "DELETE FROM inventory_version",
            "INSERT INTO inventory_version VALUES (\(version), \(oldest))",
        ]
    }
}
