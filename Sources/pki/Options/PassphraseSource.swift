// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import Synchronization
import SystemSupport

/// Where a passphrase is read from. It is never an argument, which every user of the machine could read.
enum PassphraseSource {
    /// The first line of a file.
    case file(String)
    /// A variable of the environment.
    case environment(String)
    /// The first line of an open file descriptor.
    case descriptor(Int32)

    /// Chooses by the options that were given. No child process will get the variable or descriptor, read or not.
    ///
    /// - Parameters:
    ///   - file: A path.
    ///   - environment: The name of a variable.
    ///   - descriptor: The number of a descriptor.
    ///   - option: The options' common beginning, for the error.
    /// - Returns: The source, or nothing when no option was given.
    /// - Throws: ``UsageError`` when several were given, or another option has the same source, which can be read once.
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
        try sources.first?.claim(for: option)
        return sources.first
    }

    /// What can be read once, and which option's passphrase it is.
    private static let claims = Mutex<[(option: String, stream: FileStamp, descriptor: Int32?)]>([])

    /// Two passphrases from one pipe would be the same: its first line.
    private func claim(for option: String) throws {
        let (status, descriptor): (FileStatus?, Int32?)
        switch self {
        case .environment(let name): return SecretOrigins.add(variable: name)
        case .file(let path):
            SecretOrigins.add(path: path)
            (status, descriptor) = (FileStatus(at: path), nil)
        case .descriptor(let number):
            SecretOrigins.add(descriptor: number)
            (status, descriptor) = (FileStatus(of: number), number)
        }
        guard let status, status.kind != .regular || descriptor != nil else { return }
        let other = Self.claims.withLock { claims in
            defer { claims.append((option, status.stamp, descriptor)) }
            return claims.first { claim in
                claim.option != option && claim.stream.isSameFile(as: status.stamp)
                    && (status.kind != .regular || claim.descriptor == descriptor)
            }
        }
        if let other {
            throw UsageError(
                message: "\(other.option) and \(option) name the same open file, which can be read only once",
                hint: "give each passphrase a file, a variable or a descriptor of its own"
            )
        }
    }

    /// Reads the passphrase.
    ///
    /// - Returns: The first line, without its end.
    /// - Throws: ``InputError`` naming the source; never its contents.
    func read() throws -> SecretBytes {
        let (bytes, name): (SecretBytes, String)
        switch self {
        case .file(let path):
            name = "the passphrase file \(printable(path))"
            bytes = try FileContents(of: path, .ownerOnly).bytes
        case .descriptor(let number):
            name = "file descriptor \(number)"
            bytes = try FileContents(handedOver: number, name: name).bytes
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
    /// Reads a variable. No child process will get it.
    ///
    /// - Parameter name: Its name.
    /// - Returns: The value, in memory that is wiped.
    /// - Throws: ``InputError`` when it is not set.
    static func value(of name: String) throws -> SecretBytes {
        SecretOrigins.add(variable: name)
        guard let value = unsafe getenv(name) else {
            throw InputError(
                message: "the environment variable \(name) is not set",
                hint: "export it before the command"
            )
        }
        return unsafe SecretBytes(UnsafeRawBufferPointer(start: value, count: strlen(value)))
    }
}
