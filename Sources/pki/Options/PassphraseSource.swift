// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc

/// Where a passphrase is read from. It is never an argument, which every user of the machine could read.
enum PassphraseSource {
    /// The first line of a file.
    case file(String)
    /// A variable of the environment.
    case environment(String)
    /// The first line of an open file descriptor.
    case descriptor(Int32)

    /// Chooses by the options that were given.
    ///
    /// - Parameters:
    ///   - file: A path.
    ///   - environment: The name of a variable.
    ///   - descriptor: The number of a descriptor.
    ///   - option: The options' common beginning, for the error.
    /// - Returns: The source, or nothing when no option was given.
    /// - Throws: ``UsageError`` when several were given.
    static func choose(
        file: String?,
        environment: String?,
        descriptor: Int32?,
        option: String
    ) throws -> PassphraseSource? {
        let sources = [
            file.map(PassphraseSource.file), environment.map(PassphraseSource.environment),
            descriptor.map(PassphraseSource.descriptor),
        ].compactMap(\.self)
        guard sources.count <= 1 else {
            throw UsageError(message: "only one of \(option)-file, \(option)-env and \(option)-fd can be given")
        }
        return sources.first
    }

    /// Reads the passphrase.
    ///
    /// - Returns: The first line, without its end.
    /// - Throws: ``InputError`` naming the source; never its contents.
    func read() throws -> SecretBytes {
        let (bytes, name): ([UInt8], String)
        switch self {
        case .file(let path):
            name = "the passphrase file \(path)"
            bytes = try InputFile.read(path, isPrivate: true)
        case .descriptor(let number):
            name = "file descriptor \(number)"
            bytes = try InputFile.read(descriptor: number, name: name)
        case .environment(let variable):
            name = "the environment variable \(variable)"
            guard let value = unsafe getenv(variable) else {
                throw InputError(message: "\(name) is not set", remedy: "export it before the command")
            }
            bytes = unsafe Array(String(cString: value).utf8)
        }
        let line = bytes.prefix { $0 != 0x0a && $0 != 0x0d }
        guard !line.isEmpty else {
            throw InputError(message: "\(name) holds no passphrase: its first line is empty")
        }
        return SecretBytes(line)
    }
}
