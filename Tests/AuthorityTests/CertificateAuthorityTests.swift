// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import FoundationEssentials
import Glibc
import Synchronization
import SystemSupport
import Testing

@Suite struct CertificateAuthorityTests {
    static let now = Date(timeIntervalSince1970: 1_780_000_000)
    let directory = try? TemporaryDirectory()

    private func place() throws -> (TemporaryDirectory, String) {
        let directory = try #require(directory)
        return (directory, "\(directory.path)/ca")
    }

    private func create(
        _ change: (inout RootRequest) throws -> Void = { _ in },
        now: Date = now
    ) throws -> IssuedCertificate {
        var request = RootRequest(template: try BuiltInTemplate.root.template)
        try change(&request)
        var generator = SystemRandomNumberGenerator()
        return try CertificateAuthority.create(in: try place().1, request, now: now, using: &generator)
    }

    private func issue(
        _ name: String = "client",
        now: Date = now,
        _ change: (inout ClientRequest) throws -> Void = { _ in }
    ) throws -> IssuedCertificate {
        var request = ClientRequest(template: try BuiltInTemplate.client.template, name: name)
        try change(&request)
        let authority = try CertificateAuthority(openingIn: try place().1, now: now)
        var generator = SystemRandomNumberGenerator()
        return try authority.issue(request, now: now, using: &generator)
    }

    private func refusal(_ body: () throws -> IssuedCertificate) -> (any ExplainedError)? {
        do { _ = try body() } catch { return error as? any ExplainedError }
        return nil
    }

    @Test func `a CA and a client are made as the templates say`() throws {
        let (directory, _) = try place()
        let root = try create()
        let client = try issue()
        #expect(root.certificate.subject.description == "CN=TEST ROOT")
        #expect(root.certificate.basicConstraints == BasicConstraints(isCA: true, pathLength: 1))
        #expect(root.certificate.keyUsage == [.crlSign, .digitalSignature, .keyCertSign])
        #expect(root.certificate.notBefore == Self.now.addingTimeInterval(-300))
        #expect(root.certificate.notAfter == Self.now.addingTimeInterval(3650 * 86400))
        #expect(client.certificate.subject.description == "CN=TEST CLIENT")
        #expect(client.certificate.subjectAlternativeNames == [.directory(client.certificate.subject)])
        #expect(client.certificate.keyUsage == .digitalSignature)
        #expect(client.certificate.notBefore == Self.now.addingTimeInterval(-300))
        #expect(client.certificate.notAfter == Self.now.addingTimeInterval(365 * 86400))
        #expect(directory.names(in: "ca") == ["client-cert.pem", "client-key.pem", "root-cert.pem", "root-key.pem"])
        #expect(directory.mode(of: "ca") == 0o700)
        #expect(directory.mode(of: "ca/root-key.pem") == 0o600 && directory.mode(of: "ca/client-key.pem") == 0o600)
        #expect(directory.mode(of: "ca/root-cert.pem") == 0o644)
    }

    @Test func `a second run refuses and changes nothing`() throws {
        let (directory, _) = try place()
        _ = try create()
        _ = try issue()
        let before = try directory.names(in: "ca").map { try directory.read("ca/\($0)") }
        let second = try #require(refusal { try create() })
        #expect((second as? AuthorityError)?.code == .exists)
        #expect(second.message.contains("root-key.pem") && second.hint?.contains("--force") == true)
        #expect((refusal { try issue() } as? AuthorityError)?.code == .exists)
        #expect(try directory.names(in: "ca").map { try directory.read("ca/\($0)") } == before)
    }

    @Test func `with force the old files go to the archive, every time`() throws {
        let (directory, _) = try place()
        _ = try create()
        let old = try directory.read("ca/root-key.pem")
        for _ in 0..<3 {
            let made = try create { $0.archivesExisting = true }
            #expect(made.archivedPaths.count == 2)
        }
        #expect(directory.names(in: "ca/archive").count == 6)
        #expect(try directory.names(in: "ca/archive").contains { try directory.read("ca/archive/\($0)") == old })
        #expect(directory.mode(of: "ca/archive") == 0o700)
    }

