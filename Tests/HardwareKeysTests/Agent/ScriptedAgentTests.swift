// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Glibc
import SystemSupport
import TestSupport
import Testing

@testable import HardwareKeys

/// Against agents that do not answer as they should, and some that answer in their own way.
@Suite struct ScriptedAgentTests {
    static let message = Array("message".utf8)

    /// A key as a file, and as an agent would list it.
    struct Sample {
        let key: PrivateKey
        let blob: [UInt8]

        init(_ kind: String, bits: Int) throws {
            let directory = try ProgramDirectory()
            let file = directory.file("key")
            try directory.run(["ssh-keygen", "-q", "-t", kind, "-b", String(bits), "-m", "PEM", "-N", "", "-f", file])
            key = try PrivateKey(reading: SecretBytes(directory.read("key")))
            let line = String(decoding: try directory.read("key.pub"), as: UTF8.self).split(separator: " ")
            blob = Array(try #require(Data(base64Encoded: String(line[1]))))
        }

        var list: [UInt8] { sshString([12] + sshNumber(1) + sshString(blob) + sshString(Array("mine".utf8))) }

        func signed(_ name: String, _ inner: [UInt8]) -> [UInt8] {
            sshString([14] + sshString(sshString(Array(name.utf8)) + sshString(inner)))
        }

        /// A key in an agent that answers requests to sign with some bytes.
        func inAgent(_ answer: @escaping @Sendable () -> [UInt8]?) throws -> (ScriptedAgent, SSHAgentKey) {
            let list = list
            let scripted = try ScriptedAgent { question in question == [11] ? list : answer() }
            let agent = SSHAgent(socket: scripted.socket)
            return (scripted, try agent.key(fingerprint: SSHPublicKey.fingerprint(of: blob)))
        }
    }

    static func failure(_ body: () throws(HardwareKeyError) -> Void) -> HardwareKeyError? {
        do {
            try body()
            return nil
        } catch { return error }
    }

