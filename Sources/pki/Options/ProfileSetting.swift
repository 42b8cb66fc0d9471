// SPDX-License-Identifier: Apache-2.0

/// An option that a profile can hold: `pki_trust_anchor_arn` for `--trust-anchor-arn`.
struct ProfileSetting {
    /// The kind of value, and where it is among the options.
    private enum Place {
        /// A path, or one of the other places of ``KeyLocation``.
        case path(WritableKeyPath<AccessSettings, String?>)
        case text(WritableKeyPath<AccessSettings, String?>)
        case integer(WritableKeyPath<AccessSettings, Int?>)
        case number(WritableKeyPath<AccessSettings, Double?>)
        case flag(WritableKeyPath<AccessSettings, Bool>)
    }

    /// The option's long name, with its dashes.
    let option: String

    private let place: Place

    /// What the names of settings begin with, so that no other program takes them for its own.
    static let prefix = "pki_"

    /// The setting's name in the file.
    var name: String { Self.prefix + option.dropFirst(2).replacing("-", with: "_") }

    /// Every option that a profile can hold. A file descriptor and a region are not among them: the one is a process's own,
    /// the other is the trust anchor's.
    static var all: [ProfileSetting] {
        [
            ProfileSetting(option: "--certificate", place: .path(\.identity.certificate)),
            ProfileSetting(option: "--private-key", place: .path(\.identity.privateKey)),
            ProfileSetting(option: "--intermediates", place: .path(\.identity.intermediates)),
            ProfileSetting(option: "--certificate-store", place: .path(\.identity.certificateStore)),
            ProfileSetting(option: "--cert-selector", place: .text(\.identity.certSelector)),
            ProfileSetting(
                option: "--use-latest-expiring-certificate",
                place: .flag(\.identity.useLatestExpiringCertificate)
            ),
            ProfileSetting(option: "--passphrase-file", place: .path(\.identity.passphraseFile)),
            ProfileSetting(option: "--passphrase-env", place: .text(\.identity.passphraseEnv)),
            ProfileSetting(option: "--insecure-permissions", place: .flag(\.identity.insecurePermissions)),
            ProfileSetting(option: "--pkcs11-lib", place: .path(\.identity.device.pkcs11Library)),
            ProfileSetting(option: "--reuse-pin", place: .flag(\.identity.device.reusePin)),
            ProfileSetting(option: "--no-tpm-key-password", place: .flag(\.identity.device.noTpmKeyPassword)),
            ProfileSetting(option: "--trust-anchor-arn", place: .text(\.session.trustAnchorArn)),
            ProfileSetting(option: "--profile-arn", place: .text(\.session.profileArn)),
            ProfileSetting(option: "--role-arn", place: .text(\.session.roleArn)),
            ProfileSetting(option: "--session-duration", place: .integer(\.session.sessionDuration)),
            ProfileSetting(option: "--role-session-name", place: .text(\.session.roleSessionName)),
            ProfileSetting(option: "--endpoint", place: .text(\.network.endpoint)),
            ProfileSetting(option: "--dual-stack", place: .flag(\.network.dualStack)),
            ProfileSetting(option: "--fips", place: .flag(\.network.fips)),
            ProfileSetting(option: "--ca-bundle", place: .path(\.network.caBundle)),
            ProfileSetting(option: "--no-verify-ssl", place: .flag(\.network.noVerifySsl)),
            ProfileSetting(option: "--connect-timeout", place: .number(\.network.connectTimeout)),
            ProfileSetting(option: "--timeout", place: .number(\.network.timeout)),
            ProfileSetting(option: "--attempts", place: .integer(\.network.attempts)),
        ]
    }

    /// What an option says, as a profile holds it.
    ///
    /// - Parameters:
    ///   - settings: What the command line gave.
    ///   - directory: What relative paths are relative to.
    /// - Returns: The text; nothing when the option was not given, and an empty one when it was given to be taken out of
    ///   the profile.
    func text(in settings: AccessSettings, directory: String) -> String? {
        switch place {
        case .path(let path):
            settings[keyPath: path].map { text in
                guard !text.isEmpty, case .file = try? KeyLocation(text) else { return text }
                return text.hasPrefix("/") ? text : absolutePath(text, in: directory)
            }
        case .text(let path): settings[keyPath: path]
        case .integer(let path): settings[keyPath: path].map(String.init)
        case .number(let path): settings[keyPath: path].map { "\($0)" }
        case .flag(let path): settings[keyPath: path] ? "true" : nil
        }
    }

    /// Fills in what the command line left open.
    ///
    /// - Parameters:
    ///   - text: The profile's value.
    ///   - settings: What the command line gave.
    /// - Throws: ``InputError`` when the value is not of the option's kind.
    func fill(_ text: String, into settings: inout AccessSettings) throws {
        switch place {
        case .path(let path), .text(let path):
            if settings[keyPath: path] == nil { settings[keyPath: path] = text }
        case .integer(let path):
            guard let value = Int(text) else { throw unusable(text, "a whole number") }
            if settings[keyPath: path] == nil { settings[keyPath: path] = value }
        case .number(let path):
            guard let value = Double(text) else { throw unusable(text, "a number") }
            if settings[keyPath: path] == nil { settings[keyPath: path] = value }
        case .flag(let path):
            switch text.lowercased() {
            case "true", "yes", "1": settings[keyPath: path] = true
            case "false", "no", "0": break
            default: throw unusable(text, "true or false")
            }
        }
    }

    private func unusable(_ text: String, _ kind: String) -> InputError {
        InputError(message: "\(name) is \"\(text)\", which is not \(kind)")
    }
}

/// A path from the root.
///
/// - Parameters:
///   - path: A path.
///   - directory: What it is relative to, if it is.
/// - Returns: The path with the directory before it, without `.` and doubled slashes. `..` stays: behind a link it means what
///   only the system knows.
func absolutePath(_ path: String, in directory: String) -> String {
    let whole = path.hasPrefix("/") ? path : "\(directory)/\(path)"
    return "/" + whole.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
}