    @Test func `a key whose certificate was never written goes to the archive by itself`() throws {
        let (directory, _) = try place()
        _ = try create()
        try directory.write("orphan", to: "ca/client-key.pem")
        try directory.write("left over", to: "ca/.pki-new.1.0")
        let made = try issue()
        #expect(made.archivedPaths.count == 1)
        #expect(try directory.read("ca/archive/\(directory.names(in: "ca/archive")[0])") == "orphan")
        #expect(!directory.names(in: "ca").contains(".pki-new.1.0"))
    }

    @Test(arguments: [
        ("web-1", "dirName:CN=web-1"), ("web-1.example.com", "DNS:web-1.example.com"), ("10.0.0.1", "IP:10.0.0.1"),
        ("ops@example.com", "email:ops@example.com"), ("web_1", "dirName:CN=web_1"),
    ])
    func `a name becomes the CN and an alternative name of the kind it is`(name: String, alternative: String) throws {
        _ = try create()
        let made = try issue(name) { $0.nameIsCommonName = true }
        #expect(made.certificate.subject.commonName == name)
        #expect(made.certificate.subjectAlternativeNames.map(\.description) == [alternative])
    }

    @Test(arguments: [
        "", "root", "serve-ca", "serve-ca-ocsp", "Serve-CA-AWS", "a/b", "../x", ".hidden", "-x", "a b", "ü", "a\0b",
        String(repeating: "a", count: 65),
    ])
    func `a name that could mean something else to a file system is refused`(name: String) throws {
        let (directory, _) = try place()
        _ = try create()
        #expect((refusal { try issue(name) } as? AuthorityError)?.code == .invalidValue)
        #expect(directory.names(in: "ca") == ["root-cert.pem", "root-key.pem"])
    }

    @Test func `a client that would outlive its CA is refused when asked for and shortened by default`() throws {
        let root = try create { $0.lifetime = .days(30) }
        let refused = try #require(refusal { try issue { $0.lifetime = .days(31) } })
        #expect((refused as? AuthorityError)?.code == .policy)
        #expect(refused.hint == "use at most --days 30")
        let made = try issue()
        #expect(made.certificate.notAfter == root.certificate.notAfter)
        #expect(made.notices.count == 1)
    }

    @Test func `a client never begins before its CA`() throws {
        let root = try create()
        let made = try issue(now: Self.now.addingTimeInterval(10))
        #expect(made.certificate.notBefore == Self.now.addingTimeInterval(-290))
        #expect(made.certificate.notBefore >= root.certificate.notBefore)
    }

