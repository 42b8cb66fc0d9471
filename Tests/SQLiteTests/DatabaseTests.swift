// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemSupport
import Testing

import SQL
@testable import SQLite

@Suite struct DatabaseTests {
    /// A directory that goes with the test.
    private final class CADirectory {
        let path: String

        init() throws {
            var template = Array("/tmp/SQLiteTests-XXXXXX".utf8CString)
            try #require(unsafe mkdtemp(&template) != nil)
            path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }

        deinit {
            for name in ["d", "d-wal", "d-shm", "d-journal"] { _ = unsafe unlink("\(path)/\(name)") }
            _ = unsafe rmdir(path)
        }

        var file: String { "\(path)/d" }

        var directory: Directory { get throws { try Directory(path, for: .writing) } }

        /// Everything here, with its bytes.
        func contents() throws -> [String: [UInt8]] {
            let directory = try directory
            let names = try directory.names()
            return try Dictionary(
                uniqueKeysWithValues: names.map { name in
                    (name, unsafe try directory.read(name).bytes.withUnsafeBytes { unsafe Array($0) })
                }
            )
        }
    }

    private struct Failure: Error {}

    @Test(arguments: [SQLValue.null, 7, -1, "", "Straße \u{0} 'x'; --", .blob([]), .blob([0, 255, 10])])
    func `a value comes back as it went in`(_ value: SQLValue) throws {
        let directory = try CADirectory()
        let database = try Database(path: directory.file)
        try database.execute("CREATE TABLE t (v)")
        try database.execute("INSERT INTO t VALUES (?)", value)
        #expect(try database.query("SELECT v FROM t") == [[value]])
    }

