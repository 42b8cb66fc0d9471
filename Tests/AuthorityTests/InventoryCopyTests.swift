// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import PostgreSQL
import SQL
import SQLite
import SystemSupport
import TestSupport
import Testing

@testable import Authority

@Suite struct InventoryCopyTests {
    private let now = Date(timeIntervalSince1970: 1_700_000_000)
    private let place: TemporaryDirectory
    private let ca: TemporaryDirectory

    /// A CA with an intermediate CA, a replaced, a revoked and a current certificate, a CRL and a token.
    init() throws {
        place = try TemporaryDirectory()
        ca = try TemporaryDirectory()
        var generator = SystemRandomNumberGenerator()
        _ = try CertificateAuthority.create(
            in: ca.path, RootRequest(template: try BuiltInTemplate.root.template), now: now, using: &generator)
        let root = try CertificateAuthority(openingIn: ca.path, now: now)
        _ = try root.issue(
            IntermediateRequest(template: try BuiltInTemplate.intermediate.template, name: "issuing"), now: now,
            using: &generator)
        let issuing = try CertificateAuthority(openingIn: ca.path, issuer: "issuing", now: now)
        for name in ["web-1", "web-2", "web-3", "web-4"] {
            var request = ClientRequest(template: try BuiltInTemplate.client.template, name: name)
            request.nameIsCommonName = true
            _ = try issuing.issue(request, now: now, using: &generator)
        }
        let inventory = issuing.inventory
        _ = try issuing.renew(inventory.entry("web-1"), now: now + 60, using: &generator)
        _ = try inventory.revoke(inventory.entry("web-2"), reason: .unspecified, now: now)
        _ = try issuing.makeRevocationList(validFor: .days(7), now: now)
    }

    @discardableResult
    private func copy(
        from source: String? = nil, to target: String, progress: @escaping (Int, Int) -> Void = { _, _ in }
    ) throws -> InventoryCopy.Outcome {
        try InventoryCopy.copy(from: source ?? ca.path, to: target, by: "test", now: now, progress: progress)
    }

    private func change(_ inventory: Inventory, _ detail: String) throws {
        try inventory.change(now: now) { try $0.audit(.passphrase, "web-1", nil, detail: detail) }
    }

    private func open(_ address: String, isReading: Bool = false) throws -> Inventory {
        try Inventory(at: address, in: ca.path, by: "test", now: now, isReading: isReading)
    }

    private func schema() throws -> String {
        let address = try #require(try TestDatabase.newSchema())
        _ = try Inventory.initialize(at: address)
        return address
    }

    @Test func `the tables are those of the schema, with their columns and keys`() throws {
        let database = try Database()
        _ = try InventorySchema.migrate(database)
        #expect(InventoryTable.all.count == 12)
        for table in InventoryTable.all {
            let columns = try database.query("SELECT name, pk FROM pragma_table_info(?)", .text(table.name))
            #expect(columns.map { $0[0].text } == table.columns)
            let key = columns.indices.filter { columns[$0][1] != 0 }
            #expect(key.sorted { columns[$0][1].integer! < columns[$1][1].integer! } == table.key)
        }
        #expect(InventoryTable.all.filter { $0.counter == "number" }.count == 3)
        #expect(Set(InventoryTable.all.filter { $0.name == "certificate_contents" }.map(\.counter)) == [nil])
    }

    @Test func `a directory becomes another one with the same rows, and files that the check accepts`() throws {
        let target = "\(place.path)/new"
        var reported: [Int] = []
        let outcome = try copy(to: target) { done, total in
            reported.append(done)
            #expect(total >= done)
        }
        let rows = Dictionary(uniqueKeysWithValues: outcome.tables.map { ($0.name, $0.rows) })
        #expect(rows["certificates"] == 7 && rows["certificate_contents"] == 7 && rows["revocation_lists"] == 1)
        #expect(outcome.changes == rows.values.reduce(0, +))
        #expect(reported.last == outcome.changes + 7 && reported == reported.sorted())
        // Certificates, one of them in the archive, and the chains of the clients.
        #expect(outcome.files == 7 + 4)
        #expect(outcome.missingKeys == ["\(target)/root-key.pem", "\(target)/issuing-key.pem"])
        #expect(place.mode(of: "new") == 0o700 && place.mode(of: "new/inventory.sqlite") == 0o600)
        for name in ["web-1-cert.pem", "web-1-chain.pem", "issuing-cert.pem"] {
            #expect(try place.read("new/\(name)") == ca.read(name))
        }
        let inventory = try Inventory(in: target, by: "test", now: now)
        #expect(try inventory.check(now: now).filter { $0.severity == .failure || $0.severity == .warning } == [])
        #expect(try copy(to: target).changes == 0)
        #expect(try copy(from: target, to: ca.path).changes == 0)
    }

    @Test func `a directory that is changed later, or has other certificates, is refused`() throws {
        let target = "\(place.path)/new"
        try copy(to: target)
        try change(Inventory(in: ca.path, by: "test", now: now), "later")
        #expect(throws: AuthorityError.self) { try copy(to: target) }

        // The certificate of another CA has the name of the root.
        let other = try InventoryCopyTests()
        try place.write(other.ca.read("root-cert.pem"), to: "other/root-cert.pem")
        let error = #expect(throws: AuthorityError.self) { try copy(to: "\(place.path)/other") }
        #expect(error?.code == .exists && error?.message.contains("root-cert.pem") == true)
        #expect(!place.allNames(in: "other").contains(Inventory.fileName))
    }

