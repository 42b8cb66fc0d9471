// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import FoundationEssentials
import Synchronization
import SystemSupport
import TestSupport
import Testing

@testable import Enrolment

/// A CA in a private directory, with a clock that tests move.
final class TestCA: Sendable {
    /// The server that has the inventory; `nil` for the directory.
    let address: String?
    let directory: ProgramDirectory
    let authority: CertificateAuthority
    let clock = Mutex(Date(timeIntervalSince1970: 1_700_000_000))

    init() throws {
        directory = try ProgramDirectory()
        var generator = SystemRandomNumberGenerator()
        let now = Date(timeIntervalSince1970: 1_700_000_000)
        _ = try CertificateAuthority.create(
            in: directory.path, RootRequest(template: try BuiltInTemplate.root.template), now: now, using: &generator)
        address = try TestDatabase.newSchema()
        if let address {
            _ = try Inventory.initialize(at: address)
            _ = try InventoryCopy.copy(from: directory.path, to: address, by: "test", now: now)
        }
        authority = try CertificateAuthority(openingIn: directory.path, by: "test", now: now, inventory: address)
    }

    var now: Date { clock.withLock { $0 } }
    var inventory: Inventory { authority.inventory }

    func pass(_ seconds: Double) { clock.withLock { $0 += seconds } }

    func token(
        _ names: [String], alternativeNames: [String] = [], uses: Int = 1,
        _ change: (inout JoinToken) -> Void = { _ in }
    ) throws -> String {
        var generator = SystemRandomNumberGenerator()
        var token = JoinToken(
            identifier: TokenSecrets.newIdentifier(using: &generator), names: try names.map { try NamePattern($0) },
            alternativeNames: try alternativeNames.map { try AlternativeNamePattern($0) },
            template: try BuiltInTemplate.client.template, lifetime: 7 * 86400, uses: uses, createdAt: now,
            createdBy: "test", expiresAt: now + 3600)
        change(&token)
        try inventory.add(token, now: now)
        return token.identifier
    }

    func request(_ subject: String, _ names: [GeneralName] = [], key: PrivateKey? = nil) throws -> CertificateRequest {
        try CertificateRequestParameters(
            subject: subject.isEmpty ? DistinguishedName(relativeNames: []) : DistinguishedName(subject),
            subjectAlternativeNames: names
        ).signed(by: key ?? PrivateKey(generating: .ecP256), name: "the request")
    }

    /// An account by a token, and what makes proofs of it, each for an order of its own.
    func account(_ token: String) throws -> (String) throws -> EnrolmentRequest.Proof {
        var generator = SystemRandomNumberGenerator()
        let key = try PrivateKey(generating: .ecP256).publicKey
        let account = ACMEAccount(
            identifier: TokenSecrets.newIdentifier(using: &generator), key: key, thumbprint: key.digest, token: token,
            contacts: [], createdAt: now)
        #expect(try inventory.add(account, now: now) == nil)
        return { name in
            var generator = SystemRandomNumberGenerator()
            let order = ACMEOrder(
                identifier: TokenSecrets.newIdentifier(using: &generator), account: account.identifier,
                names: [try .dnsName(name)], expiresAt: self.now + 3600, replaces: nil)
            #expect(try self.inventory.add(order, limit: 10, now: self.now))
            return .account(account, order: order.identifier)
        }
    }

    /// Submits requests together and returns what became of each, in their order.
    func ask(_ requests: [EnrolmentRequest]) async -> [Result<EnrolmentDesk.Outcome, any Error>] {
        let desk = EnrolmentDesk(authority, rules: EnrolmentRules(inventory), jobs: 2) { self.now }
        return await withTaskGroup(of: (Int, Result<EnrolmentDesk.Outcome, any Error>).self) { tasks in
            for (index, request) in requests.enumerated() {
                tasks.addTask {
                    await withCheckedContinuation { continuation in
                        desk.submit(request) { continuation.resume(returning: (index, $0)) }
                    }
                }
            }
            var results: [Int: Result<EnrolmentDesk.Outcome, any Error>] = [:]
            for await (index, result) in tasks { results[index] = result }
            return requests.indices.compactMap { results[$0] }
        }
    }

