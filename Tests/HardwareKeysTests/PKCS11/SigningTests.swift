// SPDX-License-Identifier: Apache-2.0

import Certificates
import CPKCS11
import Glibc
import Synchronization
import SystemSupport
import Testing

@testable import HardwareKeys

extension TokenTests {
    @Suite(.serialized) struct Signing {
        let tests: TokenTests
        var directory: TokenDirectory { tests.directory }

        init() throws { tests = try TokenTests() }

        /// Checks by libcrypto in this process and by the program openssl.
        private func check(_ key: PKCS11Key, _ digest: Digest) throws {
            let message = Array("what is signed, \(digest)".utf8)
            let signature = try key.signature(for: message, digest: digest)
            #expect(key.publicKey.isValid(signature: signature, for: message, digest: digest))

            let document = PEMDocument(label: "PUBLIC KEY", bytes: key.publicKey.derEncoded).text
            let publicKey = try directory.write(Array(document.utf8), to: "public.pem")
            let files = try (directory.write(signature, to: "signature"), directory.write(message, to: "message"))
            let output = try directory.run(
                "openssl dgst -\(digest) -verify \(publicKey) -signature \(files.0) \(files.1)")
            #expect(output.contains("Verified OK"))
        }

        @Test(arguments: ["rsa:2048", "EC:prime256v1", "EC:secp384r1", "EC:secp521r1"])
        func `a key that another's tool made signs what openssl verifies`(type: String) throws {
            let label = "made \(type.replacing(":", with: " "))"
            try directory.makeKey("main", label, id: "a1\(hexadecimal(type.utf8.suffix(4)))", type: type)
            let key = try tests.source.key(
                at: TokenDirectory.address("token=main;object=\(label.replacing(" ", with: "%20"))"))
            #expect(key.label == label)
            #expect(key.tokenLabel == "main")
            for digest in Digest.allCases { try check(key, digest) }
        }

        @Test(arguments: [KeyType.ecP256, .ecP384, .rsa2048, .rsa3072])
        func `a key that was made here signs what openssl verifies, and cannot be taken out`(type: KeyType) throws {
            let address = try TokenDirectory.address("token=generating;object=\(type.rawValue)")
            let made = try tests.source.generateKey(at: address, type: type)
            #expect(made.identifier == Array(Digest.sha256.hash(made.publicKey.derEncoded).prefix(20)))
            for digest in Digest.allCases { try check(made, digest) }
            let found = try tests.source.key(at: address)
            #expect(found.publicKey == made.publicKey)

            let listing = try directory.tool(
                "generating", "--list-objects --type privkey --id \(hexadecimal(made.identifier))")
            #expect(listing.contains("sensitive"))
            #expect(listing.contains("never extractable"))
            let refused = try tests.failure { try tests.source.generateKey(at: address, type: .ecP256) }
            #expect(refused.code == .ambiguous)
            #expect(refused.message.contains(type.rawValue))
        }

        @Test func `a key is made under the identifier that is asked for`() throws {
            let address = try TokenDirectory.address("token=generating;object=with%20id;id=%01%02")
            #expect(try tests.source.generateKey(at: address, type: .ecP256).identifier == [1, 2])
            let other = try TokenDirectory.address("token=generating;object=other;id=%01%02")
            #expect(try tests.failure { try tests.source.generateKey(at: other, type: .ecP256) }.code == .ambiguous)
        }

        @Test func `what cannot be made is refused`() throws {
            let named = try TokenDirectory.address("token=generating;object=x")
            #expect(try tests.failure { try tests.source.generateKey(at: named, type: .mlDSA65) }.code == .unsupported)
            let unnamed = try TokenDirectory.address("token=generating")
            let error = try tests.failure { try tests.source.generateKey(at: unnamed, type: .ecP256) }
            #expect(error.code == .invalidAddress)
            let everywhere = try TokenDirectory.address("object=x")
            #expect(
                try tests.failure { try tests.source.generateKey(at: everywhere, type: .ecP256) }.code == .ambiguous
            )
        }

        @Test func `threads sign with one key at once`() async throws {
            try directory.makeKey("main", "threads", id: "a2")
            let key = try tests.source.key(at: TokenDirectory.address("token=main;object=threads"))
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        let message = [UInt8](repeating: UInt8(number), count: 100)
                        let signature = try key.signature(for: message, digest: .sha256)
                        return key.publicKey.isValid(signature: signature, for: message, digest: .sha256)
                    }
                }
                for try await isValid in group { #expect(isValid) }
            }
        }
    }

    @Suite(.serialized) struct LostSessions {
        let tests: TokenTests
        let key: PKCS11Key
        let module: CryptokiModule
        let asked = Counter()

        init() throws {
            tests = try TokenTests()
            if try !tests.directory.tool("main", "--list-objects --type privkey").contains("lost") {
                try tests.directory.makeKey("main", "lost", id: "b1")
            }
            let asked = asked
            let source = PKCS11Source { _ in
                asked.count()
                return SecretBytes(TokenDirectory.pin.utf8)
            }
            key = try source.key(at: TokenDirectory.address("token=main;object=lost", pin: false))
            module = try CryptokiModule.opened(TokenDirectory.module)
        }

        private func sign() throws {
            let signature = try key.signature(for: [1, 2, 3], digest: .sha256)
            #expect(key.publicKey.isValid(signature: signature, for: [1, 2, 3], digest: .sha256))
            #expect(asked.value <= 1)
        }

        @Test func `a key outlives the closing of all sessions`() throws {
            try sign()
            let slot = try #require(Token.all(in: module).first { $0.label == "main" }).slot
            try module.call("C_CloseAllSessions") { $0.C_CloseAllSessions?(slot) }
            try sign()
            try sign()
        }

        @Test func `a key outlives a logout`() throws {
            let token = try #require(Token.all(in: module).first { $0.label == "main" })
            let session = try Session(token)
            try module.call("C_Logout") { $0.C_Logout?(session.handle) }
            try sign()
        }

        @Test func `a key outlives the module's end, and so does its source`() throws {
            try module.call("C_Finalize") { $0.C_Finalize?(nil) }
            try sign()
            try module.call("C_Finalize") { $0.C_Finalize?(nil) }
            #expect(try tests.source.allCertificates(at: TokenDirectory.address("token=second")).isEmpty)
            try sign()
        }

        @Test func `two keys are not mixed up when sessions begin anew`() throws {
            let other = try tests.source.generateKey(
                at: TokenDirectory.address("token=generating;object=mixed"), type: .ecP256)
            try module.call("C_Finalize") { $0.C_Finalize?(nil) }
            for _ in 0..<3 {
                try sign()
                let signature = try other.signature(for: [4], digest: .sha256)
                #expect(other.publicKey.isValid(signature: signature, for: [4], digest: .sha256))
            }
        }

        @Test func `a key that is gone is named`() throws {
            let key = try tests.source.generateKey(
                at: TokenDirectory.address("token=generating;object=goes"), type: .ecP256)
            let identifier = hexadecimal(key.identifier)
            try tests.directory.tool("generating", "--delete-object --type privkey --id \(identifier)")
            let error = try tests.failure { try key.signature(for: [1], digest: .sha256) }
            #expect(error.code == .notFound)
            #expect(error.message.contains("goes"))
        }
    }
}

/// Counts calls from any thread.
final class Counter: Sendable {
    private let number = Atomic(0)
    var value: Int { number.load(ordering: .sequentiallyConsistent) }
    func count() { number.add(1, ordering: .sequentiallyConsistent) }
}
