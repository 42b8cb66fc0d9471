// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport
import Testing

@testable import RolesAnywhere

struct IdentityTests {
    /// A chain of a root, so many intermediates, and a client.
    private struct Chain {
        let key: PrivateKey
        let root: Certificate
        let intermediates: [Certificate]
        let client: Certificate

        init(intermediates count: Int) throws {
            key = try PrivateKey(generating: .ecP256)
            var authority = try TestAuthority()
            root = authority.certificate
            var certificates: [Certificate] = []
            for number in 0..<count {
                authority = try authority.intermediate("Intermediate \(number)")
                certificates.insert(authority.certificate, at: 0)
            }
            intermediates = certificates
            client = try authority.client(key: key)
        }
    }

    @Test func `a full chain in any order becomes certificate and intermediates, nearest first, without the root`()
        throws
    {
        let chain = try Chain(intermediates: 2)
        let all = [chain.client] + chain.intermediates + [chain.root]
        for permutation in permutations(of: all) {
            let identity = try Identity(key: chain.key, certificates: permutation)
            #expect(identity.certificate == chain.client)
            #expect(identity.intermediates == chain.intermediates)
        }
    }

    @Test func `certificates that have nothing to do with it, and doubles, are left out`() throws {
        let chain = try Chain(intermediates: 1)
        let stranger = try Chain(intermediates: 1)
        let heap = stranger.intermediates + chain.intermediates + [stranger.client, chain.client, stranger.root]
        let identity = try Identity(key: chain.key, certificates: heap + heap)
        #expect(identity.certificate == chain.client)
        #expect(identity.intermediates == chain.intermediates)
    }

    @Test func `an issuer of the right name but with another key is left out`() throws {
        let root = try TestAuthority()
        let real = try root.intermediate("Same Name")
        let impostor = try root.intermediate("Same Name")
        let key = try PrivateKey(generating: .ecP256)
        let identity = try Identity(
            key: key, certificates: [impostor.certificate, real.client(key: key), real.certificate])
        #expect(identity.intermediates == [real.certificate])
    }

    @Test func `of renewed certificates the one that ends last is taken`() throws {
        let root = try TestAuthority()
        let key = try PrivateKey(generating: .ecP256)
        let old = try root.intermediate("Renewed", years: 8)
        let new = try root.intermediate("Renewed", key: old.key, years: 9)
        let clients = [try old.client(key: key, years: 2), try new.client(key: key, years: 3)]
        for heap in permutations(of: [old.certificate, new.certificate] + clients) {
            let identity = try Identity(key: key, certificates: heap)
            #expect(identity.certificate == clients[1])
            #expect(identity.intermediates == [new.certificate])
        }
    }

    @Test func `five intermediates are sent and six are refused`() throws {
        let five = try Chain(intermediates: 5)
        #expect(try Identity(key: five.key, certificates: five.intermediates + [five.client]).intermediates.count == 5)
        let six = try Chain(intermediates: 6)
        let error = try #require(throws: RolesAnywhereError.self) {
            try Identity(key: six.key, certificates: six.intermediates + [six.client])
        }
        #expect(error.code == .unusableIdentity)
        #expect(error.message.contains("6 intermediate"))
    }

    @Test func `a key that is not the certificate's is refused, and so is a heap of nothing`() throws {
        let chain = try Chain(intermediates: 1)
        let other = try PrivateKey(generating: .ecP384)
        let error = try #require(throws: RolesAnywhereError.self) {
            try Identity(key: other, certificates: [chain.client])
        }
        #expect(error.message.contains("EC P-384") && error.message.contains("EC P-256"))
        #expect(error.message.contains("CN=client.example"))
        #expect(throws: RolesAnywhereError.self) { try Identity(key: other, certificates: [chain.client, chain.root]) }
        #expect(throws: RolesAnywhereError.self) { try Identity(key: other, certificates: []) }
    }

    @Test func `key and certificates may stand in one text, and beside the key in another`() throws {
        let chain = try Chain(intermediates: 1)
        let keyText = try unsafe chain.key.pemEncoded().withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
        let texts = [keyText] + ([chain.client] + chain.intermediates).map(\.pemEncoded)
        for permutation in permutations(of: texts) {
            let text = permutation.joined(separator: "some words\n").replacing("\n", with: "\r\n")
            let identity = try Identity(certificates: Array(text.utf8), privateKey: SecretBytes(text.utf8))
            #expect(identity.certificate == chain.client)
            #expect(identity.intermediates == chain.intermediates)
        }
        let split = try Identity(
            certificates: chain.client.derEncoded,
            privateKey: SecretBytes((keyText + chain.intermediates[0].pemEncoded).utf8))
        #expect(split.intermediates == chain.intermediates)
        let apart = try Identity(
            certificates: Array(chain.client.pemEncoded.utf8), privateKey: SecretBytes(keyText.utf8),
            intermediates: Array((chain.root.pemEncoded + chain.intermediates[0].pemEncoded).utf8))
        #expect(apart.intermediates == chain.intermediates)
    }

    @Test func `an encrypted key is opened with its passphrase`() throws {
        let chain = try Chain(intermediates: 0)
        let passphrase = SecretBytes("correct horse".utf8)
        let encrypted = try chain.key.pemEncoded(passphrase: passphrase)
        let certificates = Array(chain.client.pemEncoded.utf8)
        let identity = try Identity(certificates: certificates, privateKey: encrypted, passphrase: passphrase)
        #expect(identity.certificate == chain.client)
        let error = try #require(throws: CertificateError.self) {
            try Identity(certificates: certificates, privateKey: encrypted, passphrase: SecretBytes("wrong".utf8))
        }
        #expect(error.code == .wrongPassphrase)
    }

    @Test func `an identity shows its certificate and not its key`() throws {
        let identity = try Identity(certificate: Fixtures.ecCertificate, key: Fixtures.ecKey)
        var dumped = ""
        dump(identity, to: &dumped)
        #expect("\(identity)".contains("CN=ec.example"))
        #expect(dumped.contains("<redacted>"))
        #expect(!dumped.contains("PrivateKey"))
    }
}

/// Every order of some elements.
private func permutations<Element>(of elements: [Element]) -> [[Element]] {
    guard elements.count > 1 else { return [elements] }
    return elements.indices.flatMap { index in
        var rest = elements
        let first = rest.remove(at: index)
        return permutations(of: rest).map { [first] + $0 }
    }
}
