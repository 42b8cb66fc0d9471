// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import Synchronization
import SystemSupport
import Testing

@testable import Certificates

/// Against a TPM in software, judged by OpenSSL's program.
@Suite struct TPMKeyTests {
    static let message = Array("message".utf8)
    static let signing = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"
    static let secret = SecretBytes("correct horse".utf8)

    /// What a key answers instead of a signature.
    static func refusal(_ key: TPMKey, digest: Digest = .sha256) -> CertificateError? {
        do {
            _ = try key.signature(for: message, digest: digest)
            return nil
        } catch { return error as? CertificateError }
    }

    static func failure(_ body: () throws -> Void) -> CertificateError? {
        do {
            try body()
            return nil
        } catch { return error as? CertificateError }
    }

    @Test(arguments: [
        ("ecc256", "EC P-256", [Digest.sha256, .sha384, .sha512]), ("ecc256:ecdsa-sha256", "EC P-256", [.sha256]),
        ("ecc384", "EC P-384", [.sha256, .sha384, .sha512]), ("rsa2048", "RSA 2048", [.sha256, .sha384, .sha512]),
        ("rsa2048:rsassa-sha256:null", "RSA 2048", [.sha256]), ("rsa2048:rsapss-sha256:null", "RSA 2048", []),
    ])
    func `a key that stays in the TPM signs as its scheme allows`(
        kind: String, name: String, digests: [Digest]
    ) throws {
        let tpm = try RunningTPM()
        try tpm.makeKey("0x81000001", kind, "-a", Self.signing)
        try tpm.run("tpm2_readpublic", "-Q", "-c", "0x81000001", "-f", "pem", "-o", "expected.pem")
        let key = try TPMKey(number: "0x81000001", password: .none, in: tpm.connect())
        #expect(key.publicKey.algorithm.description == name)
        #expect(try PEMDocument.documents(in: tpm.read("expected.pem")).map(\.bytes) == [key.publicKey.derEncoded])
        for digest in Digest.allCases {
            guard digests.contains(digest) else {
                let error = try #require(Self.refusal(key, digest: digest))
                #expect(error.code == .unsupported, "\(error)")
                #expect(error.message.contains("another scheme or hash function"))
                continue
            }
            for message in [Self.message, [], [UInt8](repeating: 7, count: 100_000)] {
                let signature = try key.signature(for: message, digest: digest)
                #expect(key.publicKey.isValid(signature: signature, for: message, digest: digest))
                let judgement = try tpm.judgement(signature, of: message, digest: digest, by: key.publicKey)
                #expect(judgement == "Verified OK\n")
            }
        }
    }

    @Test(arguments: [
        (["-algorithm", "EC", "-pkeyopt", "group:P-256"], "EC P-256"),
        (["-algorithm", "EC", "-pkeyopt", "group:P-384"], "EC P-384"), (["-algorithm", "RSA"], "RSA 2048"),
    ])
    func `a key in a file is loaded, and unloaded when it goes`(options: [String], name: String) throws {
        let tpm = try RunningTPM()
        let plain = try tpm.makeKeyFile(options)
        let locked = try tpm.makeKeyFile(options + ["-pkeyopt", "user-auth:correct horse"])
        #expect(TPMKey.isKeyFile(plain) && TPMKey.isKeyFile(locked))
        let connection = try tpm.connect()
        let neverAsked = TPMKey.Password.ask {
            Issue.record("somebody was asked")
            return nil
        }
        // More often than there are places for keys in the TPM.
        for round in 0..<5 {
            for (file, password) in [(plain, neverAsked), (plain, .none), (locked, .given(Self.secret))] {
                let key = try TPMKey(file: TPMKeyFile(reading: file), password: password, in: connection)
                let signature = try key.signature(for: Self.message, digest: .sha256)
                guard round == 0 else { continue }
                #expect(key.publicKey.algorithm.description == name)
                let judgement = try tpm.judgement(signature, of: Self.message, digest: .sha256, by: key.publicKey)
                #expect(judgement == "Verified OK\n")
            }
        }
    }

