// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import SQLite

@Suite struct DatabaseTests {
    /// A folder that goes with the test.
    private final class Folder {
        let path: String

        init() throws {
            var template = Array("/tmp/SQLiteTests-XXXXXX".utf8CString)
            try #require(unsafe mkdtemp(&template) != nil)
            path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }

        deinit {
            for name in ["d", "d-wal", "d-shm"] { _ = unsafe unlink("\(path)/\(name)") }
            _ = unsafe rmdir(path)
        }

        var file: String { "\(path)/d" }
    }

    private struct Failure: Error {}

    @Test(arguments: [SQLiteValue.null, 7, -1, "", "Straße \u{0} 'x'; --", .blob([]), .blob([0, 255, 10])])
    func `a value comes back as it went in`(_ value: SQLiteValue) throws {
        let folder = try Folder()
        let database = try Database(path: folder.file)
        try database.execute("CREATE TABLE t (v)")
        try database.execute("INSERT INTO t VALUES (?)", value)
        #expect(try database.query("SELECT v FROM t") == [[value]])
    }

    @Test func `a transaction that throws leaves nothing`() throws {
        let folder = try Folder()
        let database = try Database(path: folder.file)
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
        let folder = try Folder()
        let first = try Database(path: folder.file)
        try first.execute("CREATE TABLE t (v)")
        try first.transaction { try first.execute("INSERT INTO t VALUES (?)", "kept") }
        try first.setUserVersion(3)
        let second = try Database(path: folder.file)
        #expect(try second.query("SELECT v FROM t") == [["kept"]])
        #expect(try second.userVersion() == 3)
    }

    @Test func `what is written ahead does not grow from connection to connection`() throws {
        let folder = try Folder()
        try Database(path: folder.file).execute("CREATE TABLE t (v)")
        var largest = 0
        for number in 0..<300 {
            // One commit each: a second one would begin the log anew.
            let database = try Database(path: folder.file, checkpointsAtEnd: false)
            try database.execute("INSERT INTO t VALUES (?)", .integer(Int64(number)))
            largest = max(largest, PrivateFile.size(of: "\(folder.file)-wal"))
        }
        #expect(largest > 100 * 4096, "most connections leave it to the next")
        #expect(largest < 140 * 4120)
        let database = try Database(path: folder.file)
        #expect(try database.query("SELECT count(*), sum(v) FROM t") == [[300, .integer(300 * 299 / 2)]])
        #expect(try database.query("PRAGMA integrity_check") == [["ok"]])
    }

    @Test func `two writers wait for each other, and one that waits too long is told`() throws {
        let folder = try Folder()
        let first = try Database(path: folder.file)
        let second = try Database(path: folder.file, busyTimeout: 1)
        try first.execute("CREATE TABLE t (v)")
        try first.transaction {
            let error = #expect(throws: SQLiteError.self) { try second.execute("INSERT INTO t VALUES (1)") }
            #expect(error?.isBusy == true)
        }
        try second.execute("INSERT INTO t VALUES (1)")
    }

    @Test func `the file is private to its owner`() throws {
        let folder = try Folder()
        let mask = umask(0)
        defer { umask(mask) }
        _ = try Database(path: folder.file)
        var status = stat()
        #expect(unsafe stat(folder.file, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test func `a file of another kind is refused`() throws {
        let folder = try Folder()
        let descriptor = unsafe open(folder.file, O_WRONLY | O_CREAT, 0o600)
        let text = Array(String(repeating: "no database\n", count: 100).utf8)
        #expect(unsafe write(descriptor, text, text.count) == text.count)
        close(descriptor)
        let error = #expect(throws: SQLiteError.self) { try Database(path: folder.file) }
        #expect(error?.isDamaged == true)
        let absent = #expect(throws: SQLiteError.self) { try Database(path: "\(folder.path)/none/d") }
        #expect(absent?.isDamaged == false)
    }

    @Test func `a database of another program is refused, and stays as it is`() throws {
        let folder = try Folder()
        try Database(path: folder.file, applicationIdentifier: 1).execute("CREATE TABLE t (v)")
        for other in [Int32(0), 2] {
            let error = #expect(throws: SQLiteError.self) {
                try Database(path: folder.file, applicationIdentifier: other)
            }
            #expect(error?.message == "it is the database of another program")
        }
        let own = try Database(path: folder.file, applicationIdentifier: 1)
        #expect(try own.query("SELECT name FROM sqlite_master") == [["t"]])
    }

    @Test func `a malformed statement is refused in SQLite's words`() throws {
        let folder = try Folder()
        let error = #expect(throws: SQLiteError.self) { try Database(path: folder.file).execute("SELEKT") }
        #expect(error?.message.contains("SELEKT") == true)
    }
}
