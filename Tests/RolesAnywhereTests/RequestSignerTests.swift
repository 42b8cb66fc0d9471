// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport
import Testing

@testable import RolesAnywhere

struct RequestSignerTests {
    private func request(
        to endpoint: Endpoint, headers: HTTPHeaders = ["Content-Type": "application/json"]
    ) throws -> HTTPRequest {
        let session = try SessionRequest.example()
        return HTTPRequest(
            method: "POST", url: endpoint.url(for: "/sessions", query: session.query), headers: headers,
            body: session.body)
    }

    @Test func `a request is signed as the description of CreateSession says, step by step`() throws {
        let identity = try Identity(certificate: Fixtures.rsaCertificate, key: Fixtures.rsaKey)
        let signed = try RequestSigner(region: "us-east-1").sign(
            request(to: Endpoint(region: "us-east-1")), as: identity, at: TestAuthority.now)
        #expect(signed.canonicalRequest == SigningVector.canonicalRequest)
        #expect(signed.stringToSign == SigningVector.stringToSign)
        #expect(signed.request.headers["authorization"] == SigningVector.authorization)
        #expect(signed.request.headers["X-Amz-Date"] == "20260102T030405Z")
        #expect(signed.request.headers["X-Amz-X509-Chain"] == nil)
        #expect(signed.request.body == Array(#"{"durationSeconds":3600}"#.utf8))
    }

    @Test func `the path of an endpoint, its port and the chain are signed`() throws {
        let leaf = try #require(Certificate.certificates(in: Array(Fixtures.rsaCertificate.utf8)).first)
        let others = try Certificate.certificates(in: Array((Fixtures.ecCertificate + "\n" + Fixtures.root).utf8))
        let identity = Identity(
            certificate: leaf, intermediates: others, key: try PrivateKey(reading: SecretBytes(Fixtures.rsaKey.utf8)))
        let signed = try RequestSigner(region: "us-east-1").sign(
            request(to: Endpoint("https://127.0.0.1:8443/gateway/v1/")), as: identity, at: TestAuthority.now)
        #expect(signed.canonicalRequest == SigningVector.canonicalRequestWithPath)
        #expect(
            signed.request.headers["X-Amz-X509-Chain"]
                == others.map { Data($0.derEncoded).base64EncodedString() }.joined(separator: ",")
        )
        #expect(signed.request.headers["Host"] == "127.0.0.1:8443")
    }

    @Test func `a serial number of more than 64 bits is decimal`() throws {
        let certificate = try #require(Certificate.certificates(in: Array(Fixtures.rsaCertificate.utf8)).first)
        #expect(certificate.serialNumber.magnitude.count > 8)
        #expect(certificate.serialNumber.decimal == SigningVector.serialNumber)
        #expect(SigningVector.authorization.contains("Credential=\(SigningVector.serialNumber)/20260102/"))
    }

    @Test func `headers that are not the service's are sent but not signed`() throws {
        let identity = try Identity(certificate: Fixtures.ecCertificate, key: Fixtures.ecKey)
        let headers: HTTPHeaders = [
            "content-type": "  application/json;   charset=utf-8 ", "User-Agent": "x", "X-Amzn-Trace-Id": "Root=1",
        ]
        let signed = try RequestSigner(region: "us-east-1").sign(
            request(to: Endpoint(region: "us-east-1"), headers: headers), as: identity, at: TestAuthority.now)
        let authorization = try #require(signed.request.headers["Authorization"])
        #expect(authorization.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-x509, "))
        #expect(signed.canonicalRequest.contains("\ncontent-type:application/json; charset=utf-8\nhost:"))
        #expect(signed.request.headers["X-Amzn-Trace-Id"] == "Root=1")
    }

    @Test(arguments: [
        (KeyType.ecP256, "AWS4-X509-ECDSA-SHA256"),
        (.ecP384, "AWS4-X509-ECDSA-SHA256"),
        (.rsa2048, "AWS4-X509-RSA-SHA256"),
    ])
    func `the signature is the key's over the string to sign, with SHA-256 whatever its size`(
        type: KeyType, algorithm: String
    ) throws {
        let key = try PrivateKey(generating: type)
        let identity = try Identity(key: key, certificates: [TestAuthority().client(key: key)])
        let signed = try RequestSigner(region: "eu-west-1").sign(
            request(to: Endpoint(region: "eu-west-1")), as: identity, at: TestAuthority.now)
        let authorization = try #require(signed.request.headers["Authorization"])
        #expect(authorization.hasPrefix("\(algorithm) Credential="))
        #expect(
            signed.stringToSign.hasPrefix(
                "\(algorithm)\n20260102T030405Z\n20260102/eu-west-1/rolesanywhere/aws4_request\n"))
        let digits = Array(try #require(authorization.split(separator: "Signature=").last).utf8)
        let signature = try stride(from: 0, to: digits.count, by: 2).map {
            try #require(UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16))
        }
        #expect(key.publicKey.isValid(signature: signature, for: Array(signed.stringToSign.utf8), digest: .sha256))
    }

    @Test func `ML-DSA has a name of its own and other kinds have none`() throws {
        #expect(try RequestSigner.algorithm(for: .mlDSA(65)) == "AWS4-X509-MLDSA")
        let error = try #require(throws: RolesAnywhereError.self) {
            try RequestSigner.algorithm(for: .other("ED25519"))
        }
        #expect(error.message.contains("ED25519"))
    }

    @Test func `no description shows the signature`() throws {
        let identity = try Identity.example()
        let signed = try RequestSigner(region: "us-east-1").sign(
            request(to: Endpoint(region: "us-east-1")), as: identity, at: TestAuthority.now)
        var dumped = ""
        dump(signed, to: &dumped)
        for text in [dumped, "\(signed.request.headers)", String(reflecting: signed.request.headers)] {
            #expect(!text.contains("Signature="))
        }
        #expect("\(signed.request.headers)".contains("Authorization: <redacted>"))
    }
}
