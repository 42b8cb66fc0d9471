// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import HardwareKeys
import SystemSupport
import TestSupport
import Testing

/// Against OpenSSH's agent, judged by OpenSSL's program.
@Suite struct SSHAgentTests {
    static let message = Array("message".utf8)

    static func code(_ expected: HardwareKeyErrorCode) -> @Sendable (any Error) -> Bool {
        { ($0 as? HardwareKeyError)?.code == expected }
    }

    @Test(arguments: [
        ("ecdsa", 256, "ecdsa-sha2-nistp256", "EC P-256", [Digest.sha256]),
        ("ecdsa", 384, "ecdsa-sha2-nistp384", "EC P-384", [.sha384]),
        ("ecdsa", 521, "ecdsa-sha2-nistp521", "EC P-521", [.sha512]),
        ("rsa", 2048, "ssh-rsa", "RSA 2048", [.sha256, .sha512]),
        ("rsa", 3072, "ssh-rsa", "RSA 3072", [.sha256, .sha512]),
    ])
    func `a key in the agent signs as its kind does`(
        kind: String, bits: Int, type: String, name: String, digests: [Digest]
    ) throws {
        let running = try RunningAgent()
        let fingerprint = try running.add(kind, bits: bits, comment: "mine")
        let key = try running.agent.key(fingerprint: fingerprint)
        #expect(key.identity.keyType == type)
        #expect(key.identity.comment == "mine")
        #expect(key.publicKey.algorithm.description == name)

        let exported = try running.directory.run([
            "ssh-keygen", "-e", "-m", "PKCS8", "-f", running.directory.file("key-mine.pub"),
        ])
        #expect(try PEMDocument.documents(in: exported.utf8).map(\.bytes) == [key.publicKey.derEncoded])
        try running.directory.write(Array(exported.utf8), to: "public")
        try running.directory.write(Self.message, to: "message")

        for digest in Digest.allCases {
            guard digests.contains(digest) else {
                #expect(throws: HardwareKeyError.self) { try key.signature(for: Self.message, digest: digest) }
                continue
            }
            // Often enough for numbers that begin with a zero, whose forms differ.
            for _ in 0..<(kind == "rsa" ? 3 : 40) {
                let signature = try key.signature(for: Self.message, digest: digest)
                #expect(key.publicKey.isValid(signature: signature, for: Self.message, digest: digest))
                try running.directory.write(signature, to: "signature")
            }
            let judgement = try running.directory.run([
                "openssl", "dgst", "-\(digest.rawValue)", "-verify", running.directory.file("public"),
                "-signature", running.directory.file("signature"), running.directory.file("message"),
            ])
            #expect(judgement == "Verified OK\n")
        }
    }

    @Test func `a P-384 key refuses SHA-256 and says what to use`() throws {
        let running = try RunningAgent()
        let key = try running.agent.key(fingerprint: running.add("ecdsa", bits: 384, comment: "mine"))
        do {
            _ = try key.signature(for: Self.message, digest: .sha256)
            Issue.record("it signed")
        } catch {
            #expect(error.code == .unsupported)
            #expect(error.message.contains("EC P-384 signs with SHA-384 only, not with SHA-256"))
            #expect(error.hint?.contains("P-256 or RSA") == true)
        }
    }

    @Test func `a P-384 key in the agent can be a CA's`() throws {
        let running = try RunningAgent()
        let key = try running.agent.key(fingerprint: running.add("ecdsa", bits: 384, comment: "ca"))
        let template = "[ ca ]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\n"
        let now = Date(timeIntervalSince1970: 1_780_000_000)
        let root = try CertificateParameters(
            serialNumber: SerialNumber([7]), subject: DistinguishedName("CN=Root"), publicKey: key.publicKey,
            notBefore: now, notAfter: now.addingTimeInterval(86400),
            template: CertificateTemplate(reading: Array(template.utf8), name: "root.conf")
        ).selfSigned(by: key)
        #expect(try CertificateVerifier(anchors: [root]).path(for: root, at: now).last == root)
    }

