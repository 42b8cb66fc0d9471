// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SystemSupport
import Testing

@testable import Certificates

@Suite struct PKCS12ArchiveTests {
    private static let passphrase = SecretBytes("correct horse, schön".utf8)

    private func identity(_ kind: KeyType = .ecP256) throws -> (key: PrivateKey, leaf: Certificate, root: Certificate) {
        let rootKey = try PrivateKey(generating: .ecP256)
        let root = try Samples.root(rootKey)
        let key = try PrivateKey(generating: kind)
        let leaf = try Samples.parameters("CN=web-1", key: key.publicKey, template: Samples.clientText)
            .signed(by: rootKey, issuer: root)
        return (key, leaf, root)
    }

    @Test(arguments: PrivateKeyTests.kinds, PKCS12Archive.Encryption.allCases)
    func `what is written is read back, and opens with its passphrase alone`(
        kind: KeyType, encryption: PKCS12Archive.Encryption
    ) throws {
        let (key, leaf, root) = try identity(kind)
        let archive = try PKCS12Archive(
            key: key, certificate: leaf, chain: [root], friendlyName: "Größe 🔑", encryption: encryption)
        let file = try archive.encoded(passphrase: Self.passphrase)
        let container = try Container(reading: file, passphrase: Self.passphrase)
        #expect(container.form == .pkcs12)
        #expect(container.certificates == [leaf, root])
        #expect(try container.privateKeys.map { try $0.key(passphrase: nil).publicKey } == [key.publicKey])
        let description = container.privateKeys.first?.encryption ?? ""
        let expected = [
            PKCS12Archive.Encryption.modern: "PBES2 with PBKDF2 (hmacWithSHA256, 600000 rounds) and AES-256-CBC",
            .legacy: "PBE-SHA1-3DES (100000 rounds)",
        ]
        #expect(description == expected[encryption])
        for wrong in ["correct horse, schon", ""] {
            let error = #expect(throws: CertificateError.self) {
                try Container(reading: file, passphrase: SecretBytes(wrong.utf8))
            }
            #expect(error?.code == .wrongPassphrase)
        }
        #expect(throws: CertificateError.self) { try Container(reading: file) }
    }

    @Test func `no two files of one archive are alike`() throws {
        let (key, leaf, _) = try identity()
        let archive = try PKCS12Archive(key: key, certificate: leaf, encryption: .legacy)
        func bytes() throws -> [UInt8] {
            unsafe try archive.encoded(passphrase: Self.passphrase).withUnsafeBytes { unsafe Array($0) }
        }
        let (first, second) = try (bytes(), bytes())
        #expect(first != second)
        // Nothing of the certificate stands in the file unencrypted.
        #expect(first.firstRange(of: leaf.subject.derEncoded) == nil)
    }

    @Test(arguments: PKCS12Archive.Encryption.allCases)
    func `an archive of trusted certificates has no key`(encryption: PKCS12Archive.Encryption) throws {
        let roots = try (1...3).map { try Samples.root(PrivateKey(generating: .ecP256), subject: "CN=Root \($0)") }
        let entries = roots.enumerated().map {
            PKCS12Archive.TrustedCertificate(name: "root-\($0)", certificate: $1)
        }
        let file = try PKCS12Archive(trusting: entries, encryption: encryption).encoded(passphrase: Self.passphrase)
        let container = try Container(reading: file, passphrase: Self.passphrase)
        #expect(container.certificates == roots)
        #expect(container.privateKeys.isEmpty)
    }

    @Test func `a foreign key, a missing passphrase and doubled aliases are refused`() throws {
        let (key, leaf, root) = try identity()
        func code<Result>(_ body: () throws -> Result) -> CertificateErrorCode? {
            do { _ = try body() } catch let error as CertificateError { return error.code } catch {}
            return nil
        }
        #expect(code { try PKCS12Archive(key: key, certificate: root) } == .mismatch)
        let archive = try PKCS12Archive(key: key, certificate: leaf, encryption: .legacy)
        #expect(code { try archive.encoded(passphrase: SecretBytes([])) } == .wrongPassphrase)
        #expect(code { try archive.encoded(passphrase: SecretBytes([0xff, 0x41])) } == .wrongPassphrase)
        #expect(code { try archive.encoded(passphrase: SecretBytes([0x41, 0, 0x42])) } == .wrongPassphrase)
        for names in [["Root", "root"], [""]] {
            let entries = names.map { PKCS12Archive.TrustedCertificate(name: $0, certificate: root) }
            #expect(code { try PKCS12Archive(trusting: entries) } == .invalidName)
        }
    }

    @Test func `nothing that is shown of an archive is its key`() throws {
        let (key, leaf, _) = try identity()
        let archive = try PKCS12Archive(key: key, certificate: leaf)
        var dumped = ""
        dump(archive, to: &dumped)
        #expect(!dumped.contains("PRIVATE"))
    }
}
