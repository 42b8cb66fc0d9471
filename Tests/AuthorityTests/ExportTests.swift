// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Glibc
import SystemSupport
import Testing

@testable import Authority

@Suite struct ExportTests {
    private static let now = Date(timeIntervalSince1970: 1_780_000_000)

    /// A CA with one client.
    private func authority() throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        var generator = SystemRandomNumberGenerator()
        _ = try CertificateAuthority.create(
            in: directory.path, RootRequest(template: BuiltInTemplate.root.template), now: Self.now, using: &generator)
        let authority = try CertificateAuthority(openingIn: directory.path, now: Self.now)
        _ = try authority.issue(
            ClientRequest(template: BuiltInTemplate.client.template, name: "web-1"), now: Self.now, using: &generator)
        return directory
    }

    private func code<Result>(_ body: () throws -> Result) -> AuthorityErrorCode? {
        do { _ = try body() } catch let error as AuthorityError { return error.code } catch {}
        return nil
    }

    private func text(_ secret: SecretBytes) -> String {
        unsafe secret.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }

    @Test func `an identity is read with its way up to the root`() throws {
        let directory = try authority()
        let client = try StoredIdentity(name: "web-1", in: directory.path)
        let root = try StoredIdentity(name: "root", in: directory.path)
        #expect(client.intermediates.isEmpty && client.root == root.certificate && !client.isAuthority)
        #expect(root.root == root.certificate && root.isAuthority)
        #expect(try client.key().publicKey == client.certificate.publicKey)
        #expect(try client.notices(at: Self.now).isEmpty)
        #expect(try client.notices(at: client.certificate.notAfter.addingTimeInterval(1)).count == 1)
        #expect(try client.notices(at: client.certificate.notBefore.addingTimeInterval(-1)).count == 1)
        #expect(code { try StoredIdentity(name: "web-2", in: directory.path) } == .missing)
        for name in ["", ".", "../x", "a/b", "a\0b"] {
            #expect(code { try StoredIdentity(name: name, in: directory.path) } == .invalidValue)
        }
    }

    @Test func `a manifest for an issuer wants a CA, before its key`() throws {
        let directory = try authority()
        let manifest = try KubernetesManifest(purpose: .clusterIssuer, name: KubernetesName("x"))
        #expect(code { try manifest.check(StoredIdentity(name: "web-1", in: directory.path)) } == .policy)
        let root = try StoredIdentity(name: "root", in: directory.path)
        let lines = try text(manifest.text(of: root, key: root.key())).split(separator: "\n")
        #expect(lines.contains("kind: ClusterIssuer") && lines.contains("  namespace: \"cert-manager\""))
    }

    @Test(
        arguments: [
            ("web-1", "web-1"), ("Web_1", "web-1"), ("a@B.c", "a-b.c"), ("-a-", "a"), ("a..b", "a.b"), ("Ä1", "1"),
            ("_", nil), ("...", nil),
        ] as [(String, String?)]
    )
    func `a name for Kubernetes is made of one that files have`(name: String, expected: String?) throws {
        #expect((try? KubernetesName(madeOf: name))?.description == expected)
    }

    @Test func `names and namespaces of Kubernetes follow their rules`() throws {
        for name in ["a", "a-b.c9", String(repeating: "a", count: 253)] {
            #expect(try KubernetesName(name).description == name)
        }
        for name in ["", "A", "a_b", "-a", "a-", "a.", ".a", "a..b", "a\n", "ä", String(repeating: "a", count: 254)] {
            #expect(code { try KubernetesName(name) } == .invalidRequest)
            #expect(code { try KubernetesName(namespace: name) } == .invalidRequest)
        }
        #expect(code { try KubernetesName(namespace: "a.b") } == .invalidRequest)
        #expect(code { try KubernetesName(namespace: String(repeating: "a", count: 64)) } == .invalidRequest)
    }

    @Test func `a generated passphrase has 28 characters of 32`() throws {
        var generator = SystemRandomNumberGenerator()
        let passphrases = (0..<200).map { _ in text(GeneratedPassphrase.make(using: &generator)) }
        #expect(Set(passphrases).count == passphrases.count)
        #expect(passphrases.allSatisfy { $0.split(separator: "-").map(\.count) == Array(repeating: 4, count: 7) })
        #expect(Set(passphrases.joined()).subtracting(["-"]).count == 32)
    }

    @Test(arguments: [true, false])
    func `files are written together or not at all, also where none can be without a name`(isNameless: Bool) throws {
        let directory = try TemporaryDirectory()
        func write(_ contents: KeyValuePairs<String, String>, replaces: Bool) throws {
            let files = contents.map { AtomicFile(path: "\(directory.path)/\($0)", contents: SecretBytes($1.utf8)) }
            try AtomicFile.write(files, replaces: replaces, isNameless: isNameless)
        }
        try write(["a": "one", "b": "two"], replaces: false)
        #expect(try directory.read("a") == "one" && directory.read("b") == "two")
        #expect(directory.mode(of: "a") == 0o600)
        #expect(code { try write(["c": "x", "b": "x"], replaces: false) } == .exists)
        #expect(code { try write(["c": "x", "d/e": "x"], replaces: true) } == .storage)
        #expect(code { try AtomicFile.check(directory.path, replaces: true) } == .exists)
        #expect(directory.names() == ["a", "b"])
        try write(["a": "three", "c": "four"], replaces: true)
        #expect(try directory.read("a") == "three" && directory.read("c") == "four")
        #expect(directory.names() == ["a", "b", "c"])
        #expect(directory.mode(of: "c") == 0o600)
    }

    @Test func `of two files of one path none is written`() throws {
        let directory = try TemporaryDirectory()
        let file = AtomicFile(path: "\(directory.path)/a", contents: SecretBytes("x".utf8))
        #expect(code { try AtomicFile.write([file, file], replaces: false) } == .exists)
        #expect(directory.names().isEmpty)
    }

    @Test func `only a regular file is ever replaced, and all files come or none`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path
        try directory.write("mine", to: "target")
        unsafe symlink("target", "\(path)/link")
        unsafe mkfifo("\(path)/pipe", 0o600)
        try directory.write("old", to: "a")
        func file(_ name: String) -> AtomicFile {
            AtomicFile(path: "\(path)/\(name)", contents: SecretBytes("new".utf8))
        }
        for name in ["link", "pipe"] {
            #expect(code { try AtomicFile.check("\(path)/\(name)", replaces: true) } == .exists)
            #expect(code { try AtomicFile.write([file("a"), file(name)], replaces: true) } == .exists)
        }
        #expect(try directory.read("a") == "old" && directory.read("target") == "mine")
        #expect(code { try AtomicFile.check("/dev/null", replaces: true) } == .exists)
        #expect(code { try AtomicFile.check("\(path)/", replaces: true) } == .exists)
        try AtomicFile.write([file("a"), file("b")], replaces: true)
        #expect(try directory.read("a") == "new" && directory.read("b") == "new")
        #expect(directory.allNames() == ["a", "b", "link", "pipe", "target"])
    }
}
