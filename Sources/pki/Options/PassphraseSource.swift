// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import SystemSupport

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
        let (bytes, name): (SecretBytes, String)
        switch self {
        case .file(let path):
            name = "the passphrase file \(path)"
            bytes = try FileContents(of: path, .ownerOnly).bytes
        case .descriptor(let number):
            name = "file descriptor \(number)"
            bytes = try FileContents(descriptor: number, name: name).bytes
        case .environment(let variable):
            name = "the environment variable \(variable)"
            bytes = try EnvironmentVariable.value(of: variable)
        }
        let line = bytes.firstLine
        guard line.count > 0 else {
            throw InputError(message: "\(name) holds no passphrase: its first line is empty")
        }
        return line
    }
}

/// A variable whose value is a secret.
enum EnvironmentVariable {
    /// Reads a variable.
    ///
    /// - Parameter name: Its name.
    /// - Returns: The value, in memory that is wiped.
    /// - Throws: ``InputError`` when it is not set.
    static func value(of name: String) throws -> SecretBytes {
        guard let value = unsafe getenv(name) else {
            throw InputError(
                message: "the environment variable \(name) is not set",
                remedy: "export it before the command"
            )
        }
        return unsafe SecretBytes(UnsafeRawBufferPointer(start: value, count: strlen(value)))
    }
}
