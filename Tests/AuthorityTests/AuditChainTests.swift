// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SQL
import SQLite
import SystemSupport
import Testing

@testable import Authority

@Suite final class AuditChainTests {
    private let place: TemporaryDirectory

    init() throws { place = try TemporaryDirectory() }

    private let now = Date(timeIntervalSince1970: 1_800_000_000)

    private func directory() throws -> String {
        var generator = SystemRandomNumberGenerator()
        let request = RootRequest(template: try BuiltInTemplate.root.template)
        _ = try CertificateAuthority.create(in: place.path, request, by: "a", now: now, using: &generator)
        let inventory = try Inventory(in: place.path, by: "a", now: now)
        for detail in ["one", "two", "three"] {
            try inventory.change(now: now) { try $0.audit(.passphrase, "web-1", nil, detail: detail) }
        }
        return place.path
    }

    private func alter(_ path: String, _ statements: String...) throws {
        let database = try database(path)
        for statement in statements { try database.execute(statement) }
    }

    /// The inventory without anybody's rules.
    private func database(_ path: String) throws -> Database {
        try Database(
            Inventory.fileName, in: Directory(path, for: .writing),
            applicationIdentifier: InventorySchema.applicationIdentifier)
    }

    @Test func `a chain that nobody touched is whole, and its head can be kept`() throws {
        let path = try directory()
        let chain = try Inventory(reading: path, now: now).verifyAudit()
        #expect(chain.breaks.isEmpty && chain.count == 4)
        let head = try #require(chain.head)
        #expect(AuditChain.Head("\(head)") == head)
        #expect(try Inventory(reading: path, now: now).verifyAudit(containing: head).breaks.isEmpty)
        for text in ["", "4", "4:", "4:zz", "x:\(head.description.dropFirst(2))", "0:\(head.description.dropFirst(2))"]
        {
            #expect(AuditChain.Head(text) == nil)
        }
    }

    @Test func `W7: no statement changes, deletes or replaces a row while the triggers are there`() throws {
        let path = try directory()
        for statement in [
            "UPDATE audit SET who = 'x' WHERE id = 2", "DELETE FROM audit WHERE id = 2",
            "INSERT OR REPLACE INTO audit (id, at, who, action) VALUES (2, 1, 'x', 'issue')",
            "REPLACE INTO audit (id, at, who, action) VALUES (2, 1, 'x', 'issue')",
        ] {
            #expect(throws: SQLError.self) { try self.alter(path, statement) }
        }
        #expect(try Inventory(reading: path, now: now).verifyAudit().breaks.isEmpty)
    }

