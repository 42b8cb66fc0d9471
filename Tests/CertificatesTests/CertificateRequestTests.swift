// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SystemSupport
import Testing

@testable import Certificates

@Suite struct CertificateRequestTests {
    /// A request for `CN=a` with an alternative name and a key usage, made by the `openssl` command.
    static let text = """
        -----BEGIN CERTIFICATE REQUEST-----
        MIIBAzCBqQIBADAMMQowCAYDVQQDDAFhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
        QgAE38UEB4JURFb8Oary3+GMaT3UUpMQ3aTUXjJC0rwnm2FubuPTGklk55A2fHbK
        SQdS9FsvUQjS8pCryViiyEscHaA7MDkGCSqGSIb3DQEJDjEsMCowGAYDVR0RBBEw
        D4INeC5leGFtcGxlLmNvbTAOBgNVHQ8BAf8EBAMCB4AwCgYIKoZIzj0EAwIDSQAw
        RgIhANXFLFfiBX2FCCsXS4pKOuw11gCCvFw4BTQJGa+29UkNAiEA1qkbhnqBuvGS
        eRMBGSPcVQekCmrXKNgdMdX+OMKS5z0=
        -----END CERTIFICATE REQUEST-----
        """

    private func encoded() throws -> [UInt8] {
        try #require(try PEMDocument.documents(in: Self.text.utf8).first).bytes
    }

    @Test func `a request says all that it asks for`() throws {
        let request = try CertificateRequest(derEncoded: encoded(), name: "r.csr")
        #expect(request.isSignedByItsKey == true)
        #expect(request.subject.description == "CN=a")
        #expect(request.subjectAlternativeNames == [.dns("x.example.com")])
        #expect(request.otherExtensions == ["keyUsage"])
        #expect(request.extensions.map(\.isCritical) == [false, true])
        #expect(request.extensions.map(\.text) == ["DNS:x.example.com", "Digital Signature"])
        #expect(request.signatureAlgorithm.name == "ecdsa-with-SHA256")
        #expect(try PEMDocument.documents(in: request.pemEncoded.utf8).first?.bytes == encoded())
    }

    @Test func `a request with another's signature can be looked at, and not used`() throws {
        var altered = try encoded()
        let place = try #require(altered.firstIndex(of: UInt8(ascii: "a")))
        altered[place] = UInt8(ascii: "b")
        let error = try #require(throws: CertificateError.self) {
            try CertificateRequest(derEncoded: altered, name: "r.csr")
        }
        #expect(error.code == .mismatch)
        let seen = try CertificateRequest(unproven: altered, name: "r.csr")
        #expect(seen.isSignedByItsKey == false)
        let container = try Container(reading: SecretBytes(altered))
        guard case .certificateRequest(let found)? = container.objects.first else {
            Issue.record("no request")
            return
        }
        #expect(found.isSignedByItsKey == false)
    }

    /// Programs differ in which of two attributes or values they read.
    @Test(arguments: [(1, 1), (1, 2), (2, 1), (2, 2)])
    func `a request that asks for extensions twice is malformed`(attributes: Int, values: Int) throws {
        let key = try PrivateKey(generating: .ecP256)
        let names = try CertificateExtension([.dns("x.example.com")], isCritical: false)
        let value = Array(repeating: DER.sequence([names.derEncoded]), count: values)
        let attribute = ["1.2.840.113549.1.9.14", "1.3.6.1.4.1.311.2.1.14"].prefix(attributes)
            .flatMap { DER.sequence([DER.objectIdentifier($0), DER.set(of: value)]) }
        let algorithm = try SignatureIdentifier(for: key.publicKey.algorithm)
        let toBeSigned = DER.sequence([
            DER.unsignedInteger([]), try DistinguishedName("CN=x").derEncoded, key.publicKey.derEncoded,
            DER.encode(DER.constructed(0), attribute),
        ])
        let signature = try key.signature(for: toBeSigned, digest: algorithm.digest)
        let encoded = DER.sequence([toBeSigned, algorithm.derEncoded, DER.bitString(signature)])
        guard attributes * values > 1 else {
            let names = try CertificateRequest(derEncoded: encoded, name: "r.csr").subjectAlternativeNames
            #expect(names == [.dns("x.example.com")])
            return
        }
        let error = #expect(throws: CertificateError.self) {
            try CertificateRequest(derEncoded: encoded, name: "r.csr")
        }
        #expect(error?.code == .malformed)
        _ = try CertificateRequest(unproven: encoded, name: "r.csr")
    }
}
