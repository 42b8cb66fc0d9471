// SPDX-License-Identifier: Apache-2.0

import SystemSupport
import Testing

@testable import Certificates

/// Keys and certificates that are read and written without libcrypto's decoders and encoders.
@Suite struct EllipticKeyEncodingTests {
    /// Keys as `openssl genpkey` makes them.
    private static let keys = [
        """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgsxzsoFkOxxd4xSdR
        D7+eDU/+uUe4FGyI4D9u5LU8mJOhRANCAAQI1PGaUDa/1REUt+5LNfXihvCY1OMZ
        fKVbbutnPW8zxM8N3/nwFvlKbrDB+Sl4rLDwfYdcoa3Ivr6+JXxbNhUQ
        -----END PRIVATE KEY-----

        """,
        """
        -----BEGIN PRIVATE KEY-----
        MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDDb+6kCGc7pmJphfBUT
        ksI/3OE5xnOxkjRNrcCCQ050teJc8E33GPKLSTXkjTl+XMuhZANiAARyC6ABf1BM
        41+QH3DZav2KoxFEKfoETdZLrzCqAFLhqQCzc4L0Xc4dxYPwAzFMVOU/Cv/B5GDH
        h75Mm3/lpKx3jmhfp9BbQMAXPqdjqecWVk5w/Q0s5l0JafpYZ9mhdbU=
        -----END PRIVATE KEY-----

        """,
        """
        -----BEGIN PRIVATE KEY-----
        MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIAgYXWczZT6mxbH3jZ
        wuSlec8wwYfsjD81cRQt/SiSE4KaFKd5DAla/a4HyrOJ7zpdpbnraLBGPhvZyqZ9
        czPoheihgYkDgYYABADjIWzfBZ1dnQJTP0t/H7TDU7Q8yXT5Cab83mNHCkB5YnKR
        VMEfzatfMuPr0+oXY5rth8e5FdGtBh1MKEpdz0X5mABpx7FG63fb7enQnZV5HwA4
        yXJNGvNOvJTQIy0NU5Cqz7H/kLFANYHcSUywDQoN1hrds14s4dzQ7RxyazSWwbYq
        HQ==
        -----END PRIVATE KEY-----

        """,
    ]

    private static func encoding(_ text: String) throws -> (key: [UInt8], curve: EllipticKeyEncoding) {
        let key = try PEMDocument.documents(in: Array(text.utf8))[0].bytes
        let curve = try #require(EllipticKeyEncoding.all.first { $0.parts(of: SecretBytes(key)) != nil })
        return (key, curve)
    }

    @Test(arguments: keys)
    func `a key is written as openssl writes it`(text: String) throws {
        let key = try PrivateKey(reading: SecretBytes(text.utf8), passphrase: nil)
        #expect(try key.pemEncoded(passphrase: nil).array == Array(text.utf8))
        let message = Array("message".utf8)
        let signature = try key.signature(for: message, digest: .sha256)
        #expect(key.publicKey.isValid(signature: signature, for: message, digest: .sha256))
        #expect(PublicKey(usualEncoding: key.publicKey.derEncoded) == key.publicKey)
    }

    @Test(arguments: keys)
    func `what is not the usual encoding, or not on the curve, is left to libcrypto`(text: String) throws {
        let (key, curve) = try Self.encoding(text)
        for index in key.indices {
            var damaged = key
            damaged[index] ^= 1
            guard let parts = curve.parts(of: SecretBytes(damaged)) else { continue }
            let key = curve.key(of: SecretBytes(damaged))
            let isMade = key != nil
            if index > damaged.count - parts.point.count { #expect(!isMade, "octet \(index)") }
        }
        #expect(curve.parts(of: SecretBytes(key + [0])) == nil)
        #expect(curve.parts(of: SecretBytes(key.dropLast())) == nil)
        let publicKey = try PrivateKey(reading: SecretBytes(text.utf8), passphrase: nil).publicKey.derEncoded
        var damaged = publicKey
        damaged[publicKey.count - 1] ^= 1
        #expect(PublicKey(usualEncoding: damaged) == nil)
        #expect(PublicKey(usualEncoding: publicKey + [0]) == nil)
    }

    @Test func `a certificate read by parts is the one that libcrypto reads as a whole`() throws {
        let containers = try Corpus.load().files.compactMap { file in
            try? Container(reading: SecretBytes(try file.contents()), passphrase: file.secret)
        }
        let certificates = containers.flatMap(\.certificates).filter {
            (try? Certificate(byParts: $0.derEncoded)) != nil
        }
        #expect(!certificates.isEmpty)
        for certificate in certificates.prefix(2) {
            try compare(certificate.derEncoded, parts: Certificate.init(byParts:), whole: Certificate.init(whole:))
        }
    }

    @Test func `a request read by parts is the one that libcrypto reads as a whole`() throws {
        let parameters = CertificateRequestParameters(
            subject: try DistinguishedName("CN=web-1,O=Example"), subjectAlternativeNames: [.dns("web-1.example.com")])
        let request = try parameters.signed(by: PrivateKey(generating: .ecP256), name: "request")
        #expect(try CertificateRequest(byParts: request.derEncoded, name: "request") != nil)
        try compare(
            request.derEncoded, parts: { try CertificateRequest(byParts: $0, name: "request") },
            whole: { try CertificateRequest(whole: $0, name: "request") })
    }

    /// Changes octet by octet, and compares what is read by parts with what is read as a whole.
    private func compare<Value>(_ encoded: [UInt8], parts: ([UInt8]) throws -> Value?, whole: ([UInt8]) throws -> Value)
        throws
    {
        var (read, refused) = (0, 0)
        for index in encoded.indices {
            for mask: UInt8 in [0x01, 0x80] {
                var bytes = encoded
                bytes[index] ^= mask
                guard let parts = try? parts(bytes) else {
                    refused += 1
                    continue
                }
                read += 1
                let whole = try whole(bytes)
                #expect(
                    "\(Mirror(reflecting: parts).children.map { $0 })"
                        == "\(Mirror(reflecting: whole).children.map { $0 })", "octet \(index), mask \(mask)")
            }
        }
        #expect(min(read, refused) > 100)
    }
}
