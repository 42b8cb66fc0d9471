// SPDX-License-Identifier: Apache-2.0

internal import CSQLite
internal import Glibc
package import SystemSupport

/// One connection to an SQLite database: prepares, binds and steps, and nothing more.
///
/// A connection belongs to one owner at a time and is not `Sendable`: keep it in a `Mutex`. A file is hostile input: it is
/// reached through its directory's descriptor, no statement of its schema is trusted, and no statement runs for ever.
@safe package final class Database {
    /// What a committed transaction outlives.
    package enum Durability: Sendable {
        /// The process may end at any time.
        case process
        /// A loss of power too: the commit waits for the disk.
        case power
    }

    /// The pages of the log that a command leaves to the next one, which reads them all before anything else.
    private static let longestLog = 128

    /// The largest value or statement, in bytes.
    private static let longestValue: Int32 = 64 << 20

    private let handle: OpaquePointer
    private let directory: Directory?
    private let name: String
    private let checkpointsAtEnd: Bool
    /// A database that is read is kept as it is: see ``Access/reading``.
    private let reader: CInt
    private var statements: [String: Statement] = [:]
    private var durability: Durability?
    /// What statements may still do; see ``StepLimit``.
    private let limit: StepLimit

    /// Opens a database for reading and writing, and makes the file when there is none: mode 0600, whatever the umask. The log
    /// is written ahead (WAL) and survives the end of the process at any time.
    ///
    /// - Parameters:
    ///   - name: The name of the file.
    ///   - directory: Where it is.
    ///   - applicationIdentifier: What marks the files of this kind. A database of another program is refused before
    ///     anything in it is changed.
    ///   - busyTimeout: How long to wait for another process that writes, in milliseconds.
    ///   - checkpointsAtEnd: Whether the last connection to close moves the log into the file. Without it, who writes calls
    ///     ``checkpointIfLong()``: for processes that live for milliseconds a checkpoint costs more than all they do.
    /// - Throws: `FileError` when the file or one beside it is no regular file of this user alone; ``SQLiteError`` when it
    ///   cannot be opened or is no database.
    package init(
        _ name: String, in directory: Directory, applicationIdentifier: Int32 = 0, busyTimeout: Int32 = 10_000,
        checkpointsAtEnd: Bool = true
    ) throws {
        self.directory = directory
        self.name = name
        self.checkpointsAtEnd = checkpointsAtEnd
        reader = -1
        limit = StepLimit(fileSize: directory.status(of: name)?.size ?? 0)
        try Self.checkFiles(name, in: directory)
        // SQLite makes a new file with the umask's mode, and a journal before the file has a log: one of our own making is there
        // before, whole, with a log from its first byte.
        if !directory.contains(name) {
            let image = try Self.emptyImage(applicationIdentifier)
            do {
                try NewFile.write(name, in: directory, image, replacing: .never)
            } catch {
                guard error.code == .exists else { throw error }
            }
        }
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        unsafe handle = try Self.open("/proc/self/fd/\(directory.descriptor)/\(name)", flags, "pki-writing")
        unsafe sqlite3_busy_timeout(handle, busyTimeout)
        try defend()
        if directory.status(of: name)?.size == 0 { try execute("PRAGMA journal_mode = MEMORY") }
        try claim(applicationIdentifier)
        try execute("PRAGMA journal_mode = WAL")
        if !checkpointsAtEnd {
            unsafe pki_sqlite3_db_config_flag(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            try execute("PRAGMA wal_autocheckpoint = 0")
        }
        try execute("PRAGMA foreign_keys = ON")
    }

    /// Opens a database by the path of its file, as above.
    package convenience init(path: String, applicationIdentifier: Int32 = 0, busyTimeout: Int32 = 10_000) throws {
        try self.init(
            FilePath.name(of: path), in: Directory(FilePath.parent(of: path), for: .output),
            applicationIdentifier: applicationIdentifier, busyTimeout: busyTimeout
        )
    }

    /// Opens a database to read it as it is. Nothing is written, made, locked or recovered; a log beside the file is read, a
    /// journal is not. While the value lives, ``checkpointIfLong()`` of other processes leaves the file as it is.
    ///
    /// - Parameters:
    ///   - name: The name of the file.
    ///   - directory: Where it is.
    ///   - applicationIdentifier: What marks the files of this kind.
    /// - Throws: `FileError` when there is no regular file of that name; ``SQLiteError`` when it is no database.
    package init(reading name: String, in directory: Directory, applicationIdentifier: Int32 = 0) throws {
        self.directory = directory
        self.name = name
        checkpointsAtEnd = false
        reader = try Self.lockForReading(name, in: directory)
        limit = StepLimit(fileSize: FileStatus(of: reader)?.size ?? 0)
        let flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        do {
            unsafe handle = try Self.open("\(directory.descriptor)/\(name)", flags, "pki-reading")
        } catch {
            close(reader)
            throw error
        }
        unsafe pki_sqlite3_db_config_flag(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        // Before anything is read: the index of the log is then in this process's own memory.
        try execute("PRAGMA locking_mode = EXCLUSIVE")
        try defend()
        let mark = try query("PRAGMA application_id").first?.first?.integer ?? 0
        guard mark == Int64(applicationIdentifier) || mark == 0 else { throw Self.foreign }
    }

    /// Makes a database in memory.
    ///
    /// - Throws: ``SQLiteError``.
    package init() throws(SQLiteError) {
        (directory, name, checkpointsAtEnd, reader) = (nil, "", false, -1)
        limit = StepLimit(fileSize: 0)
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_MEMORY
        unsafe handle = try Self.open(":memory:", flags, nil)
        try defend()
    }

    deinit {
        statements.removeAll()
        unsafe sqlite3_close_v2(handle)
        if reader >= 0 { close(reader) }
    }

    // MARK: - Opening

    /// The bytes of a database that bears a mark, keeps a log and has nothing in it.
    private static func emptyImage(_ applicationIdentifier: Int32) throws(SQLiteError) -> SecretBytes {
        let empty = try Database()
        try empty.execute("PRAGMA application_id = \(applicationIdentifier == 0 ? 1 : applicationIdentifier)")
        if applicationIdentifier == 0 { try empty.execute("PRAGMA application_id = 0") }
        var size: sqlite3_int64 = 0
        guard let image = unsafe sqlite3_serialize(empty.handle, "main", &size, 0) else {
            throw SQLiteError(code: SQLITE_NOMEM, message: "out of memory")
        }
        defer { unsafe sqlite3_free(image) }
        var bytes = unsafe Array(UnsafeBufferPointer(start: image, count: Int(size)))
        // The versions of the file format for writing and reading: 2 is a database with a log (File Format §1.3.3).
        if bytes.count > 19 { (bytes[18], bytes[19]) = (2, 2) }
        return SecretBytes(bytes)
    }

    private static let registration = pki_sqlite3_register_file_systems()

    private static func open(_ name: String, _ flags: Int32, _ fileSystem: String?) throws(SQLiteError) -> OpaquePointer
    {
        guard registration == SQLITE_OK else { throw SQLiteError(code: registration, message: "SQLite does not start") }
        var opened: OpaquePointer?
        let status = unsafe sqlite3_open_v2(name, &opened, flags, fileSystem)
        guard let handle = unsafe opened else { throw SQLiteError(code: status, message: "out of memory") }
        guard status == SQLITE_OK else {
            let text = unsafe sqlite3_errmsg(handle).map { unsafe String(cString: $0) } ?? "error \(status)"
            unsafe sqlite3_close_v2(handle)
            throw SQLiteError(code: status, message: text)
        }
        return unsafe handle
    }

    /// Refuses a file, a log or shared memory that is no regular file of this user alone, and a journal, which a database with
    /// a log never has: SQLite would roll it back, and remove the file that it names.
    private static func checkFiles(_ name: String, in directory: Directory) throws(FileError) {
        for suffix in ["", "-wal", "-shm"] { try directory.checkOwn(name + suffix) }
        let journal = name + "-journal"
        guard directory.contains(journal) else { return }
        throw FileError(
            .foreign, "\"\(printable(directory.path(of: journal)))\" is a journal, which pki never makes",
            hint: "find out who made it, and take it away: rm \(Quoting.shell(directory.path(of: journal)))")
    }

    /// Takes the lock that keeps other processes from moving the log into the file.
    private static func lockForReading(_ name: String, in directory: Directory) throws -> CInt {
        let file = try directory.open(name)
        for _ in 0..<200 {
            if flock(file, LOCK_SH | LOCK_NB) == 0 { return file }
            // Where the file system has no such locks, no other process waits for one.
            guard errno == EWOULDBLOCK || errno == EINTR else { return file }
            usleep(10_000)
        }
        close(file)
        throw SQLiteError(code: SQLITE_BUSY, message: "another program has locked it")
    }

    /// What a hostile file must not be able to do.
    private func defend() throws(SQLiteError) {
        for option in [SQLITE_DBCONFIG_DEFENSIVE] {
            unsafe pki_sqlite3_db_config_flag(handle, option, 1)
        }
        for option in [
            SQLITE_DBCONFIG_TRUSTED_SCHEMA, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, SQLITE_DBCONFIG_WRITABLE_SCHEMA,
            SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER,
        ] {
            unsafe pki_sqlite3_db_config_flag(handle, option, 0)
        }
        unsafe sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, Self.longestValue)
        unsafe sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0)
        unsafe sqlite3_limit(handle, SQLITE_LIMIT_TRIGGER_DEPTH, 4)
        unsafe limit.install(on: handle)
        try execute("PRAGMA cell_size_check = ON")
        try execute("PRAGMA mmap_size = 0")
    }

    /// Marks an empty database as this program's, and refuses one that bears another mark.
    private func claim(_ identifier: Int32) throws(SQLiteError) {
        let mark = try query("PRAGMA application_id").first?.first?.integer ?? 0
        guard mark != Int64(identifier) else { return }
        let count = try query("SELECT COUNT(*) FROM sqlite_master").first?.first?.integer ?? 0
        guard mark == 0, count == 0 else { throw Self.foreign }
        try execute("PRAGMA application_id = \(identifier)")
    }

    private static var foreign: SQLiteError {
        SQLiteError(code: SQLITE_NOTADB, message: "it is the database of another program")
    }

    /// Moves a long log into the file and empties it, unless another process is reading; then it is left for the next time.
    ///
    /// The caller holds the lock that keeps other writers out.
    package func checkpointIfLong() {
        guard let directory, (directory.status(of: "\(name)-wal")?.size ?? 0) >= Self.longestLog * 4096,
            let file = try? directory.open(name)
        else { return }
        defer { close(file) }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else { return }
        _ = try? query("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    // MARK: - Statements

    /// Runs a statement for its effect.
    ///
    /// - Parameters:
    ///   - sql: One statement, with a `?` for each value. It is prepared once and kept.
    ///   - values: The values.
    /// - Throws: ``SQLiteError``.
    package func execute(_ sql: String, _ values: SQLiteValue...) throws(SQLiteError) {
        _ = try rows(sql, values) { _ in }
    }

    /// Runs a statement and gives its rows one by one.
    ///
    /// - Parameters:
    ///   - sql: One statement, with a `?` for each value. It is prepared once and kept.
    ///   - values: The values.
    /// - Returns: The rows, each with its columns.
    /// - Throws: ``SQLiteError``.
    package func query(_ sql: String, _ values: SQLiteValue...) throws(SQLiteError) -> [[SQLiteValue]] {
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
    package func visit(_ sql: String, _ values: [SQLiteValue] = [], _ body: (borrowing Row) throws -> Void) throws {
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
    package func transaction<Result>(_ durability: Durability = .power, _ body: () throws -> Result) throws -> Result {
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

    /// The version of the schema in the file: 0 in a new one.
    package func userVersion() throws(SQLiteError) -> Int64 {
        try query("PRAGMA user_version").first?.first?.integer ?? 0
    }

    /// Writes the version of the schema.
    ///
    /// - Parameter version: The version.
    /// - Throws: ``SQLiteError``.
    package func setUserVersion(_ version: Int32) throws(SQLiteError) {
        try execute("PRAGMA user_version = \(version)")
    }

    /// The text of everything in the schema that has one, by its name: tables, indices, views and triggers.
    package func schema() throws(SQLiteError) -> [String: String] {
        let rows = try query("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return Dictionary(rows.map { ($0[0].text ?? "", $0[1].text ?? "") }) { first, _ in first }
    }

    private func rows(_ sql: String, _ values: [SQLiteValue], _ body: ([SQLiteValue]) -> Void) throws(SQLiteError) {
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
        limit.begin()
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
        if status & 0xff == SQLITE_INTERRUPT {
            return SQLiteError(code: SQLITE_CORRUPT, message: "a statement does not come to an end")
        }
        var text = unsafe sqlite3_errmsg(handle).map { unsafe String(cString: $0) } ?? "error \(status)"
        var cause = unsafe sqlite3_system_errno(handle)
        // SQLite forgets why no file can be made beside a database while it tries to open one that is there.
        if status & 0xff == SQLITE_CANTOPEN, cause == ENOENT { cause = directory?.obstacle ?? cause }
        if cause != 0, [SQLITE_CANTOPEN, SQLITE_IOERR, SQLITE_FULL].contains(status & 0xff) {
            text += ": \(systemErrorText(cause))"
        }
        return SQLiteError(code: status, message: text)
    }
}