    @Test func `a transaction that throws leaves nothing`() throws {
        let directory = try CADirectory()
        let database = try Database(path: directory.file)
        try database.execute("CREATE TABLE t (v)")
        #expect(throws: Failure.self) {
            try database.transaction {
                try database.execute("INSERT INTO t VALUES (?)", 1)
                throw Failure()
            }
        }
        try database.transaction(.process) { try database.execute("INSERT INTO t VALUES (?)", 2) }
        #expect(try database.query("SELECT v FROM t") == [[2]])
    }

    @Test func `what was committed is there for the next connection`() throws {
        let directory = try CADirectory()
        let first = try Database(path: directory.file)
        try first.execute("CREATE TABLE t (v)")
        try first.transaction { try first.execute("INSERT INTO t VALUES (?)", "kept") }
        try first.setSchemaVersion(3)
        let second = try Database(path: directory.file)
        #expect(try second.query("SELECT v FROM t") == [["kept"]])
        #expect(try second.schemaVersion() == 3)
    }

    @Test func `A3: after a checkpoint the file alone is a whole copy`() throws {
        let directory = try CADirectory()
        try Database(path: directory.file).execute("CREATE TABLE t (v)")
        for number in 0..<30 {
            let database = try Database("d", in: directory.directory, checkpointsAtEnd: false)
            try database.execute("INSERT INTO t VALUES (?)", .integer(Int64(number)))
            database.checkpoint()
            #expect(FileStatus(at: "\(directory.file)-wal")?.size == 0)
        }
        let database = try Database(path: directory.file)
        #expect(try database.query("SELECT count(*), sum(v) FROM t") == [[30, .integer(30 * 29 / 2)]])
        #expect(try database.query("PRAGMA integrity_check") == [["ok"]])
    }

    @Test func `two writers wait for each other, and one that waits too long is told`() throws {
        let directory = try CADirectory()
        let first = try Database(path: directory.file)
        let second = try Database(path: directory.file, busyTimeout: 1)
        try first.execute("CREATE TABLE t (v)")
        try first.transaction {
            let error = #expect(throws: SQLError.self) { try second.execute("INSERT INTO t VALUES (1)") }
            #expect(error?.isBusy == true)
        }
        try second.execute("INSERT INTO t VALUES (1)")
    }

    @Test func `the file is private to its owner`() throws {
        let directory = try CADirectory()
        let mask = umask(0)
        defer { umask(mask) }
        _ = try Database(path: directory.file)
        var status = stat()
        #expect(unsafe stat(directory.file, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test func `a file of another kind is refused`() throws {
        let directory = try CADirectory()
        let descriptor = unsafe open(directory.file, O_WRONLY | O_CREAT, 0o600)
        let text = Array(String(repeating: "no database\n", count: 100).utf8)
        #expect(unsafe write(descriptor, text, text.count) == text.count)
        close(descriptor)
        let error = #expect(throws: SQLError.self) { try Database(path: directory.file) }
        #expect(error?.isDamaged == true)
        let absent = #expect(throws: FileError.self) { try Database(path: "\(directory.path)/none/d") }
        #expect(absent?.isMissing == true)
    }

    @Test func `a database of another program is refused, and stays as it is`() throws {
        let directory = try CADirectory()
        try Database(path: directory.file, applicationIdentifier: 1).execute("CREATE TABLE t (v)")
        for other in [Int32(0), 2] {
            let error = #expect(throws: SQLError.self) {
                try Database(path: directory.file, applicationIdentifier: other)
            }
            #expect(error?.message == "it is the database of another program")
        }
        let own = try Database(path: directory.file, applicationIdentifier: 1)
        #expect(try own.query("SELECT name FROM sqlite_master") == [["t"]])
    }

    @Test func `a malformed statement is refused in SQLite's words`() throws {
        let directory = try CADirectory()
        let error = #expect(throws: SQLError.self) { try Database(path: directory.file).execute("SELEKT") }
        #expect(error?.message.contains("SELEKT") == true)
    }

    @Test func `who reads sees the log of a writer that is still open, and changes no byte`() throws {
        let directory = try CADirectory()
        let writer = try Database("d", in: directory.directory, applicationIdentifier: 7, checkpointsAtEnd: false)
        try writer.execute("CREATE TABLE t (v)")
        try writer.transaction { try writer.execute("INSERT INTO t VALUES (1)") }
        let before = try directory.contents()
        do {
            let reader = try Database(
                reading: "d", in: Directory(directory.path, for: .reading), applicationIdentifier: 7)
            #expect(try reader.query("SELECT v FROM t") == [[1]])
            #expect(throws: SQLError.self) { try reader.execute("INSERT INTO t VALUES (2)") }
            // What is committed meanwhile is for the next reader.
            try writer.transaction { try writer.execute("INSERT INTO t VALUES (3)") }
            #expect(try reader.query("SELECT v FROM t") == [[1]])
        }
        let log = try directory.contents()["d"]
        #expect(log == before["d"])
        let next = try Database(reading: "d", in: Directory(directory.path, for: .reading), applicationIdentifier: 7)
        #expect(try next.query("SELECT count(*) FROM t") == [[2]])
    }

    @Test func `a log is not moved into the file while somebody reads`() throws {
        let directory = try CADirectory()
        let writer = try Database("d", in: directory.directory, checkpointsAtEnd: false)
        try writer.execute("CREATE TABLE t (v)")
        for number in 0..<200 { try writer.execute("INSERT INTO t VALUES (?)", .integer(Int64(number))) }
        let reader = try Database(reading: "d", in: Directory(directory.path, for: .reading))
        let count = try reader.query("SELECT count(*) FROM t")
        writer.checkpoint()
        try writer.execute("DELETE FROM t")
        #expect(try reader.query("SELECT count(*) FROM t") == count && count == [[200]])
        #expect((FileStatus(at: "\(directory.file)-wal")?.size ?? 0) > 128 * 4096)
    }

    @Test func `B1: a journal is refused by who writes and left alone by who reads`() throws {
        let directory = try CADirectory()
        try Database(path: directory.file).execute("CREATE TABLE t (v)")
        try directory.directory.create("d-journal", SecretBytes(Array(repeating: 0xd9, count: 600)), mode: 0o600)
        #expect(throws: FileError.self) { try Database(path: directory.file) }
        let before = try directory.contents()
        let reader = try Database(reading: "d", in: Directory(directory.path, for: .reading))
        #expect(try reader.query("SELECT count(*) FROM t") == [[0]])
        #expect(try directory.contents() == before)
    }

    @Test(arguments: ["d", "d-wal", "d-shm"]) func `B1: a link in place of a file is refused`(name: String) throws {
        let directory = try CADirectory()
        try #require(unsafe symlink("/tmp/pki-must-not-be-there-\(getpid())", "\(directory.path)/\(name)") == 0)
        let error = #expect(throws: FileError.self) { try Database(path: directory.file) }
        #expect(error?.code == .kind)
        #expect(FileStatus(at: "/tmp/pki-must-not-be-there-\(getpid())", followsLinks: false) == nil)
    }

    @Test(arguments: ["d", "d-wal", "d-shm"]) func `B1: a file that others can write to is refused`(name: String) throws
    {
        let directory = try CADirectory()
        try directory.directory.create(name, SecretBytes([]), mode: 0o666)
        let error = #expect(throws: FileError.self) { try Database(path: directory.file) }
        #expect(error?.code == .foreign && error?.hint?.contains("chmod") == true)
    }

    @Test func `W11: a statement that does not come to an end is ended`() throws {
        let directory = try CADirectory()
        let database = try Database(path: directory.file)
        let endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
        let error = #expect(throws: SQLError.self) { try database.query(endless) }
        #expect(error?.isDamaged == true)
    }

    @Test func `a reader sorts more than fits its cache`() throws {
        let directory = try CADirectory()
        let writer = try Database(path: directory.file)
        try writer.execute("CREATE TABLE rows (text TEXT)")
        try writer.execute(
            """
            WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 30000)
            INSERT INTO rows SELECT hex(randomblob(100)) FROM number
            """)
        try writer.endLog()
        let reader = try Database(reading: "d", in: Directory(directory.path, for: .reading))
        var (count, last) = (0, "")
        try reader.visit("SELECT text FROM rows ORDER BY text") { row in
            let text = row.text(0)
            #expect(last <= text)
            (count, last) = (count + 1, text)
        }
        #expect(count == 30000)
    }
}