    @Test func `all keys are listed, and those of other kinds say why they cannot be used`() throws {
        let running = try RunningAgent()
        #expect(try running.agent.keys().isEmpty)
        let usable = try running.add("ecdsa", comment: "usable")
        let edwards = try running.add("ed25519", comment: "edwards")
        let signer = running.directory.file("key-usable")
        try running.directory.run([
            "ssh-keygen", "-q", "-s", signer, "-I", "me", running.directory.file("key-edwards.pub"),
        ])
        try running.directory.run(
            ["ssh-add", "-q", running.directory.file("key-edwards")], ["SSH_AUTH_SOCK": running.socket])

        let identities = try running.agent.keys()
        let types = ["ecdsa-sha2-nistp256", "ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"]
        #expect(identities.map(\.keyType) == types)
        #expect(identities.map { $0.publicKey != nil } == [true, false, false])
        #expect(identities.prefix(2).map(\.fingerprint) == [usable, edwards])
        #expect(identities[0].description == "\(usable) usable (EC P-256)")
        #expect(identities[1].obstacle?.contains("Edwards") == true)
        #expect(identities[2].obstacle?.contains("certificate of OpenSSH") == true)
        #expect(performing: { try running.agent.key(fingerprint: edwards) }, throws: Self.code(.unsupported))
    }

    @Test func `a key is known by its whole fingerprint alone`() throws {
        let running = try RunningAgent()
        let first = try running.add("ecdsa", comment: "first")
        let second = try running.add("ed25519", comment: "second")
        #expect(try running.agent.key(fingerprint: first + "=").identity.fingerprint == first)
        for wrong in [String(first.dropLast()), String(first.prefix(15)), "SHA256:" + first.dropFirst(7).lowercased()] {
            do {
                _ = try running.agent.key(fingerprint: wrong)
                Issue.record("\(wrong) was found")
            } catch {
                #expect(error.code == .notFound)
                for part in [wrong, first, second, "first", "second", "EC P-256", "ssh-ed25519"] {
                    #expect(error.message.contains(part))
                }
            }
        }
        for wrong in ["", "first", "sha256:" + first.dropFirst(7), "MD5:00:11", String(first.dropFirst(7))] {
            #expect(performing: { try running.agent.key(fingerprint: wrong) }, throws: Self.code(.invalidAddress))
        }
    }

    @Test func `a locked agent, a use that is not confirmed and a key that is gone are refusals that say so`() throws {
        let running = try RunningAgent(asking: "exit 1")
        let key = try running.agent.key(fingerprint: running.add("ecdsa", comment: "mine"))
        let confirmed = try running.agent.key(fingerprint: running.add("ecdsa", comment: "asks", options: ["-c"]))
        func refusal(_ key: SSHAgentKey) -> HardwareKeyError? {
            do {
                _ = try key.signature(for: Self.message, digest: .sha256)
                return nil
            } catch { return error }
        }
        let denied = try #require(refusal(confirmed))
        #expect(denied.code == .failed && denied.message.contains("not confirmed"))

        try running.lock(true)
        let locked = try #require(refusal(key))
        #expect(locked.code == .failed && locked.message.contains("locked"))
        #expect(
            performing: { try running.agent.key(fingerprint: key.identity.fingerprint) },
            throws: { Self.code(.notFound)($0) && "\($0)".contains("locked") }
        )
        try running.lock(false)
        #expect(refusal(key) == nil)

        try running.removeAll()
        let gone = try #require(refusal(key))
        #expect(gone.code == .failed && gone.message.contains("gone"))
    }

    @Test func `a use that is confirmed signs`() throws {
        let running = try RunningAgent(asking: "exit 0")
        let key = try running.agent.key(fingerprint: running.add("ecdsa", comment: "asks", options: ["-c"]))
        #expect(throws: Never.self) { try key.signature(for: Self.message, digest: .sha256) }
    }

    @Test func `a message that is too long for an agent is refused before it is sent`() throws {
        let running = try RunningAgent()
        let key = try running.agent.key(fingerprint: running.add("ecdsa", comment: "mine"))
        let long = [UInt8](repeating: 7, count: 250_000)
        let signature = try key.signature(for: long, digest: .sha256)
        #expect(key.publicKey.isValid(signature: signature, for: long, digest: .sha256))
        #expect(
            performing: { try key.signature(for: long + long, digest: .sha256) },
            throws: Self.code(.unsupported)
        )
    }

    @Test func `without an agent the way to one is named`() throws {
        let directory = try ProgramDirectory()
        try directory.write([], to: "file")
        for socket in ["", directory.file("nothing"), directory.file("file")] {
            do {
                _ = try SSHAgent(socket: socket).keys()
                Issue.record("\(socket) answered")
            } catch {
                #expect(error.code == .absent)
                #expect(error.hint?.contains("eval \"$(ssh-agent)\"; ssh-add KEY") == true)
            }
        }
        let long = "/tmp/" + String(repeating: "x", count: 200)
        #expect(performing: { try SSHAgent(socket: long).keys() }, throws: Self.code(.invalidAddress))
    }
}
