// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import Synchronization
import SystemSupport

/// What a passphrase opens or encrypts: the prefix and the help of its options.
protocol PassphraseRole: Sendable {
    /// What the options' names begin with, without the dashes.
    static var prefix: String { get }
    /// The secret, as an object in a sentence.
    static var secret: String { get }
    /// What happens without the options; `nil` to leave it out of the help.
    static var standard: String? { get }
}

extension PassphraseRole {
    static var prefix: String { "passphrase" }
    static var standard: String? { "ask on the terminal" }
}

enum CAKeyRole: PassphraseRole {
    static let secret = "the CA key's passphrase or PIN"
}

/// The key of a CA that `init-ca` makes, or one in a device.
enum NewCAKeyRole: PassphraseRole {
    static let secret = "the new key's passphrase or PIN"
    static let standard: String? = nil
}

enum NewKeyRole: PassphraseRole {
    static let prefix = "key-passphrase"
    static let secret = "the new key's passphrase or PIN"
    static let standard: String? = nil
}

/// What replaces the passphrase of a key.
enum ChangedPassphraseRole: PassphraseRole {
    static let prefix = "key-passphrase"
    static let secret = "the key's new passphrase"
    static let standard: String? = nil
}

enum StoredKeyRole: PassphraseRole {
    static let secret = "the key's current passphrase"
}

enum ClientKeyRole: PassphraseRole {
    static let secret = "the key's passphrase or PIN"
    static let standard: String? = "PKI_PASSPHRASE_FILE, else ask on the terminal"
}

/// An inspected key or container.
enum InspectedFileRole: PassphraseRole {
    static let secret = "the passphrase"
    static let standard: String? = nil
}

enum ExportedFileRole: PassphraseRole {
    static let prefix = "export-passphrase"
    static let secret = "the export's passphrase"
    static let standard: String? = nil
}

/// The three ways to give a passphrase. It is never an argument, which every user of the machine could read.
struct PassphraseOptions<Role: PassphraseRole>: ParsableArguments, Sendable {
    @Option(
        name: .customLong("\(Role.prefix)-file"),
        help: .value(
            "file",
            "Read \(Role.secret) from the first line of this file." + (Role.standard.map { " (default: \($0))" } ?? "")),
        completion: .file())
    var file: String?

    @Option(
        name: .customLong("\(Role.prefix)-env"),
        help: .value("variable", "Read \(Role.secret) from this environment variable."), completion: .known(.variables))
    var env: String?

    @Option(
        name: .customLong("\(Role.prefix)-fd"), help: .value("n", "Read \(Role.secret) from this open file descriptor.")
    )
    var fd: Int32?

    /// Options of which none was given, made without the parser.
    static var none: Self {
        var options = Self()
        (options.file, options.env, options.fd) = (nil, nil, nil)
        return options
    }

    var isGiven: Bool { file != nil || env != nil || fd != nil }

    /// The place that was named. No child process gets the variable or descriptor, read or not.
    ///
    /// - Throws: ``UsageError`` when several were given, or another option has the same stream, which can be read once.
    func source() throws -> PassphraseSource? {
        let sources = [
            file.map(PassphraseSource.file), env.map(PassphraseSource.environment),
            fd.map(PassphraseSource.descriptor),
        ].compactMap(\.self)
        let option = "--\(Role.prefix)"
        guard sources.count <= 1 else {
            throw UsageError(message: "only one of \(option)-file, \(option)-env and \(option)-fd can be given")
        }
        try sources.first?.claim(for: option)
        return sources.first
    }

    /// The passphrase, if a place was named.
    func read() throws -> SecretBytes? { try source()?.read() }

    /// The passphrase when it is needed. A place that cannot be read is an error even when the key needs no passphrase.
    func passphrase() throws -> Passphrase {
        let passphrase = Passphrase(try source())
        try passphrase.check()
        return passphrase
    }
}

/// The passphrase of a new key: from one of the three places, or asked for.
struct NewPassphraseOptions<Role: PassphraseRole>: ParsableArguments, Sendable {
    @OptionGroup var given: PassphraseOptions<Role>

    @Flag(help: "Ask for the new key's passphrase on the terminal, twice.")
    var askPassphrase = false

    /// The passphrase, if there is to be one.
    ///
    /// - Throws: ``UsageError`` when it was given in two ways, or there is no terminal to ask on.
    func read() throws -> SecretBytes? {
        guard askPassphrase else { return try given.read() }
        guard !given.isGiven else {
            throw UsageError(message: "--ask-passphrase cannot be used with --\(Role.prefix)-file, -env or -fd")
        }
        return try NewPassphrase.ask("the new key", otherwise: "give one with --\(Role.prefix)-file")
    }
}