    @Test(arguments: [
        [], [0], [0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 5, 12, 0, 0], [0, 4, 0, 1], [255, 255, 255, 255, 12],
        [0, 0, 0, 1, 12], [0, 0, 0, 1, 5], [0, 0, 0, 1, 6], [0, 0, 0, 5, 14, 0, 0, 0, 0], [0, 0, 0, 4, 12, 0, 0, 0],
        [0, 0, 0, 5, 12, 0, 0, 0, 1], [0, 0, 0, 5, 12, 255, 255, 255, 255],
        [0, 0, 0, 9, 12, 0, 0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 9, 12, 0, 0, 0, 1, 0, 0, 0, 9],
        [0, 0, 0, 13, 12, 0, 0, 0, 1, 0, 0, 0, 0, 255, 255, 255, 255],
        Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8),
    ])
    func `what is no list of keys is a failure`(answer: [UInt8]) throws {
        let scripted = try ScriptedAgent { _ in answer }
        let error = try #require(
            Self.failure { () throws(HardwareKeyError) in
                _ = try SSHAgent(socket: scripted.socket).keys()
            }
        )
        #expect(error.code == .failed)
    }

    @Test func `keys that cannot be read are listed and not used`() throws {
        let ec = sshString(Array("ecdsa-sha2-nistp256".utf8)) + sshString(Array("nistp256".utf8))
        let rsa = sshString(Array("ssh-rsa".utf8))
        let odd: [[UInt8]] = [
            [], [0, 0, 0, 9], sshString(Array("\u{1b}[31mnew".utf8)), rsa, rsa + sshString([3]),
            rsa + sshString([]) + sshString([]),
            rsa + sshString([3]) + sshString([9]) + [0], ec, ec + sshString([]), ec + sshString([4, 1, 2]),
            ec + sshString([4] + [UInt8](repeating: 9, count: 64)),
            sshString(Array("ecdsa-sha2-nistp384".utf8)) + sshString(Array("nistp256".utf8)) + sshString([4]),
            sshString(Array("sk-ecdsa-sha2-nistp256@openssh.com".utf8)), sshString(Array("ssh-dss".utf8)),
        ]
        let comment = sshString(Array("a\nb".utf8))
        let list = [12] + sshNumber(odd.count) + odd.flatMap { sshString($0) + comment }
        let scripted = try ScriptedAgent { _ in sshString(list) }
        let identities = try SSHAgent(socket: scripted.socket).keys()
        #expect(identities.count == odd.count)
        for identity in identities {
            #expect(identity.publicKey == nil && identity.obstacle != nil)
            #expect(!identity.description.contains { $0.isNewline || $0 == "\u{1b}" })
        }
        #expect(identities.contains { $0.obstacle?.contains("FIDO") == true })
    }

    @Test func `zeros that an agent dropped from an RSA signature come back`() throws {
        let sample = try Sample("rsa", bits: 2048)
        // One signature in 256 begins with a zero.
        var number = 0
        var message: [UInt8] = []
        var signature: [UInt8] = [1]
        while signature[0] != 0 {
            number += 1
            message = Array("message \(number)".utf8)
            signature = try sample.key.signature(for: message, digest: .sha256)
        }
        let short = Array(signature.drop { $0 == 0 })
        for form in [short, signature, [0] + signature] {
            let answer = sample.signed("rsa-sha2-256", form)
            let (scripted, key) = try sample.inAgent { answer }
            #expect(try key.signature(for: message, digest: .sha256) == signature)
            withExtendedLifetime(scripted) {}
        }
    }

    @Test func `an answer that is no signature of the key is a failure`() throws {
        let sample = try Sample("ecdsa", bits: 256)
        let zero = sshString([0])
        let large = sshString([1] + [UInt8](repeating: 0, count: 32))
        let one = sshString([1])
        let name = "ecdsa-sha2-nistp256"
        let answers: [[UInt8]] = [
            [], [0, 0, 0, 1, 14], [0, 0, 0, 1, 6], [0, 0, 0, 1, 28], [0, 0, 0, 5, 14, 0, 0, 0, 9],
            sshString([14] + sshString([])),
            sample.signed(name, []), sample.signed(name, zero + zero), sample.signed(name, large + one),
            sample.signed(name, one + one), sample.signed(name, one + one + [0]), sample.signed(name, one),
            sample.signed("ecdsa-sha2-nistp384", one + one), sample.signed("", one + one),
            sshString([14] + sshString(sshString(Array(name.utf8)) + sshString(one + one)) + [0]),
        ]
        for answer in answers {
            let (scripted, key) = try sample.inAgent { answer }
            let error = Self.failure { () throws(HardwareKeyError) in
                _ = try key.signature(for: Self.message, digest: .sha256)
            }
            #expect(error?.code == .failed, "\(answer)")
            withExtendedLifetime(scripted) {}
        }
    }

    @Test func `an agent that knows SHA-1 alone is told apart`() throws {
        let sample = try Sample("rsa", bits: 2048)
        let answer = sample.signed("ssh-rsa", [UInt8](repeating: 1, count: 256))
        let (scripted, key) = try sample.inAgent { answer }
        let error = Self.failure { () throws(HardwareKeyError) in _ = try key.signature(for: [], digest: .sha512) }
        #expect(error?.message.contains("rsa-sha2-512") == true && error?.hint?.contains("SHA-1") == true)
        let long = sample.signed("rsa-sha2-256", [UInt8](repeating: 1, count: 257))
        let (other, otherKey) = try sample.inAgent { long }
        let longer = Self.failure { () throws(HardwareKeyError) in _ = try otherKey.signature(for: [], digest: .sha256)
        }
        #expect(longer?.message.contains("longer than the key's modulus") == true)
        withExtendedLifetime((scripted, other)) {}
    }

    @Test func `an agent that is silent is not waited for without end, and the error names what may be wanted`() throws
    {
        let scripted = try ScriptedAgent { _ in nil }
        let error = Self.failure { () throws(HardwareKeyError) in
            _ = try SSHAgent(socket: scripted.socket, timeout: .milliseconds(20)).keys()
        }
        #expect(error?.code == .failed)
        #expect(error?.message.contains("did not answer within") == true)
        #expect(error?.hint?.contains("touch") == true)
    }

    @Test func `connections are closed, also those that failed`() throws {
        // Descriptors are given lowest first: many operations that kept theirs would push the next one up.
        let scripted = try ScriptedAgent { _ in [0, 0, 0, 0] }
        let missing = scripted.directory.file("missing")
        for _ in 0..<1000 {
            _ = try? SSHAgent(socket: scripted.socket).keys()
            _ = try? SSHAgent(socket: missing).keys()
        }
        let next = unsafe open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { close(next) }
        #expect((0..<1000).contains(next))
    }
}
