// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport
import Testing

@Suite struct ContainerTests {
    private func container(_ text: String) throws(CertificateError) -> Container {
        try Container(reading: SecretBytes(text.utf8))
    }

    @Test func `a key and its certificate are found beside one another`() throws {
        let key = try PrivateKey(generating: .ecP256)
        let keyText = unsafe try key.pemEncoded().withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
        let file = try container("leading text\n" + keyText + "-----BEGIN THING-----\nAQID\n-----END THING-----")
        #expect(file.form == .pem)
        #expect(file.objects.count == 2)
        #expect(try file.privateKeys.first?.key().publicKey == key.publicKey)
        guard case .unknown("THING") = file.objects[1] else {
            Issue.record("the second object is not THING")
            return
        }
    }

    @Test func `an encrypted key is described before it is opened`() throws {
        let encrypted = try PrivateKey(generating: .ecP256).pemEncoded(passphrase: SecretBytes("secret".utf8))
        let key = try #require(try Container(reading: encrypted).privateKeys.first)
        #expect(key.form == .pkcs8)
        #expect(key.encryption == "PBES2 with id-scrypt (N = 16384, r = 8, p = 5) and AES-256-CBC")
        let error = #expect(throws: CertificateError.self) { try key.key() }
        #expect(error?.code == .missingPassphrase)
        _ = try key.key(passphrase: SecretBytes("secret".utf8))
    }

    @Test(arguments: [
        ("", "empty"), ("hello", "neither PEM nor DER"), ("\u{30}\u{03}\u{02}\u{01}\u{05}", "no key, certificate"),
        ("PuTTY-User-Key-File-3: x", "PuTTY"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAQID\n-----END OPENSSH PRIVATE KEY-----", "ssh-keygen -p -m PKCS8"),
    ])
    func `what cannot be read is said with its reason`(text: String, reason: String) {
        let error = #expect(throws: CertificateError.self) { try PrivateKey(reading: SecretBytes(text.utf8)) }
        let said = [error?.message, error?.hint].compactMap(\.self).joined(separator: " ")
        #expect(said.contains(reason))
    }

    @Test func `an encryption that would take hours is refused at once`() throws {
        // PBKDF2 with 2,147,483,647 rounds, by openssl pkcs8 -topk8 -iter.
        let rounds: [UInt8] = [0x02, 0x04, 0x7f, 0xff, 0xff, 0xff]
        let derivation: [UInt8] =
            [
                0x30, 0x19, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c, 0x30, 0x0c, 0x04, 0x04, 1,
                2,
            ]
            + [3, 4] + rounds
        let cipher: [UInt8] =
            [0x30, 0x1d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a, 0x04, 0x10]
            + [UInt8](repeating: 7, count: 16)
        let scheme: [UInt8] =
            [0x30, 0x47, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d, 0x30, 0x3a] + derivation
            + cipher
        let file: [UInt8] = [0x30, 0x5b] + scheme + [0x04, 0x10] + [UInt8](repeating: 9, count: 16)
        let error = #expect(throws: CertificateError.self) {
            try PrivateKey(reading: SecretBytes(file), passphrase: SecretBytes("x".utf8))
        }
        #expect(error?.message.contains("2147483647 rounds") == true)
    }

    @Test func `a certs-only message is read as it was written, and its damage is survived`() throws {
        let certificates = try ["CN=A", "CN=B"].map {
            try Samples.root(PrivateKey(generating: .ecP256), subject: $0)
        }
        let message = CertificateBundle.encode(certificates)
        #expect(CertificateBundle.decode(message) == certificates)
        #expect(CertificateBundle.decode(message, limit: 1) == nil)
        #expect(CertificateBundle.decode(CertificateBundle.encode([])) == nil)
        for index in message.indices {
            _ = CertificateBundle.decode(Array(message[..<index]))
            var damaged = message
            damaged[index] ^= 0xff
            #expect(CertificateBundle.decode(damaged) != certificates || index > 20)
        }
        #expect(CertificateBundle.decode(certificates[0].derEncoded) == nil)
    }
}
