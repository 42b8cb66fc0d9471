// SPDX-License-Identifier: Apache-2.0

internal import CSQLite
import Glibc

/// One connection to an SQLite database: prepares, binds and steps, and nothing more.
///
/// A connection belongs to one owner at a time and is not `Sendable`: keep it in a `Mutex`. The file is private to its
/// owner, written ahead (WAL), and survives the end of the process at any moment.
@safe public final class Database {
    /// What a committed transaction outlives.
    public enum Durability: Sendable {
        /// The end of the process at any moment.
        case process
        /// A loss of power too: the commit waits for the disk.
        case power
    }

    /// The pages written ahead that a connection leaves to the next, which reads them all before anything else.
    private static let longestLog = 128

    private let handle: OpaquePointer
    private let path: String
    private let checkpointsAtEnd: Bool
    private var statements: [String: Statement] = [:]
    private var durability: Durability?

    /// Opens a database, and makes the file when there is none: mode 0600, whatever the umask.
    ///
    /// - Parameters:
    ///   - path: Where the file is.
    ///   - applicationIdentifier: What marks the files of this kind. A database of another program is refused before
    ///     anything in it is changed.
    ///   - busyTimeout: How long to wait for another process that writes, in milliseconds.
    ///   - checkpointsAtEnd: Whether the last connection to close always moves what was written ahead into the file. For
    ///     processes that live for milliseconds it costs more than all they do; then it is done when there are 128 pages.
    /// - Throws: ``SQLiteError`` when the file cannot be opened or is no database.
    public init(
        path: String,
        applicationIdentifier: Int32 = 0,
        busyTimeout: Int32 = 10_000,
        checkpointsAtEnd: Bool = true
    ) throws(SQLiteError) {
        self.path = path
        self.checkpointsAtEnd = checkpointsAtEnd
        // SQLite makes a new file with the umask's mode: one of our own making is there before.
        try PrivateFile.makeIfAbsent(path)
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        let status = unsafe sqlite3_open_v2(path, &opened, flags, nil)
        guard let handle = unsafe opened else { throw SQLiteError(code: status, message: "out of memory") }
        unsafe self.handle = handle
        guard status == SQLITE_OK else { throw error(status) }
        unsafe sqlite3_busy_timeout(handle, busyTimeout)
        try claim(applicationIdentifier)
        try execute("PRAGMA journal_mode = WAL")
        if !checkpointsAtEnd {
            unsafe pki_sqlite3_db_config_flag(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            try execute("PRAGMA wal_autocheckpoint = \(Self.longestLog)")
        }
        try execute("PRAGMA foreign_keys = ON")
        try execute("PRAGMA trusted_schema = OFF")
    }

    deinit {
        statements.removeAll()
        // A commit that finds the log long moves it into the file, but only the same connection would then begin it anew:
        // the next process reads it all again and writes on at its end. So what is long is ended with the connection.
        if !checkpointsAtEnd, PrivateFile.size(of: "\(path)-wal") >= Self.longestLog * 4096 {
            unsafe pki_sqlite3_db_config_flag(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        }
        unsafe sqlite3_close_v2(handle)
    }

    /// Marks an empty database as this program's, and refuses one that bears another mark.
    private func claim(_ identifier: Int32) throws(SQLiteError) {
        let mark = try query("PRAGMA application_id").first?.first?.integer ?? 0
        guard mark != Int64(identifier) else { return }
        let count = try query("SELECT COUNT(*) FROM sqlite_master").first?.first?.integer ?? 0
        guard mark == 0, count == 0 else {
            throw SQLiteError(code: SQLITE_NOTADB, message: "it is the database of another program")
        }
        try execute("PRAGMA application_id = \(identifier)")
    }

    /// Runs a statement for its effect.
    ///
    /// - Parameters:
    ///   - sql: One statement, with a `?` for each value. It is prepared once and kept.
    ///   - values: The values.
    /// - Throws: ``SQLiteError``.
    public func execute(_ sql: String, _ values: SQLiteValue...) throws(SQLiteError) {
        _ = try rows(sql, values) { _ in }
    }

    /// Runs a statement and gives its rows one by one.
    ///
    /// - Parameters:
    ///   - sql: One statement, with a `?` for each value. It is prepared once and kept.
    ///   - values: The values.
    /// - Returns: The rows, each with its columns.
    /// - Throws: ``SQLiteError``.
    public func query(_ sql: String, _ values: SQLiteValue...) throws(SQLiteError) -> [[SQLiteValue]] {
        var rows: [[SQLiteValue]] = []
        try self.rows(sql, values) { rows.append($0) }
        return rows
    }

    /// Runs a statement and lends its rows one by one, without making values of what is not asked for.
    ///
    /// - Parameters:
    ///   - sql: One statement, with a `?` for each value. It is prepared once and kept; the body must not run it again.
    ///   - values: The values.
    ///   - body: Looks at a row.
    /// - Throws: ``SQLiteError``, or what the body throws, after which no more rows come.
    public func visit(_ sql: String, _ values: [SQLiteValue] = [], _ body: (borrowing Row) throws -> Void) throws {
        let statement = try bound(sql, values)
        defer { statement.reset() }
        while try next(statement) { try body(statement.row) }
    }

    /// Runs statements that count together or not at all.
    ///
    /// - Parameters:
    ///   - durability: What the commit outlives.
    ///   - body: Runs the statements. When it throws, nothing was changed.
    /// - Returns: What the body returns.
    /// - Throws: ``SQLiteError``, or what the body throws.
    public func transaction<Result>(
        _ durability: Durability = .power,
        _ body: () throws -> Result
    ) throws -> Result {
        if self.durability != durability {
            try execute(durability == .power ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL")
            self.durability = durability
        }
        // At once with the right to write: two readers that both want to write cannot wait for each other.
        try execute("BEGIN IMMEDIATE")
        do {
            let result = try body()
            try execute("COMMIT")
            return result
        } catch {
            // SQLite has rolled back by itself after some errors; then there is nothing left to do.
            if unsafe sqlite3_get_autocommit(handle) == 0 { try? execute("ROLLBACK") }
            throw error
        }
    }

    /// The version of the schema that stands in the file: 0 in a new one.
    public func userVersion() throws(SQLiteError) -> Int64 {
        try query("PRAGMA user_version").first?.first?.integer ?? 0
    }

    /// Writes the version of the schema.
    ///
    /// - Parameter version: The version.
    /// - Throws: ``SQLiteError``.
    public func setUserVersion(_ version: Int32) throws(SQLiteError) { try execute("PRAGMA user_version = \(version)") }

    private func rows(
        _ sql: String,
        _ values: [SQLiteValue],
        _ body: ([SQLiteValue]) -> Void
    ) throws(SQLiteError) {
        let statement = try bound(sql, values)
        defer { statement.reset() }
        while try next(statement) { body(statement.columns) }
    }

    private func bound(_ sql: String, _ values: [SQLiteValue]) throws(SQLiteError) -> Statement {
        let statement = try prepared(sql)
        for (index, value) in values.enumerated() {
            let status = statement.bind(value, at: Int32(index + 1))
            guard status == SQLITE_OK else {
                let failure = error(status)
                statement.reset()
                throw failure
            }
        }
        return statement
    }

    /// Goes on to the next row; `false` when there is none.
    private func next(_ statement: Statement) throws(SQLiteError) -> Bool {
        let status = statement.step()
        switch status {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default: throw error(status)
        }
    }

    private func prepared(_ sql: String) throws(SQLiteError) -> Statement {
        if let statement = statements[sql] { return statement }
        var prepared: OpaquePointer?
        let status = unsafe sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
        guard status == SQLITE_OK, let pointer = unsafe prepared else { throw error(status) }
        let statement = unsafe Statement(pointer)
        statements[sql] = statement
        return statement
    }

    private func error(_ status: Int32) -> SQLiteError {
        var text = unsafe sqlite3_errmsg(handle).map { unsafe String(cString: $0) } ?? "error \(status)"
        var cause = unsafe sqlite3_system_errno(handle)
        if status & 0xff == SQLITE_CANTOPEN, cause == ENOENT { cause = PrivateFile.obstacle(beside: path) ?? cause }
        if cause != 0, [SQLITE_CANTOPEN, SQLITE_IOERR, SQLITE_FULL].contains(status & 0xff) {
            text += ": \(unsafe String(cString: strerror(cause)).lowercased())"
        }
        return SQLiteError(code: status, message: text)
    }
}