    /// The certificate that is issued for a request.
    func issue(_ request: CertificateRequest, _ proof: EnrolmentRequest.Proof) async throws -> EnrolledCertificate {
        let result = await ask([EnrolmentRequest(request: request, proof: proof, peer: "a test")])[0]
        guard case .issued(let certificate) = try result.get() else { throw EnrolmentRefusal.request("it waits") }
        return certificate
    }

    /// Why nothing is issued for a request.
    func refusal(_ request: CertificateRequest, _ proof: EnrolmentRequest.Proof) async throws -> EnrolmentRefusal? {
        do {
            _ = try await issue(request, proof)
            return nil
        } catch let error as EnrolmentRefusal {
            return error
        }
    }
}

@Suite struct EnrolmentTests {
    @Test func `a token that asks for a challenge gives nothing without it`() async throws {
        let ca = try TestCA()
        let token = try ca.token(["web.example"], uses: 5) { $0.challenge = .http01 }
        let request = try ca.request("CN=web.example", [.dns("web.example")])
        #expect(try await ca.refusal(request, .token(token)) == .unproven(.http01))
        let proof = try ca.account(token)("web.example")
        #expect(try await ca.refusal(request, proof) == .unproven(.http01))
        // An order with a challenge, in each of its states.
        guard case .account(let account, _) = proof else { return }
        for status in [ACMEChallenge.Status.pending, .processing, .invalid, .valid] {
            var order = ACMEOrder(
                identifier: "order-\(status)", account: account.identifier, names: [.dns("web.example")],
                expiresAt: ca.now + 3600, replaces: nil)
            order.challenges = [ACMEChallenge(token: "t")]
            #expect(try ca.inventory.add(order, limit: 10, now: ca.now))
            let problem = status == .invalid ? "{}" : nil
            let changed = try ca.inventory.changeChallenge(0, of: order.identifier, now: ca.now) {
                ($0.status, $0.changedAt, $0.problem) = (status, status == .pending ? nil : ca.now, problem)
            }
            #expect((changed == nil) == (status == .pending))
            let stored = try #require(try ca.inventory.order(order.identifier))
            #expect(stored == changed ?? order)
            let expected: [ACMEChallenge.Status: ACMEOrder.Status] = [.invalid: .invalid, .valid: .ready]
            #expect(stored.status(at: ca.now) == expected[status] ?? .pending)
            let refusal = try await ca.refusal(request, .account(account, order: order.identifier))
            #expect(refusal == (status == .valid ? nil : .unproven(.http01)))
        }
        // What is decided stays.
        #expect(try ca.inventory.changeChallenge(0, of: "order-invalid", now: ca.now) { $0.status = .valid } == nil)
    }

    @Test func `a token gives the certificate that it allows`() async throws {
        let ca = try TestCA()
        let token = try ca.token(["web-*"], alternativeNames: ["dns:{name}.example.com"])
        let issued = try await ca.issue(
            ca.request("CN=web-1,O=Elsewhere", [.dnsName("web-1.example.com")]), .token(token))
        #expect(issued.certificate.subject == (try DistinguishedName("CN=web-1")))
        #expect(try issued.certificate.subjectAlternativeNames == [.dnsName("web-1.example.com")])
        #expect(issued.certificate.notAfter == ca.now + 7 * 86400)
        #expect(!issued.isRepeated)
        #expect(try ca.inventory.current("web-1")?.fingerprint == issued.certificate.fingerprint)
        #expect(try ca.inventory.token(token)?.used == 1)
    }

    @Test(arguments: [
        ("CN=db-1", []), ("CN=web-1", ["other.example.com"]), ("CN=web-1", ["web-2.example.com"]),
        ("CN=web-1.example.com", []), ("", ["db-1"]), ("", []), ("CN=root", []), ("CN=WEB-1x/../y", []),
    ])
    func `names that a token does not allow are refused`(subject: String, names: [String]) async throws {
        let ca = try TestCA()
        let token = try ca.token(["web-*"], alternativeNames: ["dns:{name}.example.com"])
        let refusal = try await ca.refusal(ca.request(subject, try names.map { try .dnsName($0) }), .token(token))
        guard case .name = refusal else {
            Issue.record("\(String(describing: refusal))")
            return
        }
        #expect(try ca.inventory.token(token)?.used == 0)
    }

