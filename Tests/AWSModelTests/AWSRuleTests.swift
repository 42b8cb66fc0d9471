// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import Testing

@Suite struct AWSRuleTests {
    private let date = Date(timeIntervalSince1970: 1_790_000_000)

    /// A root as easy-rsa before 2026 makes it: its basicConstraints are not critical.
    private static let easyRSARoot = """
        -----BEGIN CERTIFICATE-----
        MIIBtjCCAVygAwIBAgIUfSDLqmWysc9aPo7aA80d2TIdiaswCgYIKoZIzj0EAwIw
        EzERMA8GA1UEAwwITGFiIFJvb3QwHhcNMjYxMTI5MTkzNDQ1WhcNMzYxMTI2MTkz
        NDQ1WjATMREwDwYDVQQDDAhMYWIgUm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEH
        A0IABHwMVM3Y2OSOFdWvdUJiSYHLe7X8EWGg055tqtjk393CmQnxRLNE53wwMPuv
        WflQ8aFBTwcjxQccVAaKbcCAY66jgY0wgYowDAYDVR0TBAUwAwEB/zAdBgNVHQ4E
        FgQUqL0XRK77CvsR/3UfooJKevAm0m4wTgYDVR0jBEcwRYAUqL0XRK77CvsR/3Uf
        ooJKevAm0m6hF6QVMBMxETAPBgNVBAMMCExhYiBSb290ghR9IMuqZbKxz1o+jtoD
        zR3ZMh2JqzALBgNVHQ8EBAMCAQYwCgYIKoZIzj0EAwIDSAAwRQIgKrUN3MiSfblS
        BnKkH9MZzc32E07ApWCXVpcv3o0m+TQCIQD60HveXrmNYtY4dec+ru9OubABDAWO
        yCadAD65F2lrGg==
        -----END CERTIFICATE-----
        """

    private func certificate(
        _ subject: String = "CN=web", _ extensions: String, days: Double = 30
    ) throws -> Certificate {
        let key = try PrivateKey(generating: .ecP256)
        return try CertificateParameters(
            serialNumber: SerialNumber([0x01, 0xff]), subject: try DistinguishedName(subject), publicKey: key.publicKey,
            notBefore: date.addingTimeInterval(-86_400), notAfter: date.addingTimeInterval(days * 86_400),
            template: try CertificateTemplate(reading: Array("[ v3 ]\n\(extensions)\n".utf8), name: "test")
        ).selfSigned(by: key)
    }

    private func codes(_ findings: [RuleViolation], _ severity: ValidationRule.Severity) -> [String] {
        findings.filter { $0.rule.severity == severity }.map(\.rule.name)
    }

