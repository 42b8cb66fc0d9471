// SPDX-License-Identifier: Apache-2.0

import Certificates
import CPKCS11
import FoundationEssentials
import Glibc
import SystemSupport
import Testing

@testable import HardwareKeys

extension TokenTests {
    @Suite(.serialized) struct Finding {
        let tests: TokenTests
        var directory: TokenDirectory { tests.directory }
        var source: PKCS11Source { tests.source }

        init() throws { tests = try TokenTests() }

        private func makeKey(_ label: String, id: String, token: String = "main") throws -> PublicKey {
            try directory.makeKey(token, label, id: id)
            return try source.key(at: TokenDirectory.address("token=\(token);object=\(label);id=%\(id)")).publicKey
        }

        @Test func `a certificate is found by label, by id, and among all, without a PIN`() throws {
            let certificate = try TokenDirectory.certificate(makeKey("by-label", id: "c1"))
            try directory.put(certificate, "main", "by-label", id: "c1")
            for path in ["object=by-label", "id=%c1", "type=cert;id=%c1;token=main"] {
                let address = try TokenDirectory.address(path, pin: false)
                #expect(try source.certificates(at: address) == [certificate])
            }
            #expect(
                try source.allCertificates(at: TokenDirectory.address("object=x", pin: false)).contains(certificate))
            let key = try source.key(
                at: TokenDirectory.address("type=cert;object=by-label"),
                certificates: [TokenDirectory.certificate(PrivateKey(generating: .rsa2048).publicKey), certificate])
            #expect(key.publicKey == certificate.publicKey)
        }

        @Test func `a certificate that is not there is named, with those that are`() throws {
            let certificate = try TokenDirectory.certificate(PrivateKey(generating: .ecP256).publicKey)
            try directory.put(certificate, "main", "lonely", id: "c2")
            let error = try tests.failure {
                try source.certificates(at: TokenDirectory.address("token=main;object=nobody", pin: false))
            }
            #expect(error.code == .notFound)
            #expect(error.message.contains("nobody"))
            #expect(error.message.contains("lonely id c2"))
            let private_ = try TokenDirectory.address("type=private", pin: false)
            #expect(try tests.failure { try source.certificates(at: private_) }.code == .invalidAddress)
        }

        @Test func `a certificate that the token keeps private is found with the PIN`() throws {
            let certificate = try TokenDirectory.certificate(PrivateKey(generating: .ecP256).publicKey)
            try directory.put(certificate, "main", "hidden", id: "c3", "--private")
            #expect(try source.certificates(at: TokenDirectory.address("token=main;object=hidden")) == [certificate])
        }

        @Test func `the key of a certificate is found by the certificate's label, then by its id`() throws {
            let byLabel = try TokenDirectory.certificate(makeKey("shared-label", id: "d1"))
            try directory.put(byLabel, "main", "shared-label", id: "d2")
            let byIdentifier = try TokenDirectory.certificate(makeKey("key-label", id: "d3"))
            try directory.put(byIdentifier, "main", "certificate-label", id: "d3")
            for (path, certificate) in [
                ("id=%d2", byLabel), ("object=certificate-label", byIdentifier),
                ("type=cert;object=certificate-label", byIdentifier),
            ] {
                let address = try TokenDirectory.address("token=main;\(path)")
                #expect(try source.key(at: address, certificates: [certificate]).publicKey == certificate.publicKey)
                #expect(try source.key(at: address).publicKey == certificate.publicKey)
            }
            let named = try TokenDirectory.address("token=main;type=private;object=certificate-label")
            let error = try tests.failure { try source.key(at: named) }
            #expect(error.code == .notFound)
            #expect(error.message.contains("key-label id d3"))
        }

        @Test func `a label that another key bears too does not hide the key of the certificate`() throws {
            _ = try makeKey("borrowed", id: "d4")
            let certificate = try TokenDirectory.certificate(makeKey("lender", id: "d5"))
            try directory.put(certificate, "main", "borrowed", id: "d5")
            let address = try TokenDirectory.address("token=main;object=borrowed;type=cert")
            #expect(try source.key(at: address, certificates: [certificate]).publicKey == certificate.publicKey)
        }

