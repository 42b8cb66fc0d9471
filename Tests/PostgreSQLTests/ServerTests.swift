// SPDX-License-Identifier: Apache-2.0

import Dispatch
import PostgreSQL
import SQL
import Synchronization
import TestSupport
import Testing

@Suite(.enabled(if: TestDatabase.isThere)) struct ServerTests {
    private let address: String

    /// A schema with a table.
    init() throws {
        address = try #require(try TestDatabase.newSchema())
        try server().execute("CREATE TABLE t (id BIGINT PRIMARY KEY, v TEXT)")
        // Transactions leave marks.
        try server().setSchemaVersion(1)
    }

    private func server() throws -> Server { try Server(address, isReading: false) }

    private struct Failure: Error {}

    private func rows() throws -> [[SQLValue]] { try server().query("SELECT id, v FROM t ORDER BY id") }

    @Test(arguments: [
        ("BIGINT", SQLValue.null), ("BIGINT", 7), ("BIGINT", -1), ("BIGINT", .integer(.max)),
        ("BIGINT", .integer(.min)),
        ("TEXT", .null), ("TEXT", ""), ("TEXT", "Straße 'x'; -- ? $1"), ("BYTEA", .null), ("BYTEA", .blob([])),
        ("BYTEA", .blob([0, 255, 10])),
    ])
    func `a value comes back as it went in`(_ type: String, _ value: SQLValue) throws {
        let server = try server()
        try server.execute("CREATE TABLE u (v \(type))")
        // A statement that is run again is prepared.
        for _ in 0..<3 { try server.execute("INSERT INTO u (v) VALUES (?)", value) }
        for _ in 0..<3 { #expect(try server.query("SELECT v FROM u") == [[value], [value], [value]]) }
        guard value != .null else { return }
        #expect(try server.query("SELECT count(*) FROM u WHERE v = ?", value) == [[3]])
        try server.visit("SELECT v FROM u LIMIT 1") { row in
            switch value {
            case .integer(let integer): #expect(row.integer(0) == integer)
            case .text(let text): #expect(row.text(0) == text)
            case .blob(let bytes): #expect(row.isBlob(0, equalTo: bytes) && row.blob(0) == bytes)
            case .null: break
            }
        }
    }

    @Test func `a question mark in quotes is no value`() throws {
        #expect(try server().query("SELECT '?', ?::bigint", 3) == [["?", 3]])
    }

    @Test func `errors have their kinds`() throws {
        let server = try server()
        try server.execute("INSERT INTO t VALUES (1, 'a')")
        func kind(_ sql: String) -> SQLError.Kind? {
            let error = #expect(throws: SQLError.self) { try server.execute(sql) }
            return error?.kind
        }
        #expect(kind("INSERT INTO t VALUES (1, 'b')") == .duplicate)
        #expect(kind("SELECT nothing") == .other)
        #expect(kind("SELECT * FROM t WHERE") == .other)
        #expect(kind("DELETE FROM pg_catalog.pg_class WHERE 1 / 0 = 1") == .other)
        #expect(try rows() == [[1, "a"]])
        let error = #expect(throws: SQLError.self) {
            try Server("postgresql://127.0.0.1:1/x?sslmode=disable", isReading: false, patience: .zero)
        }
        #expect(error?.kind == .unreachable)
    }

    @Test func `a transaction that throws leaves nothing`() throws {
        let server = try server()
        #expect(throws: Failure.self) {
            try server.transaction {
                try server.execute("INSERT INTO t VALUES (1, 'a')")
                throw Failure()
            }
        }
        try server.transaction { try server.execute("INSERT INTO t VALUES (2, 'b')") }
        #expect(try rows() == [[2, "b"]])
    }

    @Test func `an attempt that throws is undone, and the transaction goes on`() throws {
        let server = try server()
        try server.transaction {
            try server.execute("INSERT INTO t VALUES (1, 'a')")
            #expect(throws: SQLError.self) {
                try server.attempt {
                    try server.execute("INSERT INTO t VALUES (2, 'b')")
                    try server.execute("INSERT INTO t VALUES (1, 'c')")
                }
            }
            try server.attempt { try server.execute("INSERT INTO t VALUES (3, 'd')") }
        }
        #expect(try rows() == [[1, "a"], [3, "d"]])
    }

    @Test func `a transaction whose connection is lost is done once`() throws {
        let (server, other) = (try server(), try server())
        var runs = 0
        let result = try server.transaction {
            runs += 1
            try server.execute("INSERT INTO t VALUES (1, 'a')")
            if runs == 1 {
                let process = try server.query("SELECT pg_backend_pid()")[0][0]
                #expect(try other.query("SELECT pg_terminate_backend(?::int)", process) == [[1]])
            }
            return try server.query("SELECT count(*) FROM t")
        }
        #expect(result == [[1]] && runs == 2)
        #expect(try rows() == [[1, "a"]])
    }

    @Test func `what stands alone is asked again on a new connection`() throws {
        let (server, other) = (try server(), try server())
        let process = try server.query("SELECT pg_backend_pid()")[0][0]
        #expect(try other.query("SELECT pg_terminate_backend(?::int)", process) == [[1]])
        #expect(try server.query("SELECT count(*) FROM t") == [[0]])
    }

    @Test func `transactions of two connections take turns`() throws {
        let first = try server()
        // A thread of its own: those of tasks may all wait.
        let (isBegun, isDone) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let seen = Mutex<[[SQLValue]]>([])
        let address = address
        DispatchQueue.global().async {
            isBegun.wait()
            let server = try? Server(address, isReading: false)
            let rows = try? server?.transaction { try server?.query("SELECT v FROM t") }
            seen.withLock { $0 = (rows ?? nil) ?? [] }
            isDone.signal()
        }
        try first.transaction {
            isBegun.signal()
            try first.execute("INSERT INTO t VALUES (1, 'first')")
            #expect(isDone.wait(timeout: .now() + 0.3) == .timedOut)
        }
        #expect(isDone.wait(timeout: .now() + 60) == .success)
        #expect(seen.withLock { $0 } == [["first"]])
    }

    @Test func `a snapshot stays as it was, and does not write`() throws {
        let (server, other) = (try server(), try server())
        try server.snapshot {
            #expect(try server.query("SELECT count(*) FROM t") == [[0]])
            try other.transaction { try other.execute("INSERT INTO t VALUES (1, 'a')") }
            #expect(try server.query("SELECT count(*) FROM t") == [[0]])
        }
        #expect(try server.query("SELECT count(*) FROM t") == [[1]])
        #expect(throws: SQLError.self) { try server.snapshot { try server.execute("DELETE FROM t") } }
        #expect(try server.query("SELECT count(*) FROM t") == [[1]])
    }
}
