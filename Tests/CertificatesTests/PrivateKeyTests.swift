// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport
import Testing

@Suite struct PrivateKeyTests {
    static let kinds: [KeyType] = [.ecP256, .ecP384, .rsa2048]
    static let message = Array("message".utf8)

    @Test(arguments: kinds)
    func `a key is read back from its file, plain and encrypted`(kind: KeyType) throws {
        let key = try PrivateKey(generating: kind)
        let passphrase = SecretBytes("correct horse".utf8)
        #expect(try PrivateKey(reading: key.pemEncoded()).publicKey == key.publicKey)
        let encrypted = try key.pemEncoded(passphrase: passphrase)
        let text = unsafe encrypted.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
        #expect(text.hasPrefix("-----BEGIN ENCRYPTED PRIVATE KEY-----"))
        #expect(try PrivateKey(reading: encrypted, passphrase: passphrase).publicKey == key.publicKey)
    }

    @Test func `an encrypted key asks for its passphrase and refuses a wrong one`() throws {
        let encrypted = try PrivateKey(generating: .ecP256).pemEncoded(passphrase: SecretBytes("right".utf8))
        for (passphrase, code) in [(nil, .missingPassphrase), (SecretBytes("wrong".utf8), .wrongPassphrase)]
            as [(SecretBytes?, CertificateErrorCode)]
        {
            #expect {
                try PrivateKey(reading: encrypted, passphrase: passphrase)
            } throws: { error in
                (error as? CertificateError)?.code == code
            }
        }
    }

    @Test func `an empty passphrase is refused`() throws {
        let key = try PrivateKey(generating: .ecP256)
        #expect(throws: CertificateError.self) { try key.pemEncoded(passphrase: SecretBytes([])) }
    }

    @Test(arguments: kinds, Digest.allCases)
    func `a signature is its key's, over its message, under its digest`(kind: KeyType, digest: Digest) throws {
        let key = try PrivateKey(generating: kind)
        let signature = try key.signature(for: Self.message, digest: digest)
        #expect(key.publicKey.isValid(signature: signature, for: Self.message, digest: digest))
        #expect(!key.publicKey.isValid(signature: signature, for: Self.message + [0], digest: digest))
        let other = try #require(Digest.allCases.first { $0 != digest })
        #expect(!key.publicKey.isValid(signature: signature, for: Self.message, digest: other))
        #expect(
            !(try PrivateKey(generating: kind)).publicKey.isValid(
                signature: signature, for: Self.message, digest: digest))
        #expect(!key.publicKey.isValid(signature: [], for: Self.message, digest: digest))
    }

    @Test(arguments: [
        "", "hello", "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----\n",
        "-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n", "0\u{01}\u{01}",
    ])
    func `what is not a key is refused`(text: String) {
        #expect {
            try PrivateKey(reading: SecretBytes(text.utf8))
        } throws: { error in
            (error as? CertificateError)?.code == .malformed
        }
    }

    @Test func `a key type that this libcrypto lacks is refused with the version`() {
        do {
            let key = try PrivateKey(generating: .mlDSA65)
            #expect(key.publicKey.algorithm == .mlDSA(65))
        } catch {
            #expect(error.code == .unsupported)
            #expect(error.message.contains("OpenSSL 3.") || error.message.contains("3."))
            #expect(error.message.contains("ML-DSA came with OpenSSL 3.5"))
        }
    }

    @Test func `algorithms have the names that people use`() throws {
        #expect(
            try Self.kinds.map { try PrivateKey(generating: $0).publicKey.algorithm.description } == [
                "EC P-256", "EC P-384", "RSA 2048",
            ]
        )
    }

    @Test func `a secret shows nowhere`() {
        let secret = SecretBytes("hunter2-hunter2".utf8)
        var dumped = ""
        dump(secret, to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), dumped] {
            #expect(!text.contains("hunter2") && !text.contains("104"))
        }
        #expect(unsafe secret.withUnsafeBytes { unsafe Array($0) } == Array("hunter2-hunter2".utf8))
    }
}