    @Test(arguments: [
        "UPDATE audit SET who = 'mallory' WHERE id = 2", "UPDATE audit SET detail = 'onf' WHERE id = 2",
        "UPDATE audit SET at = at + 1 WHERE id = 3", "DELETE FROM audit WHERE id = 2", "DELETE FROM audit WHERE id = 1",
        "REPLACE INTO audit (id, at, who, action) VALUES (2, 1, 'x', 'issue')",
        "UPDATE audit SET id = 9 WHERE id = 4", "INSERT INTO audit (id, at, who, action) VALUES (5, 1, 'x', 'issue')",
        "UPDATE audit SET previous = NULL WHERE id = 3",
    ])
    func `W7: a row that was changed, removed or replaced is found, and so are missing triggers`(attack: String) throws
    {
        let path = try directory()
        let head = try #require(try Inventory(reading: path, now: now).verifyAudit().head)
        try alter(
            path, "DROP TRIGGER audit_is_never_changed", "DROP TRIGGER audit_is_never_deleted",
            "DROP TRIGGER audit_is_never_replaced", attack)
        let chain = try Inventory(reading: path, now: now).verifyAudit(containing: head)
        #expect(chain.breaks.count > 3, "\(chain.breaks)")
        let findings = try Inventory(reading: path, now: now).check(now: now)
        #expect(findings.contains { $0.check == "audit" && $0.severity == .failure })
        // Whoever writes refuses such an inventory, and repairing brings the triggers back, not the rows.
        let refused = #expect(throws: AuthorityError.self) { try Inventory(in: path, by: "a", now: self.now) }
        #expect(refused?.hint?.contains("doctor --repair") == true)
        let done = try Inventory.repair(in: path, by: "a", now: now)
        #expect(done.count { $0.contains("trigger") } == 3)
        let repaired = try Inventory(in: path, by: "a", now: now).verifyAudit(containing: head)
        #expect(
            !repaired.breaks.contains { found in
                if case .missingTrigger = found { true } else { false }
            }
        )
    }

    @Test func `that the newest rows are gone shows to who kept the head`() throws {
        let path = try directory()
        let head = try #require(try Inventory(reading: path, now: now).verifyAudit().head)
        try alter(path, "DROP TRIGGER audit_is_never_deleted", "DELETE FROM audit WHERE id = 4")
        _ = try Inventory.repair(in: path, by: "a", now: now)
        #expect(try !Inventory(reading: path, now: now).verifyAudit(containing: head).breaks.isEmpty)
    }

    @Test(arguments: 1...4)
    func `an inventory of a former version is read as it is, and gets its chain when it is written to`(
        version: Int
    ) throws {
        let path = try directory()
        try rewrite(path, asVersion: version)
        let before = try place.snapshot()
        let reading = try Inventory(reading: path, now: now)
        #expect(try reading.entries(InventoryQuery(at: now)).map(\.name) == ["root"])
        #expect(try reading.tokens().isEmpty && reading.pendingRequests().isEmpty)
        #expect(try reading.verifyAudit().breaks == (version < 4 ? [.noChain] : []))
        #expect(try place.snapshot() == before)
        let chain = try Inventory(in: path, by: "a", now: now).verifyAudit()
        #expect(chain.breaks.isEmpty && chain.count == 4)
        let names = try database(path).query("SELECT common_name FROM certificates").map { $0[0].text }
        #expect(names == ["test root"])
    }

    /// Makes the inventory again as a former version of this program did.
    private func rewrite(_ path: String, asVersion version: Int) throws {
        let tables = ["certificates", "certificate_contents", "audit"]
        var rows: [String: [[SQLValue]]] = [:]
        var columns: [String: [String]] = [:]
        do {
            let database = try database(path)
            for table in tables {
                let all = try database.query("SELECT name FROM pragma_table_info(?)", .text(table)).compactMap {
                    $0[0].text
                }
                columns[table] = all.filter {
                    ($0 != "previous" || version >= 4) && ($0 != "lifetime" || version >= 2)
                        && ($0 != "common_name" || version >= 5)
                }
                rows[table] = try database.query(
                    "SELECT \(columns[table, default: []].joined(separator: ", ")) FROM \(table)")
            }
        }
        let directory = try Directory(path, for: .writing)
        for suffix in ["", "-wal", "-shm"] { directory.unlink(Inventory.fileName + suffix) }
        let database = try database(path)
        for statement in InventorySchema.migrations.prefix(version).joined() { try database.execute(statement) }
        try database.execute("PRAGMA user_version = \(version)")
        try database.execute("PRAGMA foreign_keys = OFF")
        for table in tables {
            let names = columns[table, default: []]
            for row in rows[table, default: []] {
                let literals = row.map { value in
                    switch value {
                    case .null: "NULL"
                    case .integer(let number): "\(number)"
                    case .text(let text): "'\(text.replacing("'", with: "''"))'"
                    case .blob(let bytes): "x'\(hexadecimal(bytes))'"
                    }
                }
                let list = names.joined(separator: ", ")
                try database.execute("INSERT INTO \(table) (\(list)) VALUES (\(literals.joined(separator: ", ")))")
            }
        }
    }
}
