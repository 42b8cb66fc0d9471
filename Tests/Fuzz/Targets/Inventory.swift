// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import FoundationEssentials
import SQL
import SQLite
import SystemSupport

extension FuzzTarget {
    /// The inventory of a CA directory. The input is a delta CRL to an honest one, each three bytes for the place and one
    /// for the value; an input that begins with an odd byte changes the log beside it.
    static let inventory = FuzzTarget("inventory") { bytes in
        guard let ground = HostileInventory.shared, let first = bytes.first else { return }
        ground.write(bytes.dropFirst(), toLog: first & 1 == 1)
        ground.look()
    }
}

/// A CA directory whose inventory is written anew for each input.
private final class HostileInventory: Sendable {
    static let shared = try? HostileInventory()

    private let directory: URL
    private let file: [UInt8]
    private let log: [UInt8]
    private let now = Date(timeIntervalSince1970: 1_800_000_000)

    init() throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "pki-fuzz-inventory-\(UUID())")
        var generator = SystemRandomNumberGenerator()
        let request = RootRequest(template: try BuiltInTemplate.root.template)
        _ = try CertificateAuthority.create(in: directory.path, request, by: "fuzz", now: now, using: &generator)
        log = Array(try Data(contentsOf: directory.appending(path: "inventory.sqlite-wal")))
        // Pages in the log are guarded by checksums; those in the file are not.
        let database = try Database(
            "inventory.sqlite", in: Directory(directory.path, for: .writing), applicationIdentifier: 0x706b_6949)
        _ = try database.query("PRAGMA wal_checkpoint(TRUNCATE)")
        file = Array(try Data(contentsOf: directory.appending(path: "inventory.sqlite")))
    }

    func write(_ changes: ArraySlice<UInt8>, toLog isLog: Bool) {
        var changed = isLog ? log : file
        for start in stride(from: changes.startIndex, to: changes.endIndex - 3, by: 4) {
            let place = Int(changes[start]) << 16 | Int(changes[start + 1]) << 8 | Int(changes[start + 2])
            changed[place % changed.count] = changes[start + 3]
        }
        try? Data(isLog ? file : changed).write(to: directory.appending(path: "inventory.sqlite"))
        try? Data(isLog ? changed : log).write(to: directory.appending(path: "inventory.sqlite-wal"))
    }

    /// Does what every command that reads does.
    func look() {
        guard let inventory = try? Inventory(reading: directory.path, now: now) else { return }
        var query = InventoryQuery(at: now)
        query.includesFormer = true
        for entry in (try? inventory.entries(query)) ?? [] {
            _ = try? inventory.certificate(of: entry)
            _ = try? inventory.template(of: entry)
            _ = "\(entry.status(at: now)) \(entry.daysLeft(at: now)) \(CivilTime(entry.notAfter).extended)"
        }
        try? inventory.visitSummaries(query) { _ in }
        try? inventory.visitAudit { _ in }
        _ = try? inventory.verifyAudit()
        _ = try? inventory.check(now: now)
    }
}
