// SPDX-License-Identifier: Apache-2.0

import Certificates
import HardwareKeys
import SystemSupport

/// Where a certificate or a key is, as written on the command line.
enum KeyLocation: Hashable, Sendable {
    /// A file; one whose name begins like another location is written `./env:x`.
    case file(String)
    /// `-`: standard input.
    case standardInput
    /// `env:NAME`: the value of a variable.
    case environment(String)
    /// `fd:N`: an open file descriptor.
    case descriptor(Int32)
    /// `pkcs11:…`: an object in a token (RFC 7512).
    case pkcs11(String)
    /// `handle:0x81…`: a key in a TPM.
    case tpm(String)
    /// `ssh-agent:SHA256:…`: a key that an SSH agent holds.
    case agent(fingerprint: String)

    /// - Throws: ``UsageError`` if a prefix such as `fd:` has no valid location after it.
    init(_ text: String) throws {
        if text == "-" {
            self = .standardInput
        } else if let name = Self.rest(of: text, after: "env:") {
            guard !name.isEmpty else { throw UsageError(message: "\"\(printable(text))\" names no variable") }
            self = .environment(name)
        } else if let digits = Self.rest(of: text, after: "fd:") {
            guard let number = Int32(digits), number >= 0 else {
                throw UsageError(message: "\"\(printable(text))\" is not fd: and the number of an open file descriptor")
            }
            self = .descriptor(number)
        } else if text.hasPrefix("pkcs11:") {
            self = .pkcs11(text)
        } else if text.hasPrefix("handle:") {
            self = .tpm(text)
        } else if let fingerprint = Self.rest(of: text, after: "ssh-agent:") {
            self = .agent(fingerprint: fingerprint)
        } else {
            self = .file(text)
        }
    }

    private static func rest(of text: String, after prefix: String) -> String? {
        text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : nil
    }

    /// Whether the value means the same in another process.
    var isLasting: Bool {
        switch self {
        case .standardInput, .descriptor: false
        case .file(let path): Self.isLasting(path)
        default: true
        }
    }

    /// Whether a path does not name a descriptor, a pipe, a socket or a device, which end with a process or its machine's run.
    private static func isLasting(_ path: String) -> Bool {
        guard SecretOrigins.ownDescriptor(path) == nil else { return false }
        let kind = FileStatus(at: path)?.kind
        let parent = (try? FilePath.absolute(FilePath.parent(of: path))) ?? ""
        return [nil, .regular, .directory].contains(kind) && !"\(parent)/".hasPrefix("/proc/")
    }

    /// The contents and their name in messages; `nil` for a key or certificate in a device.
    ///
    /// - Parameter rule: Who may be able to read a file.
    func read(_ rule: FileContents.Rule = .anyone) throws -> (bytes: SecretBytes, name: String)? {
        switch self {
        case .file(let path): (try FileContents(of: path, rule).bytes, path)
        case .standardInput:
            (try FileContents(handedOver: StandardStream.input, name: "standard input", rule).bytes, "standard input")
        case .environment(let name):
            (try EnvironmentVariable.value(of: name), "the environment variable \(name)")
        case .descriptor(let number):
            (
                try FileContents(handedOver: number, name: "file descriptor \(number)", rule).bytes,
                "file descriptor \(number)"
            )
        case .pkcs11, .tpm, .agent: nil
        }
    }
}

extension KeyLocation: CustomStringConvertible {
    /// The location without what may be secret.
    var description: String {
        switch self {
        case .file(let path): path
        case .standardInput: "standard input"
        case .environment(let name): "env:\(name)"
        case .descriptor(let number): "fd:\(number)"
        case .pkcs11(let text): (try? PKCS11URI(text)).map { "\($0)" } ?? "pkcs11:…"
        case .tpm(let handle): handle
        case .agent(let fingerprint): "ssh-agent:\(fingerprint)"
        }
    }
}

/// Input that cannot be read or used.
struct InputError: ExplainedError {
    var message: String
    var hint: String?
}

/// A wrong command line.
struct UsageError: ExplainedError {
    var message: String
    var hint: String?

    /// The value of an option that has no default.
    static func require<Value: CaseIterable & RawRepresentable>(
        _ value: Value?, _ option: String
    ) throws -> Value where Value.RawValue == String {
        if let value { return value }
        throw UsageError(
            message: "\(option) is missing",
            hint: "use one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))")
    }

    static func missing(_ option: String) -> UsageError {
        UsageError(
            message: "\(option) is missing",
            hint: "give it, or --profile NAME with a profile that pki configure wrote")
    }
}

enum InputFile {
    /// Reads a whole file of at most 4 MiB.
    static func read(_ path: String) throws -> [UInt8] {
        unsafe try FileContents(of: path).bytes.withUnsafeBytes { unsafe Array($0) }
    }
}
