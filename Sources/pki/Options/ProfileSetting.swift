// SPDX-License-Identifier: Apache-2.0

import Delivery
import SystemSupport

/// An option that a profile can hold: `pki_trust_anchor_arn` for `--trust-anchor-arn`.
struct ProfileSetting {
    /// The kind of value, and the option that has it.
    private enum Place {
        /// A path, or another ``KeyLocation``.
        case path(WritableKeyPath<AccessOptions, String?>)
        case text(WritableKeyPath<AccessOptions, String?>)
        case integer(WritableKeyPath<AccessOptions, Int?>)
        case number(WritableKeyPath<AccessOptions, Double?>)
        case flag(WritableKeyPath<AccessOptions, Bool>)
    }

    /// The option's long name, with its dashes.
    let option: String

    private let place: Place

    var isFlag: Bool { if case .flag = place { true } else { false } }

    /// Whether an environment variable can hold the option too: `PKI_TRUST_ANCHOR_ARN`. What weakens a check or loads code is
    /// given where it is seen, and what AWS has variables for is read from those.
    let hasVariable: Bool

    private init(option: String, place: Place, hasVariable: Bool = false) {
        (self.option, self.place, self.hasVariable) = (option, place, hasVariable)
    }

    /// The name of the variable; `nil` if there is none.
    var variable: String? {
        hasVariable ? IdentityVariable.prefix + option.dropFirst(2).uppercased().replacing("-", with: "_") : nil
    }

    /// The prefix of the settings' names, which no other program uses.
    static let prefix = "pki_"

    var name: String { Self.prefix + option.dropFirst(2).replacing("-", with: "_") }

    /// Every option that a profile can hold: not a file descriptor, which is a process's own, nor a region, which is the trust
    /// anchor's.
    static var all: [ProfileSetting] {
        [
            ProfileSetting(option: "--certificate", place: .path(\.identity.certificate), hasVariable: true),
            ProfileSetting(option: "--private-key", place: .path(\.identity.privateKey), hasVariable: true),
            ProfileSetting(option: "--intermediates", place: .path(\.identity.intermediates), hasVariable: true),
            ProfileSetting(option: "--certificate-store", place: .path(\.identity.certificateStore), hasVariable: true),
            ProfileSetting(option: "--cert-selector", place: .text(\.identity.certSelector), hasVariable: true),
            ProfileSetting(
                option: "--use-latest-expiring-certificate", place: .flag(\.identity.useLatestExpiringCertificate)),
            ProfileSetting(option: "--passphrase-file", place: .path(\.identity.passphrase.file), hasVariable: true),
            ProfileSetting(option: "--passphrase-env", place: .text(\.identity.passphrase.env)),
            ProfileSetting(option: "--insecure-permissions", place: .flag(\.identity.insecurePermissions)),
            ProfileSetting(option: "--pkcs11-lib", place: .path(\.identity.device.pkcs11Library)),
            ProfileSetting(option: "--reuse-pin", place: .flag(\.identity.device.reusePin)),
            ProfileSetting(option: "--no-tpm-key-password", place: .flag(\.identity.device.noTpmKeyPassword)),
            ProfileSetting(option: "--trust-anchor-arn", place: .text(\.session.trustAnchorArn), hasVariable: true),
            ProfileSetting(option: "--profile-arn", place: .text(\.session.profileArn), hasVariable: true),
            ProfileSetting(option: "--role-arn", place: .text(\.session.roleArn), hasVariable: true),
            ProfileSetting(option: "--session-duration", place: .integer(\.session.sessionDuration), hasVariable: true),
            ProfileSetting(option: "--role-session-name", place: .text(\.session.roleSessionName), hasVariable: true),
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

    /// The option's value as a profile holds it; `nil` if it was not given, empty if it is to be removed.
    ///
    /// - Parameter directory: The base of relative paths.
    func text(in settings: AccessOptions, directory: String) -> String? {
        switch place {
        case .path(let path):
            settings[keyPath: path].map { text in
                guard !text.isEmpty, case .file = try? KeyLocation(text) else { return text }
                return text.hasPrefix("/") ? text : absolutePath(text, in: directory)
            }
        case .text(let path): settings[keyPath: path]?.trimmed
        case .integer(let path): settings[keyPath: path].map(String.init)
        case .number(let path): settings[keyPath: path].map { "\($0)" }
        case .flag(let path): settings[keyPath: path] ? "true" : nil
        }
    }

    func isGiven(in settings: AccessOptions) -> Bool { text(in: settings, directory: "/") != nil }

    /// Where the option's value is, if it was given and names a place. What is not one of an identity's parts is a file, whatever
    /// its name begins with.
    func place(in settings: AccessOptions) throws -> KeyLocation? {
        guard case .path(let path) = place, let text = settings[keyPath: path], !text.isEmpty else { return nil }
        let parts = ["--certificate", "--private-key", "--intermediates", "--certificate-store"]
        return parts.contains(option) ? try KeyLocation(text) : .file(text)
    }

    /// Sets an option that was not given to the profile's value.
    ///
    /// - Throws: ``InputError`` when the value is not of the option's kind.
    func fill(_ text: String, into settings: inout AccessOptions) throws {
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
        InputError(message: "\(name) is \"\(printable(text, limit: 100))\", which is not \(kind)")
    }
}

/// An absolute path without `.` and doubled slashes. `..` stays: after a link only the system knows what it means.
func absolutePath(_ path: String, in directory: String) -> String {
    let whole = path.hasPrefix("/") ? path : "\(directory)/\(path)"
    return "/" + whole.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
}
