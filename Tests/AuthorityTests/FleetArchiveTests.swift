// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Glibc
import SystemSupport
import TestSupport
import Testing

@testable import Authority

@Suite struct FleetArchiveTests {
    private static let now = Date(timeIntervalSince1970: 1_700_000_000.75)
    private static let longName = String(repeating: "h", count: 64)

    /// A CA with three clients, one of them with a PKCS#12 file, and an archive of two.
    private func archive() throws -> (directory: TemporaryDirectory, inventory: Inventory) {
        let directory = try TemporaryDirectory()
        var generator = SystemRandomNumberGenerator()
        let root = RootRequest(template: try BuiltInTemplate.root.template)
        _ = try CertificateAuthority.create(in: directory.path, root, now: Self.now, using: &generator)
        let authority = try CertificateAuthority(openingIn: directory.path, now: Self.now)
        for name in ["web-1", "web-2", Self.longName] {
            var request = ClientRequest(template: try BuiltInTemplate.client.template, name: name)
            request.nameIsCommonName = true
            if name == Self.longName { request.bundle = .modern }
            _ = try authority.issue(request, now: Self.now, using: &generator)
        }
        let names = ["web-1", "nobody", Self.longName]
        for file in ["archive.tar", "again.tar"] {
            try FleetArchive.write(names, of: authority.inventory, to: "\(directory.path)/\(file)", replaces: false)
        }
        return (directory, authority.inventory)
    }

    /// Runs a program that must succeed, and returns what it wrote.
    private func run(_ command: [String], in directory: TemporaryDirectory) throws -> String {
        try ProgramDirectory().run(["env", "-C", directory.path] + command, ["LC_ALL": "C.UTF-8", "TZ": "UTC"])
    }

    private func bytes(of path: String) throws -> [UInt8] {
        unsafe try FileContents(of: path).bytes.withUnsafeBytes { unsafe Array($0) }
    }

    @Test func `GNU tar lists and unpacks the files of each host`() throws {
        let (directory, _) = try archive()
        let names = try run(["tar", "-tf", "archive.tar"], in: directory).split(separator: "\n").map(String.init)
        let (short, long) = ("web-1/web-1", "\(Self.longName)/\(Self.longName)")
        #expect(
            names == [
                "\(short)-cert.pem", "\(short)-key.pem", "web-1/root-cert.pem", "\(long)-cert.pem", "\(long)-key.pem",
                "\(long).p12", "\(long).p12-passphrase", "\(Self.longName)/root-cert.pem",
            ]
        )
        let listing = try run(
            ["tar", "--utc", "--full-time", "-tvf", "archive.tar", "web-1/web-1-key.pem"], in: directory)
        #expect(listing.hasPrefix("-rw------- root/root") && listing.contains("2023-11-14 22:13:20"))
        _ = unsafe mkdir("\(directory.path)/unpacked", 0o700)
        #expect(try run(["tar", "-xpf", "archive.tar", "--no-same-owner", "-C", "unpacked"], in: directory).isEmpty)
        for name in names {
            let isPrivate = name.contains("-key") || name.contains(".p12")
            #expect(directory.mode(of: "unpacked/\(name)") == (isPrivate ? 0o600 : 0o644))
            let file = String(name.split(separator: "/")[1])
            #expect(try bytes(of: "\(directory.path)/unpacked/\(name)") == bytes(of: "\(directory.path)/\(file)"))
        }
    }

    @Test func `an archive is private, a whole number of records, and the same each time`() throws {
        let (directory, inventory) = try archive()
        let first = try bytes(of: "\(directory.path)/archive.tar")
        #expect(first.count % 10_240 == 0)
        #expect(directory.mode(of: "archive.tar") == 0o600)
        #expect(try bytes(of: "\(directory.path)/again.tar") == first)
        try FleetArchive.write([], of: inventory, to: "\(directory.path)/empty.tar", replaces: false)
        #expect(try run(["tar", "-tf", "empty.tar"], in: directory).isEmpty)
    }

    @Test func `an existing file is not replaced unless that is asked for`() throws {
        let (directory, inventory) = try archive()
        let path = "\(directory.path)/archive.tar"
        #expect(throws: AuthorityError.self) {
            try FleetArchive.write([], of: inventory, to: path, replaces: false)
        }
        try FleetArchive.write([], of: inventory, to: path, replaces: true)
        #expect(try bytes(of: path).count == 10_240)
    }
}
