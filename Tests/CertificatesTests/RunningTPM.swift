// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

@testable import Certificates
import SystemSupport
import TestSupport

/// A TPM in software (swtpm) with a state of its own, in a private directory. It ends with the value.
///
/// It has one client at a time: the tools can be used before the first key is made and after the last is gone.
final class RunningTPM: Sendable {
    private let directory: ProgramDirectory
    private let program: Mutex<RunningProgram?>

    /// Where it is, in the words of tpm2-tss.
    var tcti: String { "swtpm:path=\(directory.file("s"))" }

    /// Removes the caller's setting once: a connection sets the variable for a short time, and another test must not remove it.
    private static let ignoresCallersTPM: Void = { unsafe unsetenv("TPM2OPENSSL_TCTI") }()

    init() throws {
        Self.ignoresCallersTPM
        directory = try ProgramDirectory()
        try directory.run(["mkdir", "state"])
        let command = [
            "swtpm", "socket", "--tpm2", "--tpmstate", "dir=state", "--server", "type=unixio,path=s", "--ctrl",
            "type=unixio,path=s.ctrl", "--flags", "not-need-init,startup-clear",
        ]
        program = Mutex(try RunningProgram(command, in: directory, output: "swtpm"))
        // Counted, not timed: a machine that stands still meanwhile takes nothing away.
        for _ in 0..<3_000 {
            if unsafe access(directory.file("s.ctrl"), F_OK) == 0, (try? run("tpm2_getcap", "properties-fixed")) != nil
            {
                return
            }
            usleep(10_000)
        }
        throw ProgramDirectory.Failure(
            description: "swtpm did not start: \(String(decoding: try read("swtpm"), as: UTF8.self))")
    }

    /// Ends the TPM.
    func stop() { program.withLock { $0 = nil } }

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

    func read(_ name: String) throws -> [UInt8] { try directory.read(name) }

    func write(_ bytes: [UInt8], to name: String) throws { try directory.write(bytes, to: name) }

    /// Runs a program in the directory, with the TPM, to its end.
    @discardableResult func run(_ command: String...) throws -> String { try run(command) }

    @discardableResult private func run(_ command: [String]) throws -> String {
        try directory.run(command, ["TPM2TOOLS_TCTI": tcti, "TPM2OPENSSL_TCTI": tcti])
    }
}