    @Test func `text around a key in a file is passed over`() throws {
        let tpm = try RunningTPM()
        let file = try tpm.makeKeyFile(["-algorithm", "EC", "-pkeyopt", "group:P-256"])
        let text = unsafe file.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
        let odd = "a line\r\n" + text.split(separator: "\n").joined(separator: "\r\n") + "\r\nanother"
        let key = try TPMKey(file: TPMKeyFile(reading: SecretBytes(odd.utf8)), password: .none, in: tpm.connect())
        #expect(throws: Never.self) { try key.signature(for: Self.message, digest: .sha256) }
    }

    @Test func `a key signs a certificate`() throws {
        let tpm = try RunningTPM()
        try tpm.makeKey("0x81000001", "ecc256", "-a", Self.signing)
        let key = try TPMKey(number: "0x81000001", password: .none, in: tpm.connect())
        let root = try Samples.parameters("CN=Root", key: key.publicKey, template: Samples.rootText)
            .selfSigned(by: key)
        #expect(try CertificateVerifier(anchors: [root]).path(for: root, at: Samples.now).last == root)
    }

    @Test func `a password is asked for once, and only when the key has one`() throws {
        let tpm = try RunningTPM()
        try tpm.makeKey("0x81000001", "ecc256", "-a", Self.signing)
        try tpm.makeKey("0x81000002", "ecc256", "-a", Self.signing, "-p", "correct horse")
        let file = try tpm.makeKeyFile(["-algorithm", "RSA", "-pkeyopt", "user-auth:correct horse"])
        let connection = try tpm.connect()
        let times = Mutex(0)
        let ask = TPMKey.Password.ask { [secret = Self.secret] in
            times.withLock { $0 += 1 }
            return secret
        }
        for (number, expected) in [("0x81000001", 0), ("0x81000002", 1)] {
            let key = try TPMKey(number: number, password: ask, in: connection)
            #expect(times.withLock { $0 } == 0)
            for _ in 0..<3 { #expect(Self.refusal(key) == nil) }
            #expect(times.withLock { $0 } == expected)
        }
        let key = try TPMKey(file: TPMKeyFile(reading: file), password: ask, in: connection)
        for _ in 0..<3 { #expect(Self.refusal(key) == nil) }
        #expect(times.withLock { $0 } == 2)
    }

    @Test func `nobody who knows the password is an error that says so`() throws {
        let tpm = try RunningTPM()
        try tpm.makeKey("0x81000002", "ecc256", "-a", Self.signing + "|noda", "-p", "correct horse")
        let file = TPMKeyFile.self
        let contents = try tpm.makeKeyFile(["-algorithm", "RSA", "-pkeyopt", "user-auth:correct horse"])
        let connection = try tpm.connect()
        for password in [TPMKey.Password.none, .ask { nil }] {
            let key = try TPMKey(number: "0x81000002", password: password, in: connection)
            for _ in 0..<2 {
                let error = try #require(Self.refusal(key))
                #expect(error.code == .missingPassphrase && error.message.contains("0x81000002"))
            }
        }
        let silent = Self.failure {
            _ = try TPMKey(file: file.init(reading: contents), password: .ask { nil }, in: connection)
        }
        #expect(silent?.code == .missingPassphrase)
        let none = try TPMKey(file: file.init(reading: contents), password: .none, in: connection)
        #expect(Self.refusal(none)?.code == .missingPassphrase)

        struct Cancelled: Error {}
        let key = try TPMKey(number: "0x81000002", password: .ask { throw Cancelled() }, in: connection)
        #expect(throws: Cancelled.self) { try key.signature(for: Self.message, digest: .sha256) }
        #expect(Self.refusal(key)?.code == .missingPassphrase)
    }

    @Test func `a wrong password is tried once`() throws {
        let tpm = try RunningTPM()
        try tpm.makeKey("0x81000002", "ecc256", "-a", Self.signing, "-p", "correct horse")
        let file = TPMKeyFile.self
        let contents = try tpm.makeKeyFile(["-algorithm", "RSA", "-pkeyopt", "user-auth:correct horse"])
        try tpm.run("tpm2_dictionarylockout", "-s", "-n", "5", "-t", "1000", "-l", "1000")
        let wrong = SecretBytes("wrong".utf8)
        do {
            let connection = try tpm.connect()
            let key = try TPMKey(number: "0x81000002", password: .given(wrong), in: connection)
            let other = try TPMKey(file: file.init(reading: contents), password: .ask { wrong }, in: connection)
            for key in [key, other] {
                for _ in 0..<10 {
                    let error = try #require(Self.refusal(key))
                    #expect(error.code == .wrongPassphrase)
                    #expect(!error.message.contains("horse"))
                }
            }
        }
        #expect(try tpm.run("tpm2_getcap", "properties-variable").contains("TPM2_PT_LOCKOUT_COUNTER: 0x2"))
        let long = TPMKey.Password.given(SecretBytes([UInt8](repeating: 65, count: 65)))
        let error = Self.failure { _ = try TPMKey(number: "0x81000002", password: long, in: tpm.connect()) }
        #expect(error?.code == .wrongPassphrase)
    }

    @Test func `a TPM in lockout is told apart from a wrong password`() throws {
        let tpm = try RunningTPM()
        try tpm.makeKey("0x81000001", "ecc256", "-a", Self.signing + "|noda")
        try tpm.makeKey("0x81000002", "ecc256", "-a", Self.signing, "-p", "correct horse")
        try tpm.run("tpm2_dictionarylockout", "-s", "-n", "1", "-t", "1000", "-l", "1000")
        do {
            let connection = try tpm.connect()
            let wrong = try TPMKey(number: "0x81000002", password: .given(SecretBytes([1])), in: connection)
            #expect(Self.refusal(wrong)?.code == .wrongPassphrase)
            let right = try TPMKey(number: "0x81000002", password: .given(Self.secret), in: connection)
            let error = try #require(Self.refusal(right))
            #expect(error.code == .locked)
            #expect(error.hint?.contains("tpm2_dictionarylockout --clear-lockout") == true)
            let unprotected = try TPMKey(number: "0x81000001", password: .none, in: connection)
            #expect(Self.refusal(unprotected) == nil)
        }
        try tpm.run("tpm2_dictionarylockout", "--clear-lockout")
        let right = try TPMKey(number: "0x81000002", password: .given(Self.secret), in: tpm.connect())
        #expect(Self.refusal(right) == nil)
    }

    @Test func `a key that may not sign says so`() throws {
        let tpm = try RunningTPM()
        let fixed = "fixedtpm|fixedparent|sensitivedataorigin|"
        try tpm.makeKey("0x81000001", "rsa2048", "-a", fixed + "userwithauth|decrypt")
        try tpm.makeKey("0x81000002", "ecc256:aes128cfb", "-a", fixed + "userwithauth|restricted|decrypt")
        try tpm.run("tpm2_startauthsession", "-S", "session")
        try tpm.run("tpm2_policycommandcode", "-S", "session", "-L", "policy", "TPM2_CC_Sign")
        try tpm.run("tpm2_flushcontext", "session")
        try tpm.makeKey("0x81000003", "ecc256", "-a", fixed + "sign", "-L", "policy")
        let connection = try tpm.connect()
        for number in ["0x81000001", "0x81000002", "0x81000003"] {
            let error = Self.failure {
                let key = try TPMKey(number: number, password: .none, in: connection)
                _ = try key.signature(for: Self.message, digest: .sha256)
            }
            #expect(error?.code == .unsupported, "\(number): \(String(describing: error))")
        }
    }

    @Test func `a restricted key signs what the TPM itself has hashed`() throws {
        let tpm = try RunningTPM()
        try tpm.makeKey("0x81000001", "ecc256:ecdsa-sha256:null", "-a", Self.signing + "|restricted")
        let key = try TPMKey(number: "0x81000001", password: .none, in: tpm.connect())
        #expect(Self.refusal(key) == nil)
    }

    @Test func `a key in a file may have a parent that stays, and needs it`() throws {
        let tpm = try RunningTPM()
        try tpm.run("tpm2_createprimary", "-Q", "-C", "o", "-G", "ecc", "-c", "parent")
        try tpm.run("tpm2_evictcontrol", "-Q", "-C", "o", "-c", "parent", "0x81000005")
        try tpm.run("tpm2_flushcontext", "-t")
        let options = ["-algorithm", "EC", "-pkeyopt", "group:P-256", "-pkeyopt", "parent:0x81000005"]
        let file = try TPMKeyFile(reading: tpm.makeKeyFile(options))
        do {
            let connection = try tpm.connect()
            let key = try TPMKey(file: file, password: .none, in: connection)
            let other = try TPMKey(file: file, password: .none, in: connection)
            #expect(Self.refusal(key) == nil && Self.refusal(other) == nil)
        }
        try tpm.run("tpm2_evictcontrol", "-Q", "-C", "o", "-c", "0x81000005")
        let error = Self.failure { _ = try TPMKey(file: file, password: .none, in: tpm.connect()) }
        #expect(error?.code == .absent && error?.message.contains("parent") == true)
    }

    @Test func `the environment says where the TPM is`() throws {
        let tpm = try RunningTPM()
        try tpm.makeKey("0x81000001", "ecc256", "-a", Self.signing)
        let file = try tpm.makeKeyFile(["-algorithm", "EC", "-pkeyopt", "group:P-256"])
        // The only test that uses the connection of the process, which stays.
        unsafe setenv("TPM2TOOLS_TCTI", tpm.tcti, 1)
        defer { unsafe unsetenv("TPM2TOOLS_TCTI") }
        for handle in ["handle:0x81000001", "0X81000001"] {
            #expect(Self.refusal(try TPMKey(handle: handle, password: .none)) == nil)
        }
        #expect(Self.refusal(try TPMKey(reading: file, password: .none)) == nil)
    }

    @Test func `a handle without a key, and a key of another TPM, are told apart`() throws {
        let tpm = try RunningTPM()
        let other = try RunningTPM()
        let file = try other.makeKeyFile(["-algorithm", "EC", "-pkeyopt", "group:P-256"])
        let connection = try tpm.connect()
        let missing = Self.failure { _ = try TPMKey(number: "0x81000009", password: .none, in: connection) }
        #expect(missing?.code == .absent && missing?.message.contains("0x81000009") == true)
        let foreign = Self.failure { _ = try TPMKey(file: TPMKeyFile(reading: file), password: .none, in: connection) }
        #expect(foreign?.code == .mismatch, "\(String(describing: foreign))")
    }

    @Test(arguments: [
        "", "handle:", "0x8100001", "0x810000001", "0x80000001", "0x01000001", "81000001", "handle:81000001",
        "handle:0x8100000g", "handle:0x81000001?pass", "HANDLE:0x81000001", "file:0x81000001", "0x81000001 ",
    ])
    func `a handle that is not one of a key that stays is refused before the TPM is asked`(handle: String) {
        #expect(Self.failure { _ = try TPMKey(handle: handle, password: .none) }?.code == .malformed)
    }

    @Test func `without a TPM its place is named`() throws {
        let error = Self.failure { _ = try TPMConnection(tcti: "swtpm:path=/nowhere/tpm") }
        #expect(error?.code == .absent && error?.message.contains("swtpm:path=/nowhere/tpm") == true)
        for odd in ["nonsense", "swtpm:path=$HOME", "a#b;c\"d'e\\f", "device:/dev/null"] {
            #expect(Self.failure { _ = try TPMConnection(tcti: odd) }?.code == .absent, "\(odd)")
        }
    }

    @Test func `a TPM that went away is no wrong password`() throws {
        let tpm = try RunningTPM()
        try tpm.makeKey("0x81000001", "ecc256", "-a", Self.signing)
        let key = try TPMKey(number: "0x81000001", password: .none, in: tpm.connect())
        #expect(Self.refusal(key) == nil)
        tpm.stop()
        #expect(Self.refusal(key)?.code == .absent)
    }

    @Test func `without the provider the package is named`() {
        let error = Self.failure { _ = try TPMConnection(tcti: nil, modules: "/nowhere") }
        #expect(error?.code == .unsupported && error?.hint?.contains("tpm2-openssl") == true)
    }

    @Test func `threads share a key`() async throws {
        let tpm = try RunningTPM()
        try tpm.makeKey("0x81000001", "ecc256", "-a", Self.signing)
        let connection = try tpm.connect()
        let key = try TPMKey(number: "0x81000001", password: .none, in: connection)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<40 {
                group.addTask {
                    let message = Array("\(number)".utf8)
                    let own = number % 4 == 0 ? try TPMKey(number: "0x81000001", password: .none, in: connection) : key
                    let signature = try own.signature(for: message, digest: .sha256)
                    return key.publicKey.isValid(signature: signature, for: message, digest: .sha256)
                }
            }
            for try await isValid in group { #expect(isValid) }
        }
    }
}