    @Test func `a client that keeps the rules has no finding but that no trust anchor issued it`() throws {
        let client = try certificate(extensions("digitalSignature"))
        #expect(
            CertificateJudge.findings(in: client, as: .client, at: date).map(\.rule.name) == ["aws-client-self-signed"])
    }

    @Test func `every rule that a client breaks is found, each with its hint`() throws {
        let bad = try certificate("", "basicConstraints = CA:FALSE", days: -0.5)
        let findings = CertificateJudge.findings(in: bad, as: .client, at: date)
        #expect(codes(findings, .error) == ["aws-client-subject", "aws-client-key-usage", "aws-client-validity"])
        #expect(findings.allSatisfy { !$0.hint.isEmpty })
        let undated = CertificateJudge.findings(in: bad, as: .client, at: nil)
        #expect(codes(undated, .error) == ["aws-client-subject", "aws-client-key-usage"])
    }

    @Test func `what AWS does not ask for is a warning`() throws {
        let root = try #require(try Certificate.certificates(in: Array(Self.easyRSARoot.utf8)).first)
        let findings = CertificateJudge.findings(in: root, as: .anchor, at: nil)
        #expect(findings.errors.isEmpty)
        #expect(codes(findings, .warning) == ["basic-constraints-critical"])
    }

    @Test func `what no path validation accepts is an error`() throws {
        let client = try certificate(extensions("digitalSignature") + "\n1.2.3.4 = critical, ASN1:UTF8String:x")
        let findings = CertificateJudge.findings(in: client, as: .client, at: date)
        #expect(codes(findings, .error) == ["extension-unknown-critical"])
    }

    @Test(arguments: [
        ("2.5.29.15 = critical, DER:04:01:00", "extension-malformed"),
        ("2.5.29.15 = critical, DER:30:00", "extension-malformed"),
        ("2.5.29.15 = critical, DER:03:01:00", "aws-client-key-usage"),
        ("subjectKeyIdentifier = hash", "aws-client-key-usage"),
    ])
    func `an extension that cannot be read is reported as that, not as absent`(line: String, rule: String) throws {
        let client = try certificate("CN=web", "basicConstraints = CA:FALSE\n\(line)")
        let findings = CertificateJudge.findings(in: client, as: .client, at: date)
        #expect(codes(findings, .error) == [rule])
        #expect(findings.errors.allSatisfy { !$0.finding.contains("only ,") })
    }

    @Test func `a root whose signature is not its own is no trust anchor`() throws {
        let root = try certificate(
            "CN=root", "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign")
        var encoded = root.derEncoded
        encoded[encoded.count - 1] ^= 1
        let changed = try Certificate(derEncoded: encoded)
        #expect(
            codes(CertificateJudge.findings(in: changed, as: .anchor, at: date), .error) == ["signature-wrong-key"])
        #expect(CertificateLinter.findings(in: changed).map(\.rule.name).contains("signature-wrong-key"))
    }

    @Test func `an anchor is a CA that may sign`() throws {
        let leaf = try certificate(extensions("digitalSignature"))
        #expect(
            codes(CertificateJudge.findings(in: leaf, as: .anchor, at: date), .error) == [
                "aws-anchor-ca", "aws-anchor-key-usage",
            ])
        let root = try certificate(
            "CN=root", "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign")
        #expect(CertificateJudge.findings(in: root, as: .anchor, at: date).isEmpty)
        #expect(AWSRules.bundle.findings(in: [root, root]).isEmpty)
        #expect(AWSRules.bundle.findings(in: [root, root, root]).map(\.rule.name) == ["aws-anchor-count"])
    }

    @Test func `a general rule that says the same replaces AWS's`() throws {
        let client = try certificate("", extensions("digitalSignature"))
        let general = CertificateLinter.findings(in: client, as: .client)
        let alone = AWSRules.client.findings(in: DatedCertificate(client, at: nil))
        #expect(alone.contains { $0.rule.name == "aws-client-subject" })
        let beside = AWSRules.client.findings(in: DatedCertificate(client, at: nil), beside: general)
        #expect(!beside.contains { $0.rule.name == "aws-client-subject" })
    }

    @Test(arguments: [
        (ProfileValues(name: "p", roleCount: 1, managedPolicies: [], durationSeconds: 899), "aws-profile-duration"),
        (ProfileValues(name: "p/q", roleCount: 1, managedPolicies: [], durationSeconds: 900), "aws-profile-name"),
        (ProfileValues(name: "p", roleCount: 251, managedPolicies: [], durationSeconds: 900), "aws-profile-roles"),
        (ProfileValues(name: "p", roleCount: 0, managedPolicies: ["x"], durationSeconds: 900), "aws-profile-policies"),
    ])
    func `a profile's limits`(profile: ProfileValues, rule: String) {
        #expect(AWSRules.profile.findings(in: profile).map(\.rule.name) == [rule])
    }

    @Test func `each rule has one name and a page of AWS`() {
        let rules = AWSRules.all + AWSRules.profile.map(\.rule)
        #expect(Set(rules.map(\.name)).count == rules.count)
        #expect(rules.allSatisfy { AWSPage(rawValue: $0.source) != nil && !$0.summary.isEmpty && !$0.hint.isEmpty })
        #expect(Set(AWSPage.allCases.map(\.url)).count == AWSPage.allCases.count)
    }

    private func extensions(_ usage: String) -> String { "basicConstraints = CA:FALSE\nkeyUsage = critical, \(usage)" }

    private func certificate(_ extensions: String) throws -> Certificate { try certificate("CN=web", extensions) }
}