    @Test func `files of an earlier time go to the archive`() throws {
        let former = try ca.read("web-1-cert.pem")
        let issuing = try CertificateAuthority(openingIn: ca.path, issuer: "issuing", now: now)
        var generator = SystemRandomNumberGenerator()
        _ = try issuing.renew(issuing.inventory.entry("web-1"), now: now + 120, using: &generator)
        try place.write(former, to: "new/web-1-cert.pem")
        try place.write("", to: "new/web-3-cert.pem")
        try copy(to: "\(place.path)/new")
        #expect(try place.read("new/web-1-cert.pem") == ca.read("web-1-cert.pem"))
        #expect(try place.read("new/web-3-cert.pem") == ca.read("web-3-cert.pem"))
        let findings = try Inventory(reading: "\(place.path)/new", now: now).check(now: now)
        #expect(findings.filter { $0.severity == .failure || $0.severity == .warning } == [])
    }

    @Test(.enabled(if: TestDatabase.isThere))
    func `an inventory goes to a server and back, and what was issued there has files then`() throws {
        let address = try schema()
        let outcome = try copy(to: address)
        #expect(try copy(to: address).changes == 0)
        #expect(outcome.tables.contains { $0.name == "audit" && $0.rows > 0 && $0.digest.count == 64 })

        // It counts on from the last row, and the certificate that is replaced there has no file.
        let issuing = try CertificateAuthority(
            openingIn: ca.path, issuer: "issuing", by: "test", now: now, inventory: address)
        let inventory = issuing.inventory
        let last = try #require(try inventory.entries(everything).map { $0.id }.max())
        var generator = SystemRandomNumberGenerator()
        _ = try issuing.renew(inventory.entry("web-3"), now: now + 300, using: &generator)
        let renewed = try inventory.entry("web-3")
        #expect(renewed.id == last + 1)
        _ = try issuing.makeRevocationList(validFor: .days(7), now: now + 300)

        let target = "\(place.path)/new"
        let back = try copy(from: address, to: target)
        #expect(back.changes == back.tables.map(\.rows).reduce(0, +))
        let copied = try Inventory(in: target, by: "test", now: now)
        #expect(try copied.entries(everything) == inventory.entries(everything))
        #expect(try copied.check(now: now).filter { $0.severity == .failure || $0.severity == .warning } == [])
        #expect(try place.read("new/web-3-cert.pem") == copied.certificate(of: renewed).pemEncoded)
        #expect(try copied.revocationList(of: "issuing")?.number?.integer == 2)
        #expect(try copied.verifyAudit().breaks.isEmpty)
        // The server has more than the directory, which is not copied over it.
        let error = #expect(throws: AuthorityError.self) { try copy(to: address) }
        #expect(error?.code == .exists && error?.message.contains("audit, id") == true)
    }

    @Test(.enabled(if: TestDatabase.isThere))
    func `a copy that was interrupted is no inventory, and goes on`() throws {
        let address = try schema()
        try copy(to: address)
        let server = try Server(address, isReading: false)
        try server.transaction {
            try server.execute(
                "INSERT INTO inventory_settings (name, value) VALUES (?, ?)", .text(InventorySchema.unfinishedSetting),
                .blob([]))
            try server.execute("DELETE FROM revocation_lists")
            try server.execute("DELETE FROM certificate_contents WHERE id > 4")
            try server.execute("UPDATE certificates SET place = 2 WHERE id = 3")
        }
        #expect(throws: AuthorityError.self) { try open(address) }
        #expect(try copy(to: address).changes == 1 + 3 + 1)
        #expect(try copy(to: address).changes == 0)
        #expect(try open(address).entries(everything).count == 7)
    }

    @Test(.enabled(if: TestDatabase.isThere))
    func `later changes are copied into an earlier state`() throws {
        let address = try schema()
        try copy(to: address)
        // The server has it now, until a person decides otherwise.
        #expect(throws: AuthorityError.self) { try Inventory(in: ca.path, by: "test", now: now) }
        try FileManager.default.removeItem(atPath: "\(ca.path)/\(Inventory.elsewhereFile)")
        let inventory = try Inventory(in: ca.path, by: "test", now: now)
        _ = try inventory.revoke(inventory.entry("web-4"), reason: .unspecified, now: now)
        // A line of the audit, and the certificate.
        #expect(try copy(to: address).changes == 2)
        #expect(try open(address).entry("web-4").revocation != nil)
    }

    @Test(.enabled(if: TestDatabase.isThere))
    func `rows of another inventory are refused, also without an audit`() throws {
        let address = try schema()
        let other = try InventoryCopyTests()
        try copy(from: other.ca.path, to: address)
        #expect(throws: AuthorityError.self) { try copy(to: address) }
        let empty = try schema()
        try Server(empty, isReading: false).execute(
            "INSERT INTO templates (digest, name, content) VALUES (?, 'x', ?)", .blob([1]), .blob([2]))
        let error = #expect(throws: AuthorityError.self) { try copy(to: empty) }
        #expect(error?.code == .exists && error?.message.contains("templates, digest 01") == true)
    }

    @Test(.enabled(if: TestDatabase.isThere))
    func `a server that is changed while it is copied makes no inventory, and the next run copies that`() throws {
        let address = try schema()
        try copy(to: address)
        let target = "\(place.path)/new"
        let inventory = try open(address)
        #expect(throws: AuthorityError.self) {
            try copy(from: address, to: target) { done, _ in
                if done > 0, done < 20 { try? change(inventory, "meanwhile") }
            }
        }
        #expect(!place.allNames(in: "new").contains(Inventory.fileName))
        let outcome = try copy(from: address, to: target)
        #expect(outcome.changes < 10 && outcome.changes > 0)
        #expect(try Inventory(reading: target, now: now).verifyAudit().head == inventory.verifyAudit().head)
    }

    private var everything: InventoryQuery {
        var query = InventoryQuery(at: now)
        query.includesFormer = true
        return query
    }
}
