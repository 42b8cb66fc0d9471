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
    /// The statements with `$1` for `?`.
    private var translations: [String: String] = [:]
    private var knownVersion: Int64 = 0
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
            ("connect_timeout", "5"), ("keepalives_idle", "5"), ("keepalives_interval", "2"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "10000"), ("target_session_attrs", isReading ? "any" : "read-write"),
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
            throw SQLError(.unreachable, message.lastLine)
        }
        unsafe PQsetNoticeProcessor(connection, { _, _ in }, nil)
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
        let result = unsafe Parameters(values).run(translated(sql), on: handle)
        return try unsafe checked(result)
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
        case "XX001", "XX002": return .damaged
        // Too many connections, an ending or starting server, and a standby.
        case "53300", "57P01", "57P02", "57P03", "57P05", "25006", "25P03": return .unreachable
        default: return state.hasPrefix("08") || !isConnected ? .unreachable : .other
        }
    }

    private func translated(_ sql: String) -> String {
        if let known = translations[sql] { return known }
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
        translations[sql] = text
        return text
    }

    // MARK: - Transactions

    /// "pkiI": the writers of inventories in one database take turns.
    private static let lock = 0x706b_6949

    /// A transaction's settings hold for it alone. Commits wait for the disk, also where the server's default is not to.
    private static let begin = """
        BEGIN; \
        SET LOCAL lock_timeout = '20s'; SET LOCAL statement_timeout = '30s'; \
        SET LOCAL idle_in_transaction_session_timeout = '60s'; \
        SELECT set_config('synchronous_commit', 'on', true) \
        WHERE current_setting('synchronous_commit') IN ('off', 'local'); \
        SELECT pg_advisory_xact_lock(\(lock))
        """

    package func transaction<Result>(_ body: () throws -> Result) throws -> Result {
        let end = ContinuousClock.now + patience
        var pause: Duration = .milliseconds(50)
        while true {
            do {
                if let result = try once(body, until: end) { return result }
            } catch let error as SQLError {
                guard [.unreachable, .busy].contains(error.kind), ContinuousClock.now < end else { throw error }
                usleep(UInt32(pause.components.attoseconds / 1_000_000_000_000))
                pause = min(pause * 2, .milliseconds(800))
                // A server that only reads now is not the one to write to.
                if error.kind == .unreachable { disconnect() }
            }
        }
    }

    /// Runs the body in one transaction; `nil` if the connection was lost and nothing was committed.
    private func once<Result>(_ body: () throws -> Result, until end: ContinuousClock.Instant) throws -> Result? {
        if !isConnected { try connect() }
        let (result, identifier) = try begun(body)
        if try isCommitted() { return result }
        // Nothing was to be committed, or it is found out what became of it.
        guard let identifier else { return result }
        return try wasCommitted(identifier, until: end) ? result : nil
    }

    /// The body's result, and the transaction's number if it has changed something.
    private func begun<Result>(_ body: () throws -> Result) throws -> (Result, String?) {
        isInTransaction = true
        do {
            try run(Self.begin)
            let result = try body()
            return (result, try query("SELECT pg_current_xact_id_if_assigned()::text").first?.first?.text)
        } catch {
            isInTransaction = false
            if isConnected { try? run("ROLLBACK") }
            throw error
        }
    }

    /// Commits; `false` if the connection was lost, and what became of it is not known.
    private func isCommitted() throws(SQLError) -> Bool {
        isInTransaction = false
        do {
            try run("COMMIT")
            return true
        } catch {
            if error.kind == .unreachable { return false }
            throw error
        }
    }

    /// Asks for the end of a transaction whose connection was lost.
    private func wasCommitted(_ identifier: String, until end: ContinuousClock.Instant) throws -> Bool {
        repeat {
            if let known = try outcome(of: identifier) { return known }
            usleep(200_000)
        } while ContinuousClock.now < end
        throw SQLError(.unreachable, "the connection was lost during a commit, and its outcome is not known")
    }

    /// Whether a transaction was committed; `nil` if that is not known yet.
    private func outcome(of identifier: String) throws -> Bool? {
        do {
            try connect()
            switch try query("SELECT pg_xact_status(?::text::xid8)", .text(identifier)).first?.first?.text {
            case "committed": return true
            case "aborted": return false
            default: return nil
            }
        } catch let error as SQLError {
            // A standby that was promoted without the transaction does not know its number yet.
            return error.kind == .unreachable ? nil : false
        }
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

    // MARK: - Version

    package func schemaVersion() throws -> Int64 {
        // It only grows, and this program does not mind if it does.
        if knownVersion > 0 { return knownVersion }
        guard try query("SELECT to_regclass('inventory_version')::text").first?.first?.text != nil else { return 0 }
        knownVersion = try query("SELECT version FROM inventory_version").first?.first?.integer ?? 0
        return knownVersion
    }

    package func setSchemaVersion(_ version: Int64) throws {
        try run("CREATE TABLE IF NOT EXISTS inventory_version (version BIGINT NOT NULL)")
        try run("DELETE FROM inventory_version; INSERT INTO inventory_version VALUES (\(version))")
        knownVersion = 0
    }
}

extension String {
    fileprivate var firstLine: String { split(separator: "\n").first.map(String.init) ?? self }
    /// What libpq says about the last of several hosts.
    fileprivate var lastLine: String { split(separator: "\n").last.map(String.init) ?? self }
}
