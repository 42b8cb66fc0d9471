// SPDX-License-Identifier: Apache-2.0

internal import CSQLite
internal import Glibc
package import SQL
package import SystemSupport

/// A connection to an SQLite database: prepares, binds and steps.
///
/// A connection belongs to one owner at a time and is not `Sendable`: keep it in a `Mutex`. A file is hostile input: it
/// is reached through its directory's descriptor, its schema is not trusted, and every statement has a limit of steps.
@safe package final class Database: Connection {
    /// What a committed transaction survives.
    package enum Durability: Sendable {
        /// The end of the process at any time.
        case process
        /// A loss of power too: the commit waits for the disk.
        case power
    }

    /// The largest value or statement, in bytes.
    private static let longestValue: Int32 = 64 << 20

    package var dialect: Dialect { .sqlite }

    private let handle: OpaquePointer
    private let directory: Directory?
    private let name: String
    private let checkpointsAtEnd: Bool
    /// The descriptor that keeps the file locked while it is read; -1 otherwise.
    private let reader: CInt
    /// The descriptor by which ``checkpoint()`` locks the file; -1 until then.
    private var locker: CInt = -1
    /// The file for ``OpenDatabases``; `nil` for a database in memory.
    private let place: String?
    private var statements: [String: Statement] = [:]
    private var durability: Durability?
    private let limit: StepLimit

    /// Opens a database for reading and writing, and makes the file when there is none: mode 0600, whatever the umask.
    /// The log is written ahead (WAL) and survives the end of the process at any time. A database with another
    /// `applicationIdentifier` is refused before anything in it is changed. `busyTimeout` is how long to wait for
    /// another writer, in milliseconds. Without `checkpointsAtEnd` the log stays when the last connection is closed,
    /// and writers call ``checkpoint()`` while they hold their lock. Throws `FileError` if the file or its log is not a regular file of this user alone, ``SQLError``
    /// if it is no database.
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
        // SQLite creates a file with the umask's mode, and a journal before there is a log: our own file is complete
        // before SQLite opens it, and has a log from the start.
        if !directory.contains(name) {
            let image = try Self.emptyImage(applicationIdentifier)
            do {
                try NewFile.write(name, in: directory, image, replacing: .never)
            } catch {
                guard error.code == .exists else { throw error }
            }
        }
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        place = directory.status(of: name)?.stamp.place
        OpenDatabases.add(place)
        do {
            unsafe handle = try Self.open("/proc/self/fd/\(directory.descriptor)/\(name)", flags, "pki-writing")
        } catch {
            OpenDatabases.remove(place, closing: [])
            throw error
        }
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
            applicationIdentifier: applicationIdentifier, busyTimeout: busyTimeout)
    }

    /// Opens a database read-only. Nothing is written, created or recovered; the log is read, a journal is not. While
    /// the value exists, ``checkpoint()`` of other processes does not change the file.
    package init(reading name: String, in directory: Directory, applicationIdentifier: Int32 = 0) throws {
        self.directory = directory
        self.name = name
        checkpointsAtEnd = false
        reader = try Self.lockForReading(name, in: directory)
        place = FileStatus(of: reader)?.stamp.place
        OpenDatabases.add(place)
        limit = StepLimit(fileSize: FileStatus(of: reader)?.size ?? 0)
        let flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        do {
            unsafe handle = try Self.open("\(directory.descriptor)/\(name)", flags, "pki-reading")
        } catch {
            OpenDatabases.remove(place, closing: [reader])
            throw error
        }
        unsafe pki_sqlite3_db_config_flag(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        // Before anything is read: the index of the log is then in this process's own memory.
        try execute("PRAGMA locking_mode = EXCLUSIVE")
        try defend()
        let mark = try query("PRAGMA application_id").first?.first?.integer ?? 0
        guard mark == Int64(applicationIdentifier) || mark == 0 else { throw Self.foreign }
    }

    /// Creates a database in memory.
    package init() throws(SQLError) {
        (directory, name, checkpointsAtEnd, reader, place) = (nil, "", false, -1, nil)
        limit = StepLimit(fileSize: 0)
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_MEMORY
        unsafe handle = try Self.open(":memory:", flags, nil)
        try defend()
    }

    deinit {
        statements.removeAll()
        unsafe sqlite3_close_v2(handle)
        OpenDatabases.remove(place, closing: [reader, locker].filter { $0 >= 0 })
    }

    // MARK: - Opening

    /// The bytes of an empty database with an application identifier and a log.
    private static func emptyImage(_ applicationIdentifier: Int32) throws(SQLError) -> SecretBytes {
        let empty = try Database()
        try empty.execute("PRAGMA application_id = \(applicationIdentifier == 0 ? 1 : applicationIdentifier)")
        if applicationIdentifier == 0 { try empty.execute("PRAGMA application_id = 0") }
        var size: sqlite3_int64 = 0
        guard let image = unsafe sqlite3_serialize(empty.handle, "main", &size, 0) else {
            throw SQLError(code: SQLITE_NOMEM, message: "out of memory")
        }
        defer { unsafe sqlite3_free(image) }
        var bytes = unsafe Array(UnsafeBufferPointer(start: image, count: Int(size)))
        // The versions of the file format for writing and reading: 2 is a database with a log (File Format §1.3.3).
        if bytes.count > 19 { (bytes[18], bytes[19]) = (2, 2) }
        return SecretBytes(bytes)
    }

    private static let registration = pki_sqlite3_register_file_systems()

    private static func open(_ name: String, _ flags: Int32, _ fileSystem: String?) throws(SQLError) -> OpaquePointer {
        guard registration == SQLITE_OK else { throw SQLError(code: registration, message: "SQLite does not start") }
        var opened: OpaquePointer?
        let status = unsafe sqlite3_open_v2(name, &opened, flags, fileSystem)
        guard let handle = unsafe opened else { throw SQLError(code: status, message: "out of memory") }
        guard status == SQLITE_OK else {
            let text = unsafe sqlite3_errmsg(handle).map { unsafe String(cString: $0) } ?? "error \(status)"
            unsafe sqlite3_close_v2(handle)
            throw SQLError(code: status, message: text)
        }
        return unsafe handle
    }

    /// Refuses a file, a log or shared memory that is not a regular file of this user alone, and a journal, which a
    /// database with a log never has: SQLite would roll it back and remove the file that it names.
    private static func checkFiles(_ name: String, in directory: Directory) throws(FileError) {
        for suffix in ["", "-wal", "-shm"] { try directory.checkOwn(name + suffix) }
        let journal = name + "-journal"
        guard directory.contains(journal) else { return }
        throw FileError(
            .foreign, "\"\(printable(directory.path(of: journal)))\" is a journal, which pki never creates",
            hint: "find out who created it, then remove it: rm \(Quoting.shell(directory.path(of: journal)))")
    }

    /// Takes the lock that keeps other processes from moving the log into the file.
    private static func lockForReading(_ name: String, in directory: Directory) throws -> CInt {
        let file = try directory.open(name)
        for _ in 0..<200 {
            if flock(file, LOCK_SH | LOCK_NB) == 0 { return file }
            // On a file system without such locks, no other process waits for one.
            guard errno == EWOULDBLOCK || errno == EINTR else { return file }
            usleep(10_000)
        }
        close(file)
        throw SQLError(code: SQLITE_BUSY, message: "another program has locked it")
    }

    /// Turns off everything that a hostile file could use.
    private func defend() throws(SQLError) {
        unsafe pki_sqlite3_db_config_flag(handle, SQLITE_DBCONFIG_DEFENSIVE, 1)
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
        // The file system for reading opens no temporary file.
        try execute("PRAGMA temp_store = MEMORY")
        try execute("PRAGMA cell_size_check = ON")
        try execute("PRAGMA mmap_size = 0")
    }

    /// Gives an empty database the application identifier, and refuses one with another.
    private func claim(_ identifier: Int32) throws(SQLError) {
        let mark = try query("PRAGMA application_id").first?.first?.integer ?? 0
        guard mark != Int64(identifier) else { return }
        let count = try query("SELECT COUNT(*) FROM sqlite_master").first?.first?.integer ?? 0
        guard mark == 0, count == 0 else { throw Self.foreign }
        try execute("PRAGMA application_id = \(identifier)")
    }

    private static var foreign: SQLError {
        SQLError(code: SQLITE_NOTADB, message: "it is the database of another program")
    }

    /// Moves the log into the file and empties it, so that the file alone is a whole copy. While another process reads,
    /// nothing is done: the next call does it.
    ///
    /// The caller holds the lock that keeps other writers out.
    package func checkpoint() {
        if locker < 0, let file = try? directory?.open(name) { locker = file }
        guard locker >= 0, flock(locker, LOCK_EX | LOCK_NB) == 0 else { return }
        defer { flock(locker, LOCK_UN) }
        _ = try? query("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    // MARK: - Copying

    /// Copies the whole database, its log included, over another one that is open for writing and not in a transaction.
    package func copy(over other: Database) throws(SQLError) {
        guard let job = unsafe sqlite3_backup_init(other.handle, "main", handle, "main") else {
            throw other.error(unsafe sqlite3_errcode(other.handle))
        }
        limit.begin()
        other.limit.begin()
        let status = unsafe sqlite3_backup_step(job, -1)
        unsafe sqlite3_backup_finish(job)
        guard status == SQLITE_DONE else { throw other.error(status) }
    }

    /// Rewrites the file without the pages of what was deleted.
    package func compact() throws(SQLError) {
        // SQLite builds the new file as an attached database.
        unsafe sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 1)
        defer { unsafe sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0) }
        try execute("VACUUM")
    }

    /// Moves the log into the file, and ends it: the file alone is the database, for readers that write nothing.
    package func endLog() throws(SQLError) { try execute("PRAGMA journal_mode = DELETE") }

    // MARK: - Statements

    /// Runs one statement, with a `?` for each value. It is prepared once and kept.
    package func execute(_ sql: String, _ values: SQLValue...) throws(SQLError) {
        _ = try rows(sql, values) { _ in }
    }

    /// Runs a statement and returns its rows, each with its columns.
    package func query(_ sql: String, _ values: SQLValue...) throws(SQLError) -> [[SQLValue]] {
        var rows: [[SQLValue]] = []
        try self.rows(sql, values) { rows.append($0) }
        return rows
    }

    /// Runs a statement and visits its rows, without copying columns that the body does not read. The body must not run
    /// the statement again; an error that it throws ends the visit.
    package func visit(_ sql: String, _ values: [SQLValue], _ body: (borrowing Row) throws -> Void) throws {
        let statement = try bound(sql, values)
        defer { statement.reset() }
        while try next(statement) { try body(Row(statement)) }
    }

    package func transaction<Result>(_ body: () throws -> Result) throws -> Result { try transaction(.power, body) }

    /// Runs the body in a transaction, which is rolled back if it throws.
    package func transaction<Result>(_ durability: Durability, _ body: () throws -> Result) throws -> Result {
        if self.durability != durability {
            try execute(durability == .power ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL")
            self.durability = durability
        }
        // Takes the write lock at once: two readers that both become writers would wait for each other.
        try execute("BEGIN IMMEDIATE")
        do {
            let result = try body()
            try execute("COMMIT")
            return result
        } catch {
            // After some errors SQLite has already rolled back.
            if unsafe sqlite3_get_autocommit(handle) == 0 { try? execute("ROLLBACK") }
            throw error
        }
    }

    package func snapshot<Result>(_ body: () throws -> Result) throws -> Result {
        try execute("BEGIN")
        defer { try? execute("COMMIT") }
        return try body()
    }

    /// Runs the body within a transaction; what it changed is undone if it throws.
    package func attempt<Result>(_ body: () throws -> Result) throws -> Result {
        try execute("SAVEPOINT attempt")
        do {
            let result = try body()
            try execute("RELEASE attempt")
            return result
        } catch {
            if unsafe sqlite3_get_autocommit(handle) == 0 {
                try execute("ROLLBACK TO attempt")
                try execute("RELEASE attempt")
            }
            throw error
        }
    }

    package func schemaVersion() throws(SQLError) -> Int64 {
        try query("PRAGMA user_version").first?.first?.integer ?? 0
    }

    package func setSchemaVersion(_ version: Int64, oldest: Int64) throws(SQLError) {
        try execute("PRAGMA user_version = \(version)")
    }

    /// The SQL of the tables, indices, views and triggers by their names.
    package func schema() throws(SQLError) -> [String: String] {
        let rows = try query("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return Dictionary(rows.map { ($0[0].text ?? "", $0[1].text ?? "") }) { first, _ in first }
    }

    private func rows(_ sql: String, _ values: [SQLValue], _ body: ([SQLValue]) -> Void) throws(SQLError) {
        let statement = try bound(sql, values)
        defer { statement.reset() }
        while try next(statement) { body(statement.values) }
    }

    private func bound(_ sql: String, _ values: [SQLValue]) throws(SQLError) -> Statement {
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

    /// Moves to the next row; `false` if there is none.
    private func next(_ statement: Statement) throws(SQLError) -> Bool {
        let status = statement.step()
        switch status {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default: throw error(status)
        }
    }

    private func prepared(_ sql: String) throws(SQLError) -> Statement {
        if let statement = statements[sql] { return statement }
        var prepared: OpaquePointer?
        let status = unsafe sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
        guard status == SQLITE_OK, let pointer = unsafe prepared else { throw error(status) }
        let statement = unsafe Statement(pointer)
        statements[sql] = statement
        return statement
    }

    private func error(_ status: Int32) -> SQLError {
        if status & 0xff == SQLITE_INTERRUPT {
            return SQLError(code: SQLITE_CORRUPT, message: "a statement exceeded the limit of steps")
        }
        var text = unsafe sqlite3_errmsg(handle).map { unsafe String(cString: $0) } ?? "error \(status)"
        var cause = unsafe sqlite3_system_errno(handle)
        // SQLite loses the reason why it cannot create a file next to the database when it then tries to open an
        // existing one.
        if status & 0xff == SQLITE_CANTOPEN, cause == ENOENT { cause = directory?.obstacle ?? cause }
        if cause != 0, [SQLITE_CANTOPEN, SQLITE_IOERR, SQLITE_FULL].contains(status & 0xff) {
            text += ": \(systemErrorText(cause))"
        }
        return SQLError(code: status, message: text)
    }
}