    @Test func `an expired CA, one of the future, a foreign key and an open key file are refused by name`() throws {
        let (directory, path) = try place()
        _ = try create { $0.lifetime = .days(1) }
        let cases: [(Date, String)] = [
            (Self.now.addingTimeInterval(86401), "expired"), (Self.now.addingTimeInterval(-301), "not valid before"),
        ]
        for (date, word) in cases {
            let error = try #require(refusal { try issue(now: date) })
            #expect((error as? AuthorityError)?.code == .broken)
            #expect(error.message.contains(word) && error.message.contains("root-cert.pem"))
        }
        let key = try directory.read("ca/root-key.pem")
        unsafe chmod("\(path)/root-key.pem", 0o644)
        let open = try #require(refusal { try issue() } as? AuthorityError)
        #expect(
            open.code == .permissions && open.message.contains("mode is 0644")
                && open.hint?.contains("chmod 600") == true)
        unsafe chmod("\(path)/root-key.pem", 0o600)
        _ = try create { $0.archivesExisting = true }
        try directory.write(key, to: "ca/root-key.pem")
        let foreign = try #require(refusal { try issue() } as? AuthorityError)
        #expect(foreign.code == .broken && foreign.message.contains("is not the key of"))
        #expect(directory.names(in: "ca") == ["archive", "root-cert.pem", "root-key.pem"])
    }

    @Test func `a directory without a CA says how to make one`() throws {
        let error = try #require(refusal { try issue() } as? AuthorityError)
        #expect(error.code == .missing && error.hint?.contains("pki init-ca") == true)
    }

    @Test func `a key elsewhere is opened once, and only when nothing is wrong with the request`() throws {
        let key = try PrivateKey(generating: .ecP256)
        let count = Mutex(0)
        let external = ExternalKey(address: "handle:1") {
            count.withLock { $0 += 1 }
            return key
        }
        #expect(refusal { try create { ($0.externalKey, $0.pathLength) = (external, 300) } } != nil)
        #expect(refusal { try create { ($0.externalKey, $0.subject) = (external, try DistinguishedName("")) } } != nil)
        #expect(refusal { try create { ($0.externalKey, $0.lifetime) = (external, .days(0)) } } != nil)
        let client = RootRequest(template: try BuiltInTemplate.client.template).template
        #expect(refusal { try create { ($0.externalKey, $0.template) = (external, client) } } != nil)
        #expect(count.withLock { $0 } == 0)

        let other = refusal { try create { ($0.externalKey, $0.keyType) = (external, .rsa2048) } }
        #expect(other?.message == "the key handle:1 is EC P-256, but rsa-2048 was requested")
        let made = try create { ($0.externalKey, $0.keyType) = (external, .ecP256) }
        #expect(made.certificate.publicKey == key.publicKey)
        #expect(made.keyAddress == "handle:1")
        #expect(count.withLock { $0 } == 2)
        #expect(refusal { try create { $0.externalKey = external } }?.message.contains("exists already") == true)
        #expect(count.withLock { $0 } == 2)
    }

    @Test func `an empty subject is refused`() throws {
        let empty = try DistinguishedName("")
        #expect((refusal { try create { $0.subject = empty } } as? AuthorityError)?.code == .invalidRequest)
        _ = try create()
        #expect((refusal { try issue { $0.subject = empty } } as? AuthorityError)?.code == .invalidRequest)
    }

    @Test func `an encrypted CA key needs its passphrase`() throws {
        let (_, path) = try place()
        _ = try create { $0.passphrase = SecretBytes("secret".utf8) }
        let error = try #require(refusal { try issue() } as? CertificateError)
        #expect(error.code == .missingPassphrase && error.message.contains("root-key.pem"))
        _ = try CertificateAuthority(openingIn: path, now: Self.now, passphrase: { SecretBytes("secret".utf8) })
    }

    @Test(arguments: [
        ("[ v3 ]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = keyCertSign\n", "produces a CA"),
        ("[ v3 ]\nkeyUsage = digitalSignature, keyCertSign\n", "produces a CA"),
        ("[ v3 ]\nkeyUsage = keyEncipherment\n", "cannot sign"), ("[ v3 ]\n", "cannot sign"),
    ])
    func `a client template that makes no client is refused`(text: String, word: String) throws {
        _ = try create()
        let template = try CertificateTemplate(reading: Array(text.utf8), name: "mine.conf")
        let error = try #require(
            refusal {
                try issue {
                    $0.template = template
                    $0.subject = try DistinguishedName("CN=x")
                }
            }
        )
        #expect(error.message.contains(word) && error.message.contains("mine.conf"))
    }

    @Test func `a root template that makes no CA is refused, and nothing is written`() throws {
        let (directory, _) = try place()
        let template = try BuiltInTemplate.client.template
        #expect((refusal { try create { $0.template = template } } as? AuthorityError)?.code == .policy)
        #expect(directory.names().isEmpty)
    }

    @Test func `a CA that may certify some names only refuses others`() throws {
        _ = try create { $0.nameConstraints = try NameConstraints(permitted: [.init("dns:example.com")]) }
        _ = try issue("a") { $0.subjectAlternativeNames = [.dns("a.example.com")] }
        let error = try #require(refusal { try issue("b") { $0.subjectAlternativeNames = [.dns("b.example.org")] } })
        #expect(error.message.contains("may not issue") && error.message.contains("b.example.org"))
    }

    @Test func `many threads issue at once and every certificate differs`() async throws {
        _ = try create()
        let path = try place().1
        let serials = try await withThrowingTaskGroup(of: SerialNumber.self) { group in
            for index in 0..<16 {
                group.addTask {
                    let authority = try CertificateAuthority(openingIn: path, now: Self.now)
                    var generator = SystemRandomNumberGenerator()
                    var request = ClientRequest(template: try BuiltInTemplate.client.template, name: "client-\(index)")
                    request.nameIsCommonName = true
                    return try authority.issue(request, now: Self.now, using: &generator).certificate.serialNumber
                }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(serials.count == 16)
        #expect(try #require(directory).names(in: "ca").count == 34)
    }
}