    @Test func `the same request by the same token gets the same certificate, and is counted once`() async throws {
        let ca = try TestCA()
        let token = try ca.token(["web-1"])
        let request = try ca.request("CN=web-1")
        let first = try await ca.issue(request, .token(token))
        ca.pass(7200)
        let second = try await ca.issue(request, .token(token))
        #expect(second.certificate == first.certificate)
        #expect(second.isRepeated)
        #expect(try ca.inventory.token(token)?.used == 1)
        #expect(try await ca.refusal(ca.request("CN=web-1"), .token(token)) == .token(.expired))
    }

    @Test func `uses are counted in a crowd`() async throws {
        let ca = try TestCA()
        let token = try ca.token(["web-*"], uses: 7)
        let requests = try (1...20).map {
            EnrolmentRequest(request: try ca.request("CN=web-\($0)"), proof: .token(token), peer: "a test")
        }
        let results = await ca.ask(requests)
        #expect(results.count { if case .success = $0 { true } else { false } } == 7)
        for case .failure(let error) in results { #expect(error as? EnrolmentRefusal == .token(.used)) }
        #expect(try ca.inventory.token(token)?.used == 7)
        #expect(try ca.inventory.entries(InventoryQuery(at: ca.now)).count == 8)
    }

    @Test func `a name with a valid certificate is not given to another`() async throws {
        let ca = try TestCA()
        let token = try ca.token(["web-1"], uses: 9)
        _ = try await ca.issue(ca.request("CN=web-1"), .token(token))
        #expect(try await ca.refusal(ca.request("CN=Web-1"), .token(token)) == .taken("web-1"))
        let replacing = try ca.token(["web-1"]) { $0.replaces = true }
        let second = try await ca.issue(ca.request("CN=web-1"), .token(replacing))
        #expect(try ca.inventory.current("web-1")?.fingerprint == second.certificate.fingerprint)
    }

    @Test func `the current certificate renews, with the same names and lifetime`() async throws {
        let ca = try TestCA()
        let token = try ca.token(["web-1"], alternativeNames: ["uri:spiffe://example.com/*"])
        let name = try GeneralName.uniformResourceIdentifier("spiffe://example.com/web")
        let first = try await ca.issue(ca.request("CN=web-1", [name]), .token(token)).certificate
        ca.pass(86400)
        let second = try await ca.issue(ca.request("CN=web-1"), .certificate(first)).certificate
        #expect(second.subjectAlternativeNames == [name])
        #expect(second.notAfter == ca.now + 7 * 86400)
        #expect(second.publicKey != first.publicKey)
        let refusal = try await ca.refusal(ca.request("CN=web-2"), .certificate(second))
        guard case .name = refusal else {
            Issue.record("\(String(describing: refusal))")
            return
        }
    }

    @Test func `a replaced certificate locks the name, and a new token unlocks it`() async throws {
        let ca = try TestCA()
        let token = try ca.token(["web-1"], uses: 9) { $0.replaces = true }
        let stolen = try await ca.issue(ca.request("CN=web-1"), .token(token)).certificate
        ca.pass(60)
        let request = try ca.request("CN=web-1")
        let current = try await ca.issue(request, .certificate(stolen)).certificate
        // A reply that was lost is not a theft.
        #expect(try await ca.issue(request, .certificate(stolen)).certificate == current)
        ca.pass(60)
        #expect(try await ca.refusal(ca.request("CN=web-1"), .certificate(stolen)) == .replaced("web-1"))
        #expect(try await ca.refusal(ca.request("CN=web-1"), .certificate(current)) == .locked("web-1"))
        #expect(try await ca.refusal(ca.request("CN=web-1"), .token(token)) == .locked("web-1"))
        ca.pass(60)
        let new = try ca.token(["web-1"]) { $0.replaces = true }
        let next = try await ca.issue(ca.request("CN=web-1"), .token(new)).certificate
        ca.pass(60)
        // What was stolen does not lock what came after the lock.
        #expect(try await ca.refusal(ca.request("CN=web-1"), .certificate(stolen)) == .replaced("web-1"))
        _ = try await ca.issue(ca.request("CN=web-1"), .certificate(next))
        var actions: [AuditRecord.Action] = []
        try ca.inventory.visitAudit { actions.append($0.action) }
        #expect(actions.filter { $0 == .lock }.count == 1)
    }

    @Test func `near the end of its CA a certificate ends with it, and the whole lifetime is remembered`() async throws
    {
        let ca = try TestCA()
        let end = ca.authority.certificate.notAfter
        let token = try ca.token(["web-1"]) { $0.expiresAt = end }
        ca.pass(end.timeIntervalSince(ca.now) - 3 * 86400)
        let first = try await ca.issue(ca.request("CN=web-1"), .token(token)).certificate
        #expect(first.notAfter == end)
        ca.pass(86400)
        #expect(try await ca.issue(ca.request("CN=web-1"), .certificate(first)).certificate.notAfter == end)
        #expect(try ca.inventory.current("web-1")?.wantedLifetime == 7 * 86400)
    }

    @Test func `a certificate that has just renewed is refused without a lock`() async throws {
        let ca = try TestCA()
        let first = try await ca.issue(ca.request("CN=web-1"), .token(ca.token(["web-1"]))).certificate
        ca.pass(3600)
        // One host whose timers overlap, each with a new key.
        let asked = try (0..<6).map { _ in
            EnrolmentRequest(request: try ca.request("CN=web-1"), proof: .certificate(first), peer: "a test")
        }
        let results = await ca.ask(asked)
        #expect(results.count { if case .success = $0 { true } else { false } } == 1)
        for case .failure(let error) in results { #expect(error as? EnrolmentRefusal == .renewed("web-1")) }
        let second = try ca.inventory.certificate(of: try #require(try ca.inventory.current("web-1")))
        ca.pass(59)
        #expect(try await ca.refusal(ca.request("CN=web-1"), .certificate(first)) == .renewed("web-1"))
        let third = try await ca.issue(ca.request("CN=web-1"), .certificate(second)).certificate
        // The current certificate came by another.
        #expect(try await ca.refusal(ca.request("CN=web-1"), .certificate(first)) == .replaced("web-1"))
        #expect(try await ca.refusal(ca.request("CN=web-1"), .certificate(third)) == .locked("web-1"))
    }

    @Test func `what is not for TLS of a host does not renew`() async throws {
        let ca = try TestCA()
        let template = try BuiltInTemplate.ocsp.template
        let token = try ca.token(["signer"]) { $0.template = template }
        var proofs = [try await ca.issue(ca.request("CN=signer"), .token(token)).certificate, ca.authority.certificate]
        var generator = SystemRandomNumberGenerator()
        for own in [OwnCertificate.tls([.dns("localhost")]), .ocsp, .aws] {
            proofs.append(try ca.authority.certificate(own, now: ca.now, using: &generator).certificate)
        }
        for proof in proofs {
            let request = try ca.request(proof.subject.description)
            guard case .certificate = try await ca.refusal(request, .certificate(proof)) else {
                Issue.record("\(proof.subject)")
                continue
            }
        }
        let server = try BuiltInTemplate.server.template
        let name = try GeneralName.dnsName("web-1.example.com")
        let given = try ca.token(["web-1.example.com"]) { $0.template = server }
        let first = try await ca.issue(ca.request("CN=web-1.example.com", [name]), .token(given)).certificate
        _ = try await ca.issue(ca.request("CN=web-1.example.com"), .certificate(first))
    }

    @Test(arguments: ["serve-ca", "serve-ca-ocsp", "serve-ca-aws", "Serve-CA", "ROOT", "root-cross"])
    func `no token gives a name of the server or the CA`(name: String) async throws {
        let ca = try TestCA()
        let token = try ca.token(["*"])
        guard case .name = try await ca.refusal(ca.request("CN=\(name)"), .token(token)) else {
            Issue.record("it is not refused")
            return
        }
        guard case .account(let account, _) = try ca.account(token)("web-1") else { return }
        #expect(try EnrolmentRules(ca.inventory).refusedNames([.dns(name)], of: account) == [.dns(name)])
        #expect(throws: AuthorityError.self) { try NamePattern(name) }
        #expect(try ca.inventory.token(token)?.used == 0)
    }

    @Test func `the key of a CA is not certified for a host`() async throws {
        let ca = try TestCA()
        let key = try PrivateKey(
            reading: SecretBytes(Array(ca.directory.read("root-key.pem"))), passphrase: nil)
        let request = EnrolmentRequest(
            request: try ca.request("CN=web-1", key: key), proof: .token(try ca.token(["web-1"])), peer: "a test")
        guard case .failure(let error as AuthorityError) = await ca.ask([request])[0] else {
            Issue.record("it is certified")
            return
        }
        #expect(error.code == .policy)
    }

    @Test func `revoked, expired and foreign certificates do not renew`() async throws {
        let ca = try TestCA()
        let other = try TestCA()
        let first = try await ca.issue(ca.request("CN=web-1"), .token(ca.token(["web-1"]))).certificate
        let foreign = try await other.issue(other.request("CN=web-1"), .token(other.token(["web-1"]))).certificate
        func expectRefusal(of certificate: Certificate) async throws {
            let refusal = try await ca.refusal(ca.request("CN=web-1"), .certificate(certificate))
            guard case .certificate = refusal else {
                Issue.record("\(String(describing: refusal))")
                return
            }
        }
        try await expectRefusal(of: foreign)
        try await expectRefusal(of: ca.authority.certificate)
        let entry = try #require(try ca.inventory.current("web-1"))
        _ = try ca.inventory.revoke(entry, reason: .certificateHold, now: ca.now)
        try await expectRefusal(of: first)
        _ = try ca.inventory.release(entry, now: ca.now)
        ca.pass(8 * 86400)
        try await expectRefusal(of: first)
    }

    @Test func `a request waits until it is approved, and the same request gets the certificate`() async throws {
        let ca = try TestCA()
        let token = try ca.token(["web-*"], uses: 2) { $0.needsApproval = true }
        let (good, bad) = (try ca.request("CN=web-1"), try ca.request("CN=web-2"))
        for request in [good, good, bad] {
            guard
                case .waiting = try await ca.ask([
                    EnrolmentRequest(request: request, proof: .token(token), peer: "EST from 192.0.2.7")
                ])[0].get()
            else {
                Issue.record("it does not wait")
                return
            }
        }
        let waiting = try ca.inventory.pendingRequests()
        #expect(waiting.map(\.name) == ["web-1", "web-2"])
        #expect(try ca.inventory.decide(waiting[0].identifier, .approved, now: ca.now)?.name == "web-1")
        #expect(try ca.inventory.decide(waiting[1].identifier, .denied, now: ca.now) != nil)
        #expect(try ca.inventory.decide(waiting[1].identifier, .approved, now: ca.now) == nil)
        _ = try await ca.issue(good, .token(token))
        #expect(try await ca.refusal(bad, .token(token)) == .denied)
        #expect(try ca.inventory.token(token)?.used == 1)
    }

    @Test func `a revoked token is refused, and what it issued stays`() async throws {
        let ca = try TestCA()
        let identifier = try ca.token(["web-*"], uses: 5)
        _ = try await ca.issue(ca.request("CN=web-1"), .token(identifier))
        let token = try #require(try ca.inventory.token(identifier))
        #expect(try ca.inventory.revoke(token, now: ca.now))
        #expect(try !ca.inventory.revoke(token, now: ca.now))
        #expect(try await ca.refusal(ca.request("CN=web-2"), .token(identifier)) == .token(.revoked))
        #expect(try await ca.refusal(ca.request("CN=web-2"), .token("unknown")) == .token(nil))
        #expect(try ca.inventory.current("web-1")?.status(at: ca.now) == .valid)
    }

    @Test func `one request that is refused does not keep the others of its group back`() async throws {
        let ca = try TestCA()
        let token = try ca.token(["web-*"], uses: 10)
        let names = ["web-1", "web-2", "db-1", "web-3", "web-2"]
        let results = await ca.ask(
            try names.map {
                EnrolmentRequest(request: try ca.request("CN=\($0)"), proof: .token(token), peer: "a test")
            })
        #expect(results.count { if case .success = $0 { true } else { false } } == 3)
        #expect(try ca.inventory.token(token)?.used == 3)
        #expect(try ca.inventory.verifyAudit().breaks.isEmpty)
    }
}
