// SPDX-License-Identifier: Apache-2.0

internal import CPostgreSQL
internal import Glibc
package import SQL
internal import SystemSupport

/// A connection to a server of PostgreSQL, by libpq, which is opened when it is first used.
///
/// It works behind PgBouncer in transaction mode: nothing is kept in a session, neither prepared statements nor settings nor
/// locks. It belongs to one owner at a time.
@safe package final class Server: Connection {
    package var dialect: Dialect { .postgreSQL }

    /// What the user gave, without a password, for messages.
    package let name: String
    private let parameters: [(keyword: String, value: String)]
    private let patience: Duration
    private var handle: OpaquePointer?
    /// What is known about each statement, by its text with `?`.
    private var statements: [String: KnownStatement] = [:]
    /// Whether the connection is to the server itself. Behind PgBouncer, each transaction may have another session, which does
    /// not know what was prepared.
    private var canPrepare = false
    private var preparedCount = 0
    private var knownVersions: (schema: Int64, oldest: Int64)?
    /// What this connection's marks are kept under.
    private let writer = Server.randomMark()
    private var hasMark = false
    private var hasNotice = false
    private var isInTransaction = false

    /// Connects to a server.
    ///
    /// - Parameters:
    ///   - address: A URL `postgresql://…` or the settings `host=… dbname=…`, with everything that libpq understands:
    ///     several hosts, service files, `PGPASSFILE` and the other variables.
    ///   - isReading: Whether a standby will do, which cannot be written to.
    ///   - patience: For how long ``transaction(_:)`` connects again to a server that was lost.
    /// - Throws: ``SQLError``.
    package init(_ address: String, isReading: Bool, patience: Duration = .seconds(30)) throws(SQLError) {
        let settings = try Self.settings(address)
        name = Self.name(of: settings)
        self.patience = patience
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

    deinit { disconnect() }

    // MARK: - Connecting

    /// The settings that an address gives.
    private static func settings(_ address: String) throws(SQLError) -> [String: String] {
        var message: UnsafeMutablePointer<CChar>?
        guard let options = unsafe PQconninfoParse(address, &message) else {
            let text = unsafe message.map { unsafe String(cString: $0) }
            unsafe PQfreemem(message)
            throw SQLError(.other, text?.firstLine ?? "no memory")
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
        let hosts =
            settings["hostaddr"] ?? settings["host"] ?? (unsafe getenv("PGHOST").map { unsafe String(cString: $0) })
        return (hosts ?? "").split(separator: ",").contains { host in
            !(host.hasPrefix("/") || host.hasPrefix("@") || host == "localhost" || host == "::1"
                || host.hasPrefix("127."))
        }
    }

    private func connect() throws(SQLError) {
        disconnect()
        let keywords = unsafe Self.strings(parameters.map(\.keyword))
        let values = unsafe Self.strings(parameters.map(\.value))
        let opened = unsafe PQconnectdbParams(keywords, values, 1)
        unsafe (keywords + values).forEach { unsafe free(UnsafeMutablePointer(mutating: $0)) }
        guard let connection = unsafe opened else { throw SQLError(.other, "no memory") }
        unsafe handle = connection
        guard unsafe PQstatus(connection) == CONNECTION_OK else {
            let message = unsafe String(cString: PQerrorMessage(connection))
            disconnect()
            throw Self.connectionError(message)
        }
        let receiver = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe PQsetNoticeProcessor(
            connection,
            { receiver, _ in
                if let receiver = unsafe receiver {
                    unsafe Unmanaged<Server>.fromOpaque(receiver).takeUnretainedValue().hasNotice = true
                }
            }, receiver)
        canPrepare = false
        // PgBouncer has a number of its own.
        let session = try run("SELECT pg_backend_pid()", [])
        canPrepare = unsafe session.next() && session.integer(0) == Int64(PQbackendPID(connection))
    }

    /// What libpq says about the last of several hosts, without its advice.
    private static func connectionError(_ message: String) -> SQLError {
        let failures = message.split(separator: "\n").filter { $0.hasPrefix("connection to server") }
        let text = failures.last.map(String.init) ?? message.firstLine
        let isDenied = ["authentication failed", "no password supplied", "permission denied"].contains {
            text.contains($0)
        }
        return SQLError(isDenied ? .denied : .unreachable, text)
    }

    /// Copies for C, with a null pointer at the end; the caller frees each.
    @unsafe private static func strings(_ texts: [String]) -> [UnsafePointer<CChar>?] {
        var copies = unsafe texts.map { unsafe UnsafePointer<CChar>(strdup($0)) }
        unsafe copies.append(nil)
        return unsafe copies
    }

    private func disconnect() {
        unsafe PQfinish(handle)
        unsafe handle = nil
        for sql in statements.keys { statements[sql]?.names = [:] }
    }

    private var isConnected: Bool { unsafe handle != nil && PQstatus(handle) == CONNECTION_OK }

    // MARK: - Statements

    package func visit(_ sql: String, _ values: [SQLValue], _ body: (borrowing Row) throws -> Void) throws {
        let result: QueryResult
        do {
            result = try run(sql, values)
        } catch {
            // What stands alone reads, and can be asked again.
            guard error.kind == .unreachable, !isInTransaction else { throw error }
            try connect()
            result = try run(sql, values)
        }
        while result.next() { try body(Row(result)) }
    }

    private func run(_ sql: String, _ values: [SQLValue]) throws(SQLError) -> QueryResult {
        if !isConnected {
            guard !isInTransaction else { throw SQLError(.unreachable, "the connection was lost") }
            try connect()
        }
        let parameters = Parameters(values)
        var known = statements[sql] ?? KnownStatement(sql)
        known.uses += 1
        statements[sql] = known
        // A plan that was made for small tables is not kept while they grow.
        if [100, 1_000, 10_000, 100_000].contains(known.uses) {
            for name in known.names.values { try run("DEALLOCATE \(name)") }
            known.names = [:]
        }
        if let name = known.names[parameters.types] {
            return try unsafe checked(parameters.run(prepared: name, on: handle))
        }
        // What is run once is not worth it; a condition that differs each time is not kept.
        if known.uses > 1, canPrepare, known.names.count < 4, statements.count < 500 {
            preparedCount += 1
            let name = "pki\(preparedCount)"
            _ = try unsafe checked(parameters.prepare(known.text, name: name, on: handle))
            known.names[parameters.types] = name
        }
        statements[sql] = known
        if let name = known.names[parameters.types] {
            return try unsafe checked(parameters.run(prepared: name, on: handle))
        }
        return try unsafe checked(parameters.run(known.text, on: handle))
    }

    /// Runs statements without values, separated by semicolons; the last result counts.
    private func run(_ sql: String) throws(SQLError) {
        let result = unsafe PQexec(handle, sql)
        _ = try unsafe checked(result)
    }

    private func checked(_ result: OpaquePointer?) throws(SQLError) -> QueryResult {
        guard let result = unsafe result else {
            throw SQLError(.unreachable, unsafe String(cString: PQerrorMessage(handle)).firstLine)
        }
        let status = unsafe PQresultStatus(result)
        if status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK { return unsafe QueryResult(result) }
        defer { unsafe PQclear(result) }
        let state = unsafe Self.field("C", of: result)
        let whole = unsafe String(cString: PQresultErrorMessage(result))
        let primary = unsafe Self.field("M", of: result)
        throw SQLError(Self.kind(state, isConnected: isConnected), primary ?? whole.firstLine)
    }

    @unsafe private static func field(_ code: Unicode.Scalar, of result: OpaquePointer) -> String? {
        unsafe PQresultErrorField(result, Int32(code.value)).map { unsafe String(cString: $0) }
    }

    /// The kind of an error by its SQLSTATE.
    private static func kind(_ state: String?, isConnected: Bool) -> SQLError.Kind {
        guard let state else { return isConnected ? .other : .unreachable }
        switch state {
        case "23505": return .duplicate
        case "40001", "40P01", "55P03", "57014": return .busy
        case "53100": return .full
        case "42501", "28000", "28P01": return .denied
        case "XX001", "XX002": return .damaged
        // Too many connections, an ending or starting server, and a standby.
        case "53300", "57P01", "57P02", "57P03", "57P05", "25006", "25P03": return .unreachable
        default: return state.hasPrefix("08") || !isConnected ? .unreachable : .other
        }
    }

    // MARK: - Transactions

    /// "pkiI": the writers of inventories in one database take turns.
    private static let lock = 0x706b_6949

    /// A transaction's settings hold for it alone. A server that is cut off must not hold the others up for long. Commits wait for
    /// the disk, also where the server's default is not to.
    private static let begin = """
        BEGIN; \
        SET LOCAL lock_timeout = '20s'; SET LOCAL statement_timeout = '30s'; \
        SET LOCAL idle_in_transaction_session_timeout = '10s'; \
        SELECT set_config('synchronous_commit', 'on', true) \
        WHERE current_setting('synchronous_commit') IN ('off', 'local'); \
        SELECT pg_advisory_xact_lock(\(lock))
        """

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
    private func begin() throws(SQLError) {
        isInTransaction = true
        do {
            try run(Self.begin)
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

    private static let hasChanged = "pg_current_xact_id_if_assigned() IS NOT NULL"

    /// Commits, and leaves a mark if something was changed; `false` if what became of the transaction is not known.
    private func commits(_ mark: String) throws(SQLError) -> Bool {
        let sweep =
            hasMark ? "" : "DELETE FROM inventory_writers WHERE at < now() - interval '1 day' AND \(Self.hasChanged);"
        let isDone = try isCommitted(
            """
            \(sweep) INSERT INTO inventory_writers (writer, mark, at) SELECT '\(writer)', '\(mark)', now() \
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
                "UPDATE inventory_writers SET at = now() WHERE writer = ? AND mark = ? RETURNING at", .text(writer),
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
        hasNotice = false
        do {
            try run(statements)
            return !hasNotice
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

    /// Refuses a server that takes no changes now.
    package func checkIsWritable() throws {
        let answer = try query("SELECT current_setting('transaction_read_only')").first?.first?.text
        if answer != "off" { throw SQLError(.unreachable, "the server is read-only") }
    }

    // MARK: - Version

    package func schemaVersion() throws -> Int64 { try versions().schema }

    /// The version of the schema, and the earliest version whose programs can still use the tables; 0 without tables.
    package func versions() throws -> (schema: Int64, oldest: Int64) {
        // They only grow, and a program that runs does not mind if they do: see setSchemaVersion.
        if let knownVersions { return knownVersions }
        guard try query("SELECT to_regclass('inventory_version')::text").first?.first?.text != nil else {
            return (0, 0)
        }
        guard let row = try query("SELECT version, oldest FROM inventory_version").first,
            let schema = row[0].integer, let oldest = row[1].integer
        else { return (0, 0) }
        knownVersions = (schema, oldest)
        return (schema, oldest)
    }

    /// Tables only grow from one version to the next, so that programs of both run at the same time; what no program uses any
    /// more is removed one version later. `oldest` says which programs may go on.
    package func setSchemaVersion(_ version: Int64, oldest: Int64) throws {
        try run(
            """
            CREATE TABLE IF NOT EXISTS inventory_version (version BIGINT NOT NULL, oldest BIGINT NOT NULL); \
            CREATE TABLE IF NOT EXISTS inventory_writers \
            (writer TEXT PRIMARY KEY, mark TEXT NOT NULL, at TIMESTAMPTZ NOT NULL); \
            DELETE FROM inventory_version; INSERT INTO inventory_version VALUES (\(version), \(oldest))
            """)
        knownVersions = nil
    }
}

/// A statement that was run before.
private struct KnownStatement {
    /// With `$1` for the first `?`.
    let text: String
    var uses = 0
    /// What it was prepared as on this connection, by the types of its values.
    var names: [[Oid]: String] = [:]

    init(_ sql: String) {
        var (text, count, isQuoted) = ("", 0, false)
        for character in sql {
            if character == "'" { isQuoted.toggle() }
            if character == "?", !isQuoted {
                count += 1
                text += "$\(count)"
            } else {
                text.append(character)
            }
        }
        self.text = text
    }
}

extension String {
    fileprivate var firstLine: String { split(separator: "\n").first.map(String.init) ?? self }
}
