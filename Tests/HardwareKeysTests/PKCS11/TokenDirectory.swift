// SPDX-License-Identifier: Apache-2.0

import Certificates
import CPKCS11
import FoundationEssentials
import Glibc
import Testing

@testable import HardwareKeys

/// Tokens of SoftHSM in a private directory, made once for all tests of the process: SoftHSM reads SOFTHSM2_CONF only when it
/// is initialized, and looks for tokens only then.
struct TokenDirectory: Sendable {
    static let module = "/usr/lib/softhsm/libsofthsm2.so"
    static let pin = "648219"

    let path: String

    /// The directory, made when it is first asked for.
    static func shared() throws -> TokenDirectory { try made.get() }

    private static let made = Result { try TokenDirectory() }

    /// What each suite puts its keys into.
    static let labels = ["main", "first", "second", "refusing", "spare blank", "generating"]

    private init() throws {
        var template = Array("/tmp/pki-tests-XXXXXX".utf8CString)
        guard let made = unsafe mkdtemp(&template) else { throw CommandFailed(text: "mkdtemp") }
        path = unsafe String(cString: made)
        atexit {
            if let directory = try? TokenDirectory.shared() {
                try? FileManager.default.removeItem(atPath: directory.path)
            }
        }
        try FileManager.default.createDirectory(atPath: "\(path)/tokens", withIntermediateDirectories: false)
        let text = "directories.tokendir = \(path)/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
        try write(Array(text.utf8), to: "softhsm2.conf")
        unsafe setenv("SOFTHSM2_CONF", "\(path)/softhsm2.conf", 1)
        for label in Self.labels {
            try run("softhsm2-util --init-token --free --label '\(label)' --so-pin 12345678 --pin \(Self.pin)")
        }
    }

    /// Writes a file, and tells its path.
    @discardableResult
    func write(_ bytes: [UInt8], to name: String) throws -> String {
        try Data(bytes).write(to: URL(filePath: "\(path)/\(name)"))
        unsafe chmod("\(path)/\(name)", 0o600)
        return "\(path)/\(name)"
    }

    /// Runs a command to its end.
    @discardableResult
    func run(_ command: String) throws -> String {
        guard let pipe = unsafe popen("exec 2>&1; \(command)", "re") else { throw CommandFailed(text: command) }
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe fread(&buffer, 1, buffer.count, pipe)
            guard count > 0 else { break }
            output += buffer.prefix(count)
        }
        let text = String(decoding: output, as: UTF8.self)
        guard unsafe pclose(pipe) == 0 else { throw CommandFailed(text: "\(command): \(text)") }
        return text
    }

    /// Runs OpenSC's tool, which is another's code, on a token.
    @discardableResult
    func tool(_ token: String, _ arguments: String) throws -> String {
        try run("pkcs11-tool --module \(Self.module) --token-label '\(token)' --login --pin \(Self.pin) \(arguments)")
    }

    /// Lets OpenSC's tool make a pair of keys.
    func makeKey(_ token: String, _ label: String, id: String, type: String = "EC:prime256v1", _ more: String = "")
        throws
    {
        try tool(token, "--keypairgen --key-type \(type) --label '\(label)' --id \(id) --usage-sign \(more)")
    }

    /// Puts a certificate into a token.
    func put(_ certificate: Certificate, _ token: String, _ label: String, id: String, _ more: String = "") throws {
        let file = try write(certificate.derEncoded, to: "\(UInt64.random(in: 0 ... .max)).der")
        try tool(token, "--write-object \(file) --type cert --label '\(label)' --id \(id) \(more)")
    }

    /// A certificate of a public key, whose signature is another key's.
    static func certificate(_ publicKey: PublicKey, _ name: String = "CN=test") throws -> Certificate {
        let key = try PrivateKey(generating: .ecP256)
        func parameters(_ name: String, _ publicKey: PublicKey, _ text: String) throws -> CertificateParameters {
            var generator = SystemRandomNumberGenerator()
            return CertificateParameters(
                serialNumber: .random(using: &generator), subject: try DistinguishedName(name), publicKey: publicKey,
                notBefore: Date(timeIntervalSince1970: 1_780_000_000),
                notAfter: Date(timeIntervalSince1970: 1_790_000_000),
                template: try CertificateTemplate(reading: Array("[ v3 ]\n\(text)\n".utf8), name: "test"))
        }
        let root = try parameters("CN=root", key.publicKey, "basicConstraints = critical, CA:TRUE").selfSigned(by: key)
        return try parameters(name, publicKey, "basicConstraints = CA:FALSE").signed(by: key, issuer: root)
    }

    /// An address in SoftHSM with the right PIN.
    static func address(_ path: String, pin: Bool = true) throws -> PKCS11URI {
        try PKCS11URI("pkcs11:\(path)?module-path=\(module)" + (pin ? "&pin-value=\(Self.pin)" : ""))
    }
}

struct CommandFailed: Error {
    let text: String
}

/// Everything that uses SoftHSM, one after the other: some tests close what all share.
@Suite(.serialized) struct TokenTests {
    let directory: TokenDirectory
    let source = PKCS11Source()

    init() throws { directory = try TokenDirectory.shared() }

    /// What an operation that must fail says.
    func failure(_ body: () throws -> some Any) throws -> HardwareKeyError {
        try #require(throws: HardwareKeyError.self) { _ = try body() }
    }
}