enum NewPassphrase {
    /// Asks twice, to catch a typing error.
    ///
    /// - Parameters:
    ///   - what: What it encrypts.
    ///   - hint: What to do without a terminal.
    static func ask(_ what: String, otherwise hint: String) throws -> SecretBytes {
        guard let first = try Terminal.askSecret("new passphrase of \(what)") else {
            throw UsageError(message: "there is no new passphrase", hint: hint)
        }
        let second = try Terminal.askSecret("new passphrase again")
        guard let second, first.isEqual(to: second) else {
            throw InputError(message: "the passphrases differ; nothing was changed")
        }
        return first
    }
}

enum PassphraseSource {
    /// The first line of a file.
    case file(String)
    case environment(String)
    /// The first line of an open file descriptor.
    case descriptor(Int32)

    /// What can be read once, and which option's passphrase it is.
    private static let claims = Mutex<[(option: String, stream: FileStamp, descriptor: Int32?)]>([])

    /// Two passphrases from one pipe would be the same: its first line.
    fileprivate func claim(for option: String) throws {
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
                message: "\(other.option) and \(option) name the same stream, which can be read only once",
                hint: "use a separate file, variable or descriptor for each passphrase")
        }
    }

    /// Reads the first line, without its end.
    ///
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
            throw InputError(message: "\(name) contains no passphrase: its first line is empty")
        }
        guard unsafe !line.withUnsafeBytes({ unsafe $0.starts(with: [0xEF, 0xBB, 0xBF]) }) else {
            var hint: String?
            if case .file(let path) = self { hint = #"remove it: sed -i '1s/^\xEF\xBB\xBF//' "# + Quoting.shell(path) }
            throw InputError(
                message: "\(name) begins with a byte order mark, which would be a part of the passphrase", hint: hint)
        }
        return line
    }
}

/// A variable whose value is a secret.
enum EnvironmentVariable {
    /// Reads a variable into memory that is wiped. No child process gets it.
    ///
    /// - Throws: ``InputError`` when it is not set.
    static func value(of name: String) throws -> SecretBytes {
        guard let value = ThisProcess.secret(inVariable: name) else {
            throw InputError(
                message: "the environment variable \(name) is not set", hint: "export it before the command")
        }
        return value
    }
}

/// A secret that opens a key: read from where the command line says, or asked for, when it is needed and not before.
///
/// It can be read again when an identity's files have changed; what a person typed is kept.
final class Passphrase: Sendable {
    private let source: PassphraseSource?
    private let wasGiven: Bool
    private let kept: Mutex<SecretBytes?>

    /// Takes a secret from a place; without one, asks on the terminal.
    init(_ source: PassphraseSource?) {
        self.source = source
        wasGiven = false
        kept = Mutex(nil)
    }

    /// Takes a known secret; without one, asks on the terminal.
    init(given secret: SecretBytes?) {
        source = nil
        wasGiven = secret != nil
        kept = Mutex(secret)
    }

    /// Reads the place that was named, if one was: a place that cannot be read is an error even when the key needs no
    /// passphrase.
    func check() throws { _ = try source?.read() }

    /// The secret; `nil` if the user has to be asked.
    func given() throws -> SecretBytes? { try source?.read() ?? kept.withLock { $0 } }

    /// The secret; `nil` when it was not given and there is no terminal to ask on.
    func read(_ prompt: String) throws -> SecretBytes? {
        if let source { return try source.read() }
        return try kept.withLock { kept in
            if let kept { return kept }
            kept = try Terminal.askSecret(prompt)
            return kept
        }
    }

    /// Whether the user is asked for it.
    var isAsked: Bool { source == nil && !wasGiven }

    /// Returns what reads the secret for one key, and asks the user again if the answer was wrong, three times at most.
    /// A token's PIN or a TPM's password is asked for once with ``read(_:)``: wrong ones lock the device.
    func tries(_ prompt: String) -> () throws -> SecretBytes? {
        var count = 0
        return { [self] in
            count += 1
            if count > 1 {
                guard isAsked, kept.withLock({ $0.take() }) != nil else { return nil }
                guard count <= 3 else { throw InputError(message: "the \(prompt) was wrong three times") }
                Console.standard.warning("the passphrase is wrong; try again")
            }
            return try read(prompt)
        }
    }
}

/// Where the passphrase of an exported file comes from.
struct ExportPassphraseOptions: ParsableArguments {
    @OptionGroup var given: PassphraseOptions<ExportedFileRole>

    @Option(
        help: .value("file", "Encrypt the export under a new random passphrase, written to this file."),
        completion: .file())
    var generatePassphrase: String?

    var isGiven: Bool {
        given.isGiven || generatePassphrase != nil
            || generatePassphrase != nil
    }

    /// The passphrase, and the file to write it to when it is new.
    ///
    /// - Throws: ``UsageError`` unless exactly one option was given.
    func passphrase() throws -> (secret: SecretBytes, file: AtomicFile?) {
        let source = try given.source()
        guard let path = generatePassphrase else {
            guard let source else {
                throw UsageError(
                    message: "there is no passphrase for the new file",
                    hint: "--generate-passphrase FILE creates one; --export-passphrase-file, -env and -fd read one")
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
