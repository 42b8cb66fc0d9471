// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc

@testable import Certificates
import SystemSupport

/// A TPM in software (swtpm) with a state of its own, in a private directory. It ends with the value.
///
/// It has one client at a time: the tools can be used before the first key is made and after the last is gone.
final class RunningTPM: Sendable {
    /// A program that did not do what it was told.
    struct Failure: Error, CustomStringConvertible { let description: String }

    let path = "/tmp/pki-tpm-\(UInt64.random(in: .min ... .max))"
    private let identifier: pid_t

    /// Where it is, in the words of tpm2-tss.
    var tcti: String { "swtpm:path=\(path)/s" }

    /// Removes the caller's setting once: a connection sets the variable for a short time, and another test must not remove it.
    private static let ignoresCallersTPM: Void = { unsafe unsetenv("TPM2OPENSSL_TCTI") }()

    init() throws {
        Self.ignoresCallersTPM
        let settings: [FileAttributeKey: Any] = [.posixPermissions: 0o700]
        try FileManager.default.createDirectory(
            atPath: path + "/state", withIntermediateDirectories: true, attributes: settings)
        let command = [
            "timeout", "600", "swtpm", "socket", "--tpm2", "--tpmstate", "dir=\(path)/state", "--server",
            "type=unixio,path=\(path)/s", "--ctrl", "type=unixio,path=\(path)/s.ctrl", "--flags",
            "not-need-init,startup-clear",
        ]
        identifier = try Self.start(command, ["PATH": "/usr/bin:/bin"], output: path + "/swtpm")
        for _ in 0..<1000 {
            if FileManager.default.fileExists(atPath: path + "/s"), (try? run("tpm2_getcap", "properties-fixed")) != nil
            {
                return
            }
            usleep(10_000)
        }
        throw Failure(description: "swtpm did not start: \(String(decoding: try read("swtpm"), as: UTF8.self))")
    }

    deinit {
        stop()
        try? FileManager.default.removeItem(atPath: path)
    }

    /// Ends the TPM.
    func stop() {
        guard kill(identifier, SIGTERM) == 0 else { return }
        var status: CInt = 0
        while unsafe waitpid(identifier, &status, 0) < 0, errno == EINTR {}
    }

    /// A connection that ends with the value, unlike the one that a process keeps.
    func connect() throws -> TPMConnection { try TPMConnection(tcti: tcti) }

    /// Makes a key that stays.
    ///
    /// - Parameters:
    ///   - handle: Where.
    ///   - kind: What `tpm2_create -G` takes: `ecc256`, `rsa2048`, `ecc256:ecdsa-sha256`, …
    ///   - options: More for tpm2_create.
    /// - Throws: What the tools say.
    func makeKey(_ handle: String, _ kind: String, _ options: String...) throws {
        try run("tpm2_createprimary", "-Q", "-C", "o", "-G", "ecc", "-c", "primary")
        let create = ["tpm2_create", "-Q", "-C", "primary", "-G", kind, "-u", "key.pub", "-r", "key.priv"] + options
        try run(create)
        // No resource manager stands between: the few places have to be freed.
        try run("tpm2_flushcontext", "-t")
        try run("tpm2_load", "-Q", "-C", "primary", "-u", "key.pub", "-r", "key.priv", "-c", "loaded")
        try run("tpm2_flushcontext", "-t")
        try run("tpm2_evictcontrol", "-Q", "-C", "o", "-c", "loaded", handle)
        try run("tpm2_flushcontext", "-t")
    }

    /// Makes a key in a file, by OpenSSL's program.
    ///
    /// - Parameter options: For `openssl genpkey`.
    /// - Returns: The file.
    /// - Throws: What the program says.
    func makeKeyFile(_ options: [String]) throws -> SecretBytes {
        let command = ["openssl", "genpkey", "-provider", "tpm2", "-provider", "default"] + options
        try run(command + ["-out", "file.pem"])
        return SecretBytes(try read("file.pem"))
    }

    /// Lets OpenSSL's program judge a signature.
    func judgement(_ signature: [UInt8], of message: [UInt8], digest: Digest, by key: PublicKey) throws -> String {
        try write(Array(PEMDocument(label: "PUBLIC KEY", bytes: key.derEncoded).text.utf8), to: "public.pem")
        try write(message, to: "message")
        try write(signature, to: "signature")
        return try run(
            "openssl", "dgst", "-\(digest.rawValue)", "-verify", "public.pem", "-signature", "signature", "message")
    }

    func read(_ name: String) throws -> [UInt8] { try Self.contents(of: "\(path)/\(name)") }

    func write(_ bytes: [UInt8], to name: String) throws { try Data(bytes).write(to: URL(filePath: "\(path)/\(name)")) }

    /// Runs a program in the directory, with the TPM, to its end.
    @discardableResult func run(_ command: String...) throws -> String { try run(command) }

    @discardableResult private func run(_ command: [String]) throws -> String {
        let output = "\(path)/output-\(UInt64.random(in: .min ... .max))"
        let shell = ["env", "-C", path] + command
        let environment = [
            "PATH": "/usr/bin:/bin", "HOME": path, "TPM2TOOLS_TCTI": tcti, "TPM2OPENSSL_TCTI": tcti,
        ]
        let started = try Self.start(shell, environment, output: output)
        var status: CInt = 0
        while unsafe waitpid(started, &status, 0) < 0, errno == EINTR {}
        let text = String(decoding: try Self.contents(of: output), as: UTF8.self)
        guard status == 0 else { throw Failure(description: "\(command) failed (\(status)): \(text)") }
        return text
    }

    private static func start(_ command: [String], _ environment: [String: String], output: String) throws -> pid_t {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // Threads of a test run block signals, and a program that inherits this would not end when it is told to.
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe posix_spawnattr_setsigmask(&attributes, &signals)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var identifier = pid_t()
        let settings = environment.map { "\($0)=\($1)" }
        let status = unsafe withCStrings(command) { arguments in
            unsafe withCStrings(settings) { settings in
                unsafe posix_spawnp(&identifier, command[0], &actions, &attributes, arguments, settings)
            }
        }
        guard status == 0 else { throw Failure(description: "\(command[0]) cannot be started: \(status)") }
        return identifier
    }

    /// Reads a file, by the system's calls: Foundation leaks the buffer for an empty one.
    private static func contents(of file: String) throws -> [UInt8] {
        let descriptor = unsafe open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure(description: "\(file) cannot be read: \(errno)") }
        defer { close(descriptor) }
        var contents: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return contents }
            contents += buffer.prefix(count)
        }
    }

    /// Lends texts to a call that wants an array of C strings with nothing at its end.
    private static func withCStrings<Result>(
        _ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let copies = unsafe texts.map { unsafe strdup($0) }
        defer { unsafe copies.forEach { unsafe free($0) } }
        return unsafe body(copies + [nil])
    }
}
