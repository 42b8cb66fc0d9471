// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import SystemSupport

/// Where the passphrase of an exported file comes from.
struct ExportPassphraseOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp("Encrypt what is exported under the first line of this file.", valueName: "file")
    )
    var exportPassphraseFile: String?

    @Option(name: .long, help: ArgumentHelp("… or of this environment variable.", valueName: "variable"))
    var exportPassphraseEnv: String?

    @Option(name: .long, help: ArgumentHelp("… or of this open file descriptor.", valueName: "n"))
    var exportPassphraseFd: Int32?

    @Option(
        name: .long,
        help: ArgumentHelp("… or under a new random one, which is written to this file.", valueName: "file")
    )
    var generatePassphrase: String?

    /// Whether any of them was given.
    var isGiven: Bool {
        exportPassphraseFile != nil || exportPassphraseEnv != nil || exportPassphraseFd != nil
            || generatePassphrase != nil
    }

    /// The passphrase.
    ///
    /// - Returns: The passphrase, and the file to write it to when it is new.
    /// - Throws: ``UsageError`` unless exactly one option was given; ``InputError`` or `FileError` naming the place that
    ///   cannot be read.
    func passphrase() throws -> (secret: SecretBytes, file: AtomicFile?) {
        let source = try PassphraseSource.choose(
            file: exportPassphraseFile,
            environment: exportPassphraseEnv,
            descriptor: exportPassphraseFd,
            option: "--export-passphrase"
        )
        guard let path = generatePassphrase else {
            guard let source else {
                throw UsageError(
                    message: "there is no passphrase for the new file",
                    hint: "--generate-passphrase FILE makes one; --export-passphrase-file, -env and -fd take one"
                )
            }
            return (try source.read(), nil)
        }
        guard source == nil else {
            throw UsageError(message: "only one of --generate-passphrase and --export-passphrase-… can be given")
        }
        var generator = SystemRandomNumberGenerator()
        let secret = GeneratedPassphrase.make(using: &generator)
        let line = unsafe secret.withUnsafeBytes { bytes in
            unsafe SecretBytes(capacity: bytes.count + 1) { buffer in
                unsafe UnsafeMutableRawBufferPointer(buffer).copyMemory(from: bytes)
                unsafe buffer[bytes.count] = UInt8(ascii: "\n")
                return bytes.count + 1
            }
        }
        return (secret, AtomicFile(path: path, contents: line))
    }
}
