// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Testing

/// What other software makes of defective certificates, Tests/Interop/test_lint.py says; here the linter meets what nobody
/// would make.
@Suite struct LinterTests {
    @Test func `every rule has a name of its own, a source, a summary and a hint`() {
        let rules = ValidationRule.all
        #expect(rules.count > 100)
        #expect(Set(rules.map(\.name)).count == rules.count)
        for rule in rules {
            #expect(rule.name.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "-" }, "\(rule.name)")
            #expect(!rule.source.isEmpty && rule.summary.hasSuffix(".") && !rule.hint.isEmpty)
            #expect(!rule.hint.hasSuffix(".") && !rule.scopes.isEmpty, "\(rule.name)")
        }
    }

    @Test func `severities have an order`() {
        #expect(ValidationRule.Severity.allCases.sorted() == [.notice, .warning, .error])
        #expect(!(ValidationRule.Severity.error < .error))
    }

    @Test func `a role is read out of a certificate`() throws {
        let chain = try CertificateVerifierTests.Chain()
        #expect(CertificateRole(of: chain.root) == .root)
        #expect(CertificateRole(of: chain.intermediate) == .intermediate)
        #expect(CertificateRole(of: chain.leaf) == .client)
    }

    @Test func `what this module issues breaks no rule, and a role that it has not does`() throws {
        let chain = try CertificateVerifierTests.Chain()
        for certificate in [chain.root, chain.intermediate, chain.leaf] {
            #expect(CertificateLinter.findings(in: certificate).isEmpty)
        }
        #expect(CertificateLinter.findings(in: chain.leaf, as: .root).map(\.rule.name) == ["ca-basic-constraints"])
        #expect(CertificateLinter.findings(in: chain.leaf, issuedBy: chain.intermediate).isEmpty)
        let wrong = CertificateLinter.findings(in: chain.leaf, issuedBy: chain.root).map(\.rule.name)
        #expect(wrong == ["signature-wrong-key", "authority-key-identifier-mismatch"])
    }

    @Test func `a report has the whole path, or ends where it breaks and says why`() throws {
        let chain = try CertificateVerifierTests.Chain()
        let verifier = CertificateVerifier(anchors: [chain.root])
        let good = verifier.report(
            on: chain.leaf, intermediates: [chain.intermediate], purpose: .client, at: Samples.now)
        #expect(good.isValid && good.isComplete)
        #expect(good.steps.map(\.certificate) == [chain.leaf, chain.intermediate, chain.root])
        #expect(good.steps.map(\.revocation) == [.notChecked, .notChecked, .trusted])
        let broken = verifier.report(on: chain.leaf, at: Samples.now)
        #expect(!broken.isValid && !broken.isComplete)
        #expect(broken.steps.flatMap(\.findings).map(\.rule.name) == ["path-incomplete"])
        let late = Samples.now.addingTimeInterval(200_000)
        let expired = verifier.report(on: chain.leaf, intermediates: [chain.intermediate], at: late)
        #expect(expired.steps.map { $0.findings.map(\.rule.name) } == Array(repeating: ["validity-expired"], count: 3))
    }

    @Test(arguments: [
        ("web.example.com", true), ("WEB.Example.com.", true), ("a.b.example.org", false), ("a.example.org", true),
        ("example.org", false), ("10.0.0.1", true), ("10.0.0.2", false), ("", false), (".", false), ("leaf", false),
        ("a.com", false),
    ])
    func `a host is found among the alternative names`(host: String, expected: Bool) throws {
        let key = try PrivateKey(generating: .ecP256)
        var parameters = try Samples.parameters("CN=leaf", key: key.publicKey, template: Samples.rootText)
        parameters.subjectAlternativeNames = [
            try .dnsName("web.example.com"), try .dnsName("*.example.org"), try .dnsName("*.com"),
            try .ipAddress("10.0.0.1"),
        ]
        #expect(try parameters.selfSigned(by: key).isFor(host: host) == expected)
    }
}

/// Damaged certificates and lists are judged or refused: no crash, no endless loop.
@Suite struct LinterMutationTests {
    private static let parts = 4

    @Test(arguments: 0..<parts)
    func `a damaged certificate or list is judged or refused`(part: Int) async throws {
        let sources = try Self.sources()
        var judged = 0
        for number in stride(from: part, to: CorpusMutationTests.mutations / 2, by: Self.parts) {
            let mutation = CorpusMutation(number: number, of: sources)
            if let certificate = try? Certificate(derEncoded: mutation.contents) {
                for role in CertificateRole.allCases {
                    for finding in CertificateLinter.findings(in: certificate, as: role) {
                        #expect(!finding.finding.isEmpty)
                    }
                }
                _ = CertificateLinter.findings(in: certificate, issuedBy: certificate)
                let report = CertificateVerifier(anchors: [certificate]).report(
                    on: certificate, intermediates: [certificate], purpose: .server, host: "a.example", at: Samples.now)
                #expect(!report.steps.isEmpty)
                judged += 1
            } else if let list = try? CertificateRevocationList(derEncoded: mutation.contents) {
                _ = RevocationListLinter.findings(in: list)
                judged += 1
            }
            if number % 256 == part { await Task.yield() }
        }
        #expect(judged > 100)
    }

    /// Every certificate and list of the corpus, and one of each with all there can be in it.
    private static func sources() throws -> [CorpusMutation.Source] {
        var found: [[UInt8]] = try rich()
        for file in try Corpus.load().files {
            let contents = try file.contents()
            if (try? Certificate(derEncoded: contents)) != nil { found.append(contents) }
            if (try? CertificateRevocationList(derEncoded: contents)) != nil { found.append(contents) }
            for document in (try? PEMDocument.documents(in: contents)) ?? []
            where document.label == "CERTIFICATE" || document.label == "X509 CRL" {
                found.append(document.bytes)
            }
        }
        return Set(found).sorted { $0.lexicographicallyPrecedes($1) }.map {
            CorpusMutation.Source(contents: $0, passphrase: nil, documents: [], weight: 1)
        }
    }

    private static func rich() throws -> [[UInt8]] {
        let key = try PrivateKey(generating: .ecP256)
        var parameters = try Samples.parameters("CN=Root,O=Acme,C=DE", key: key.publicKey, template: Samples.rootText)
        parameters.nameConstraints = NameConstraints(
            permitted: [try .init("dns:example.com"), try .init("ip:10.0.0.0/8")],
            excluded: [try .init("email:example.org")])
        let root = try parameters.selfSigned(by: key)
        var leaf = try Samples.parameters("CN=leaf", key: key.publicKey, template: Samples.clientText)
        leaf.subjectAlternativeNames = [
            try .dnsName("*.example.com"), try .ipAddress("2001:db8::1"), try .mailbox("ops@example.com"),
            try .uniformResourceIdentifier("spiffe://example.com/a"),
        ]
        return Array(repeating: root.derEncoded, count: 1) + [try leaf.signed(by: key, issuer: root).derEncoded]
    }
}