        @Test func `of two keys the certificate's is taken, and without one neither`() throws {
            let keys = try [makeKey("twin", id: "e1"), makeKey("twin", id: "e2")]
            let address = try TokenDirectory.address("token=main;object=twin")
            for key in keys {
                #expect(try source.key(at: address, certificates: [TokenDirectory.certificate(key)]).publicKey == key)
            }
            let error = try tests.failure { try source.key(at: address) }
            #expect(error.code == .ambiguous)
            #expect(error.message.contains("twin id e1") && error.message.contains("twin id e2"))

            // Without public keys in the token, signatures tell.
            for id in ["e1", "e2"] { try directory.tool("main", "--delete-object --type pubkey --id \(id)") }
            for key in keys {
                #expect(try source.key(at: address, certificates: [TokenDirectory.certificate(key)]).publicKey == key)
            }
        }

        @Test func `a key without its public half needs the certificate`() throws {
            let publicKey = try makeKey("half", id: "e3")
            try directory.tool("main", "--delete-object --type pubkey --id e3")
            let address = try TokenDirectory.address("token=main;object=half")
            #expect(try tests.failure { try source.key(at: address) }.code == .unsupported)
            #expect(
                try source.key(at: address, certificates: [TokenDirectory.certificate(publicKey)]).publicKey
                    == publicKey)
        }

        @Test func `a key that is not the certificate's is refused`() throws {
            _ = try makeKey("alien", id: "e4")
            let certificate = try TokenDirectory.certificate(PrivateKey(generating: .ecP256).publicKey)
            let error = try tests.failure {
                try source.key(at: TokenDirectory.address("token=main;object=alien"), certificates: [certificate])
            }
            #expect(error.code == .mismatch)
            #expect(error.message.contains("alien id e4"))
        }

        @Test func `of several tokens the one that shows the key is taken`() throws {
            let publicKey = try makeKey("only-here", id: "e5", token: "second")
            #expect(try source.key(at: TokenDirectory.address("object=only-here")).tokenLabel == "second")
            #expect(try source.key(at: TokenDirectory.address("id=%e5")).publicKey == publicKey)

            _ = try makeKey("everywhere", id: "e6", token: "first")
            _ = try makeKey("everywhere", id: "e6", token: "second")
            let error = try tests.failure { try source.key(at: TokenDirectory.address("object=everywhere")) }
            #expect(error.code == .ambiguous)
            #expect(error.message.contains("first") && error.message.contains("second"))
        }

        @Test func `a slot is a token's too`() throws {
            let publicKey = try makeKey("in-slot", id: "e7", token: "first")
            let tokens = try Token.all(in: CryptokiModule.opened(TokenDirectory.module))
            let token = try #require(tokens.first { $0.label == "first" })
            let address = try TokenDirectory.address("slot-id=\(token.slot);object=in-slot")
            #expect(try source.key(at: address).publicKey == publicKey)
            #expect(try tests.failure { try source.key(at: TokenDirectory.address("slot-id=0")) }.code == .absent)
        }

        @Test func `every attribute of a token must be its own`() throws {
            let tokens = try Token.all(in: CryptokiModule.opened(TokenDirectory.module))
            let serial = try #require(tokens.first { $0.label == "spare blank" }).serial
            let right = """
                token=spare%20blank;manufacturer=SoftHSM%20project;model=SoftHSM%20v2;serial=\(serial);\
                library-manufacturer=SoftHSM;library-description=Implementation%20of%20PKCS11;library-version=2.6;\
                slot-manufacturer=SoftHSM%20project
                """
            #expect(try source.allCertificates(at: TokenDirectory.address(right, pin: false)).isEmpty)
            for attribute in right.split(separator: ";") {
                let wrong = right.replacing(
                    attribute, with: attribute.contains("version") ? "library-version=9" : attribute + "x")
                let error = try tests.failure {
                    try source.allCertificates(at: TokenDirectory.address(wrong, pin: false))
                }
                #expect(error.code == .absent)
            }
        }

        @Test func `a token that is not there is named, with those that are`() throws {
            let error = try tests.failure { try source.key(at: TokenDirectory.address("token=nowhere")) }
            #expect(error.code == .absent)
            #expect(error.message.contains("nowhere") && error.message.contains("main"))
            #expect(!"\(error.message) \(error.hint ?? "")".contains(TokenDirectory.pin))
        }
    }

    @Suite(.serialized) struct Modules {
        let tests: TokenTests
        let pin: @Sendable (PINRequest) -> SecretBytes? = { _ in SecretBytes(TokenDirectory.pin.utf8) }

        init() throws { tests = try TokenTests() }

        @Test func `a module is found by path, by the caller's choice, and by name`() throws {
            try tests.directory.makeKey("main", "modules", id: "f1")
            let path = "pkcs11:token=main;object=modules"
            let byPath = try PKCS11URI("\(path)?module-path=\(TokenDirectory.module)&module-name=nothing")
            let byName = try PKCS11URI("\(path)?module-name=softhsm2")
            let unnamed = try PKCS11URI(path)
            let key = try PKCS11Source(module: "/nothing", pin: pin).key(at: byPath)
            #expect(try PKCS11Source(pin: pin).key(at: byName).publicKey == key.publicKey)
            #expect(
                try PKCS11Source(module: TokenDirectory.module, pin: pin).key(at: unnamed).publicKey == key.publicKey)
        }

        @Test func `p11-kit gives the modules of the system`() throws {
            let name = "proxy"
            try tests.directory.makeKey("main", name, id: "f2")
            let key = try PKCS11Source(pin: pin).key(at: PKCS11URI("pkcs11:token=main;object=\(name)"))
            let signature = try key.signature(for: [7], digest: .sha256)
            #expect(key.publicKey.isValid(signature: signature, for: [7], digest: .sha256))
        }

        @Test(arguments: ["/nothing/here.so", "/etc/hostname", "libm.so.6"])
        func `what is no module is named`(file: String) throws {
            let error = try tests.failure {
                try PKCS11Source(module: file).allCertificates(at: PKCS11URI("pkcs11:"))
            }
            #expect(error.code == .missingLibrary)
            #expect(error.message.contains(file))
            #expect(error.hint != nil)
        }

        @Test(.enabled(if: geteuid() == 0)) func `B3: a name finds only what is root's alone`() throws {
            let directory = "\(tests.directory.path)/modules"
            let file = "\(directory)/libmine.so"
            let address = try PKCS11URI("pkcs11:?module-name=mine")
            #expect(unsafe mkdir(directory, 0o755) == 0)
            close(unsafe open(file, O_WRONLY | O_CREAT, 0o644))
            #expect(try ModuleLocation.file(for: address, module: nil, directories: [directory]) == file)
            for (path, owner, mode) in [
                (file, 1000, 0o644), (file, 0, 0o664), (file, 0, 0o646), (directory, 1000, 0o755),
                (directory, 0, 0o777),
            ] as [(String, uid_t, mode_t)] {
                unsafe chown(path, owner, 0)
                unsafe chmod(path, mode)
                let error = #expect(throws: HardwareKeyError.self) {
                    try ModuleLocation.file(for: address, module: nil, directories: [directory])
                }
                #expect(error?.code == .missingLibrary)
                unsafe chown(path, 0, 0)
                unsafe chmod(path, path == file ? 0o644 : 0o755)
            }
        }

        @Test func `a name without a module is named`() throws {
            let error = try tests.failure {
                try PKCS11Source().allCertificates(at: PKCS11URI("pkcs11:?module-name=nothing"))
            }
            #expect(error.code == .missingLibrary)
            #expect(error.message.contains("nothing"))
        }
    }
}
