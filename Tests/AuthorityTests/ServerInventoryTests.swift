// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Glibc
import PostgreSQL
import SQL
import SystemSupport
import TestSupport
import Testing

@testable import Authority

/// A CA whose inventory is on a server.
@Suite(.enabled(if: TestDatabase.isThere)) struct ServerInventoryTests {
    private let now = Date(timeIntervalSince1970: 1_700_000_000)
    private let place: TemporaryDirectory
    private let address: String
    private let authority: CertificateAuthority

    init() throws {
        place = try TemporaryDirectory()
        let ca = "\(place.path)/ca"
        address = try #require(try TestDatabase.newSchema())
        var generator = SystemRandomNumberGenerator()
        _ = try CertificateAuthority.create(
            in: ca, RootRequest(template: try BuiltInTemplate.root.template), now: now, using: &generator)
        #expect(try Inventory.initialize(at: address).isNew)
        _ = try InventoryCopy.copy(from: ca, to: address, by: "test", now: now)
        for suffix in ["", "-wal", "-shm"] { _ = unsafe unlink("\(ca)/\(Inventory.fileName)\(suffix)") }
        authority = try CertificateAuthority(openingIn: ca, by: "test", now: now, inventory: address)
        for name in ["web-1", "web-2", "db-1"] {
            var request = ClientRequest(template: try BuiltInTemplate.client.template, name: name)
            request.nameIsCommonName = true
            _ = try authority.issue(request, now: now, using: &generator)
        }
    }

    private var inventory: Inventory { authority.inventory }

    @Test func `tables and roles can be made again`() throws {
        let again = try Inventory.initialize(at: address)
        #expect(!again.isNew && again.missingRoles.isEmpty)
        #expect(try inventory.entries(InventoryQuery(at: now)).count == 4)
    }

    @Test func `a trigger that is missing or turned off is found, and made again`() throws {
        let server = try Server(address, isReading: false)
        try server.execute("DROP TRIGGER audit_is_never_changed ON audit")
        try server.execute("ALTER TABLE audit DISABLE TRIGGER audit_is_never_emptied")
        let missing = try inventory.check(now: now).filter { $0.check == "audit" }
        #expect(missing.map(\.severity) == [.failure, .failure])
        _ = try Inventory.initialize(at: address)
        #expect(try inventory.check(now: now).filter { $0.check == "audit" } == [])
        for statement in ["UPDATE audit SET who = 'x'", "DELETE FROM audit", "TRUNCATE audit"] {
            #expect(throws: SQLError.self) { try server.execute(statement) }
        }
    }

    @Test func `two current certificates of a name are not possible`() throws {
        let server = try Server(address, isReading: false)
        let error = #expect(throws: SQLError.self) {
            try server.execute("UPDATE certificates SET name = 'web-1' WHERE name = 'web-2'")
        }
        #expect(error?.kind == .duplicate)
        var generator = SystemRandomNumberGenerator()
        _ = try authority.renew(inventory.entry("web-1"), now: now + 60, using: &generator)
        let places = try server.query("SELECT place FROM certificates WHERE name = 'web-1' ORDER BY id")
        #expect(places == [[1], [0]])
    }

    @Test func `names and serial numbers are completed`() throws {
        #expect(try inventory.names(beginningWith: "web", onlyCAs: false, limit: 10) == ["web-1", "web-2"])
        #expect(try inventory.names(beginningWith: "", onlyCAs: true, limit: 10) == ["root"])
        #expect(try inventory.names(beginningWith: "", onlyCAs: false, limit: 2) == ["db-1", "web-2"])
        let serial = try inventory.entry("db-1").serialNumber
        for count in [1, 2, 3, 7, 8, serial.hexadecimal.utf8.count] {
            let digits = String(serial.hexadecimal.prefix(count))
            let found = try inventory.serialNumbers(beginningWith: digits, limit: 10)
            #expect(found.contains { $0.name == "db-1" })
            #expect(found.allSatisfy { $0.serialNumber.hexadecimal.hasPrefix(digits) })
        }
        #expect(try inventory.serialNumbers(beginningWith: "fffffff", limit: 10).isEmpty)
    }

    @Test func `the check says what the login may do, and how far clocks are apart`() throws {
        let found = try inventory.checkServer { now }
        let severities = Dictionary(grouping: found, by: \.check).mapValues { $0.map(\.severity) }
        // The tests' login owns the tables, and the time is long ago.
        #expect(severities["rights"] == [.fine, .notice])
        #expect(severities["clock"] == [.failure])
        #expect(try inventory.checkServer { .now }.first { $0.check == "clock" }?.severity == .fine)
        #expect(severities["database"]?.contains(.fine) == true && severities["replication"] != nil)
        #expect(try inventory.check(now: now).allSatisfy { $0.severity == .fine })
    }

    @Test func `a backup becomes a directory with the files of all certificates, which leads back to a server`() throws
    {
        let file = "\(place.path)/backup"
        let summary = try inventory.backUp(to: file, now: now)
        #expect(summary.certificates == 4)
        let restored = "\(place.path)/restored"
        try Backup(reading: file).restore(to: restored, by: "test", now: now + 60)
        let directory = try Inventory(in: restored, by: "test", now: now + 60)
        #expect(try directory.check(now: now + 60).allSatisfy { [.fine, .notice].contains($0.severity) })
        #expect(
            try place.read("restored/web-1-cert.pem") == inventory.certificate(of: inventory.entry("web-1")).pemEncoded)
        #expect(!place.names(in: "restored").contains(Inventory.elsewhereFile))
        let other = try #require(try TestDatabase.newSchema())
        _ = try Inventory.initialize(at: other)
        let outcome = try InventoryCopy.copy(from: restored, to: other, by: "test", now: now)
        // The restoration is in the audit.
        #expect(outcome.tables.first { $0.name == "certificates" }?.rows == 4)
        #expect(try InventoryCopy.copy(from: restored, to: other, by: "test", now: now).changes == 0)
    }

    @Test func `a token is used as often as it may be`() throws {
        let server = try Server(address, isReading: false)
        let template = try BuiltInTemplate.client.template
        let token = JoinToken(
            identifier: "one", names: [try NamePattern("web-*")], template: template, lifetime: 60, uses: 1,
            createdAt: now,
            createdBy: "test", expiresAt: now + 60)
        try inventory.add(token, now: now)
        let records = InventoryDatabase(server)
        #expect(try records.spend("one", now: now))
        #expect(try !records.spend("one", now: now))
    }
}
