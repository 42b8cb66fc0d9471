// SPDX-License-Identifier: Apache-2.0

import Certificates
import Dispatch
import FoundationEssentials
import Synchronization
import SystemSupport
import Testing

@testable import Authority

/// What a server does in an inventory from many threads.
@Suite final class SharedChangeTests {
    private let place: TemporaryDirectory
    private let inventory: Inventory
    private let now = Date(timeIntervalSince1970: 1_800_000_000)

    init() throws {
        place = try TemporaryDirectory()
        var generator = SystemRandomNumberGenerator()
        let request = RootRequest(template: try BuiltInTemplate.root.template)
        _ = try CertificateAuthority.create(in: place.path, request, by: "a", now: now, using: &generator)
        inventory = try Inventory(in: place.path, by: "a", now: now)
    }

    private struct Unwanted: Error, Equatable { var number: Int }

    @Test func `what threads change at once is committed, except for what throws`() throws {
        let outcomes = Mutex<[Int: Result<Int, any Error>]>([:])
        let group = DispatchGroup()
        for number in 0..<32 {
            DispatchQueue(label: "\(number)").async(group: group) { [inventory, now] in
                let outcome = Result {
                    try inventory.sharedChange(now: now + Double(number)) { change in
                        try change.audit(.passphrase, "web-\(number)")
                        if number % 2 == 1 { throw Unwanted(number: number) }
                        return number
                    }
                }
                outcomes.withLock { $0[number] = outcome }
            }
        }
        group.wait()
        for (number, outcome) in outcomes.withLock(\.self) {
            switch outcome {
            case .success(let value): #expect(value == number && number % 2 == 0)
            case .failure(let error): #expect(error as? Unwanted == Unwanted(number: number))
            }
        }
        var written: [String: Date] = [:]
        try inventory.visitAudit { record in if let name = record.name { written[name] = record.date } }
        let even = stride(from: 0, to: 32, by: 2).map { ("web-\($0)", now + Double($0)) }
        #expect(written.filter { $0.key != "root" } == Dictionary(uniqueKeysWithValues: even))
        #expect(try Inventory(reading: place.path, now: now).verifyAudit().breaks.isEmpty)
    }

    @Test func `reading does not wait for a change, and sees what is committed`() throws {
        let seen = Mutex<Bool?>(nil)
        try inventory.change(now: now) { [inventory] change in
            try change.records.setName(of: try change.records.current("root")[0].id, "other")
            let group = DispatchGroup()
            DispatchQueue(label: "reader").async(group: group) {
                let found = try? inventory.current("root") != nil
                seen.withLock { $0 = found }
            }
            #expect(group.wait(timeout: .now() + 60) == .success)
        }
        #expect(seen.withLock(\.self) == true)
        #expect(try inventory.current("root") == nil)
    }

    @Test func `equal files of a change are one file, secret ones are not`() throws {
        try inventory.change(now: now) { change in
            for name in ["a", "b"] {
                try change.add(.init(name: "\(name)-chain.pem", contents: SecretBytes("chain".utf8), mode: 0o644))
                try change.add(.init(name: "\(name)-key.pem", contents: SecretBytes("key".utf8), mode: 0o600))
            }
        }
        let directory = try Directory(place.path, for: .reading)
        #expect(directory.status(of: "a-chain.pem")?.links == 2)
        #expect(directory.status(of: "a-key.pem")?.links == 1)
        #expect(try ["a-chain.pem", "b-chain.pem", "b-key.pem"].map(place.read) == ["chain", "chain", "key"])
        // A change of one of them is not one of the other.
        try inventory.change(now: now) { change in
            change.replace(with: .init(name: "a-chain.pem", contents: SecretBytes("new".utf8), mode: 0o644))
        }
        #expect(try ["a-chain.pem", "b-chain.pem"].map(place.read) == ["new", "chain"])
    }

    @Test func `the log is moved when it is asked for`() throws {
        try inventory.change(now: now, movesLog: false) { try $0.audit(.passphrase, "web-1") }
        let directory = try Directory(place.path, for: .reading)
        #expect(directory.status(of: "inventory.sqlite-wal")?.size ?? 0 > 0)
        try inventory.moveLog()
        #expect(directory.status(of: "inventory.sqlite-wal")?.size ?? 0 == 0)
    }

    @Test func `a verified path counts for its kind, and for a minute`() throws {
        let paths = VerifiedPaths()
        let client = VerifiedPaths.Kind(
            template: try BuiltInTemplate.client.template, algorithm: .ec(curve: "prime256v1"))
        paths.add(client, at: now)
        #expect(paths.contain(client, at: now + 59) && !paths.contain(client, at: now + 60))
        #expect(!paths.contain(client, at: now - 1))
        #expect(!paths.contain(.init(template: client.template, algorithm: .rsa(bits: 2048)), at: now))
        #expect(
            !paths.contain(.init(template: try BuiltInTemplate.server.template, algorithm: client.algorithm), at: now))
    }
}
