// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport
import Testing
import TrustAnchors

@Suite struct TrustAnchorBundleTests {
    static let now = Date(timeIntervalSince1970: 1_780_000_000)
    static let rootTemplate = """
        [ v3 ]
        basicConstraints = critical, CA:TRUE
        keyUsage = critical, keyCertSign
        """

    private func certificate(
        _ subject: String = "CN=Root", template: String = rootTemplate, from: Double = -300, until: Double = 86400
    ) throws -> Certificate {
        let key = try PrivateKey(generating: .ecP256)
        return try CertificateParameters(
            serialNumber: SerialNumber([1]), subject: try DistinguishedName(subject), publicKey: key.publicKey,
            notBefore: Self.now.addingTimeInterval(from), notAfter: Self.now.addingTimeInterval(until),
            template: try CertificateTemplate(reading: Array(template.utf8), name: "t.conf")
        ).selfSigned(by: key)
    }

    private func bundle(_ texts: String...) throws -> TrustAnchorBundle {
        try TrustAnchorBundle(reading: texts.map { .init(name: "file.pem", contents: Array($0.utf8)) }, at: Self.now)
    }

    private func code(_ texts: String...) -> TrustAnchorErrorCode? {
        do {
            _ = try TrustAnchorBundle(
                reading: texts.map { .init(name: "file.pem", contents: Array($0.utf8)) },
                at: Self.now
            )
            return nil
        } catch {
            #expect(error.message.contains("file.pem") || error.code == .tooMany)
            return error.code
        }
    }

    @Test func `the bundle is the certificates in PEM and nothing else`() throws {
        let root = try certificate()
        let bundle = try bundle("subject=CN = Root\r\n" + root.pemEncoded.replacing("\n", with: "\r\n"))
        #expect(bundle.pem == root.pemEncoded)
        #expect(bundle.certificates == [root])
    }

    @Test func `a certificate in DER is taken`() throws {
        let root = try certificate()
        let bundle = try TrustAnchorBundle(reading: [.init(name: "r.der", contents: root.derEncoded)], at: Self.now)
        #expect(bundle.pem == root.pemEncoded)
    }

    @Test func `two CAs are taken while one replaces the other, a third is not, and a repeated one counts once`() throws
    {
        let roots = try ["CN=A", "CN=B", "CN=C"].map { try certificate($0).pemEncoded }
        #expect(try bundle(roots[0], roots[1], roots[0]).certificates.count == 2)
        #expect(code(roots[0] + roots[1] + roots[2]) == .tooMany)
    }

    @Test func `what AWS would refuse is refused with its rule`() throws {
        let good = try certificate().pemEncoded
        #expect(code("") == .empty)
        #expect(code("hello") == .empty)
        #expect(code(good + "-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----\n") == .privateKey)
        #expect(
            code(good + "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAQID\n-----END ENCRYPTED PRIVATE KEY-----\n")
                == .privateKey)
        #expect(code(good + "-----BEGIN X509 CRL-----\nAQID\n-----END X509 CRL-----\n") == .foreignObject)
        #expect(code("-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n") == .malformed)
        #expect(code(String(good.dropLast(30))) == .malformed)
        #expect(code(try certificate(template: "[ v3 ]\nkeyUsage = keyCertSign\n").pemEncoded) == .notCA)
        #expect(code(try certificate(template: "[ v3 ]\nbasicConstraints = CA:TRUE\n").pemEncoded) == .keyUsage)
        #expect(
            code(try certificate(template: "[ v3 ]\nbasicConstraints = CA:TRUE\nkeyUsage = cRLSign\n").pemEncoded)
                == .keyUsage)
        #expect(code(try certificate(until: -1).pemEncoded) == .validity)
        #expect(code(try certificate(from: 10).pemEncoded) == .validity)
    }

    @Test(arguments: [
        ("SHA-1", Fixtures.sha1Root, TrustAnchorErrorCode.weakSignature), ("version 1", Fixtures.version1, .version),
    ])
    func `certificates that nothing here makes any more are refused`(
        kind: String, pem: String, expected: TrustAnchorErrorCode
    ) {
        #expect(code(pem) == expected, "\(kind)")
    }

    @Test func `a bundle of more characters than AWS takes is refused`() throws {
        let long = String(repeating: "x", count: 200_000)
        let template = Self.rootTemplate + "\n1.2.3.4 = ASN1:UTF8String:\(long)\n"
        #expect(throws: TrustAnchorError.self) { try bundle(try certificate(template: template).pemEncoded) }
        let medium = Self.rootTemplate + "\n1.2.3.4 = ASN1:UTF8String:\(String(repeating: "x", count: 9000))\n"
        #expect(try bundle(try certificate(template: medium).pemEncoded).warnings.count == 1)
    }

    @Test func `the source is JSON that gives the bundle back`() throws {
        struct Source: Decodable {
            struct SourceData: Decodable { var x509CertificateData: String }
            var sourceType: String
            var sourceData: SourceData
        }
        let bundle = try bundle(try certificate().pemEncoded)
        let source = try JSONDecoder().decode(Source.self, from: Data(bundle.sourceJSON.utf8))
        #expect(source.sourceType == "CERTIFICATE_BUNDLE")
        #expect(source.sourceData.x509CertificateData == bundle.pem)
        #expect(!bundle.sourceJSON.contains("'"))
    }

    @Test func `the command names the anchor after the CA, or as told`() throws {
        let bundle = try bundle(try certificate("CN=It's ours: Ünit 1").pemEncoded)
        let command = try bundle.awsCLICommand(region: "eu-central-1")
        #expect(command.hasPrefix("aws rolesanywhere create-trust-anchor \\\n  --region eu-central-1 \\\n"))
        #expect(command.contains("--name='It-s ours- -nit 1'"))
        #expect(try bundle.awsCLICommand(name: "a_b-c 1").contains("--name='a_b-c 1'"))
        for name in ["", "a'b", "ü", String(repeating: "a", count: 256)] {
            #expect(throws: TrustAnchorError.self) { try bundle.awsCLICommand(name: name) }
        }
        #expect(throws: TrustAnchorError.self) { try bundle.awsCLICommand(region: "x; rm -rf /") }
    }
}
