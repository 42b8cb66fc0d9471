// SPDX-License-Identifier: Apache-2.0

import Delivery
import Glibc
import SystemSupport

/// Where the AWS CLI and the SDKs keep their settings (AWS SDKs and Tools Reference Guide, "Location of the shared config
/// and credentials files").
struct AWSFiles {
    /// `~/.aws/config`, or what `AWS_CONFIG_FILE` names.
    let config: SharedFile

    /// `~/.aws/credentials`, or what `AWS_SHARED_CREDENTIALS_FILE` names.
    let credentials: SharedFile

    init(_ environment: [String: String]) {
        let home = homeDirectory(environment["HOME"])
        func path(_ variable: String, _ standard: String) -> String {
            guard let value = environment[variable], !value.isEmpty else { return "\(home)/.aws/\(standard)" }
            return value == "~" || value.hasPrefix("~/") ? home + value.dropFirst() : value
        }
        config = SharedFile(path: path("AWS_CONFIG_FILE", "config"))
        credentials = SharedFile(path: path("AWS_SHARED_CREDENTIALS_FILE", "credentials"))
    }

    /// The profile that is meant when none is named.
    static func standardProfile(_ environment: [String: String]) -> String {
        environment["AWS_PROFILE"].flatMap { $0.isEmpty ? nil : $0 } ?? "default"
    }

    /// The names that a profile's section may have in the config file, the one that counts first.
    static func configSections(_ profile: String) -> [String] {
        profile == "default" ? ["profile default", "default"] : ["profile \(profile)"]
    }

    /// The settings of a profile.
    ///
    /// - Parameter profile: The profile's name.
    /// - Returns: The settings; nothing when it is not in the config file.
    /// - Throws: `DeliveryError` when the file cannot be read.
    func settings(of profile: String) throws -> [(name: String, value: String)]? {
        guard let bytes = try config.read() else { return nil }
        let file = SharedConfiguration(bytes)
        let found = Self.configSections(profile).lazy.compactMap { file.settings(in: $0) }.first
        if found?.contains(where: { $0.name.hasPrefix(ProfileSetting.prefix) }) == true { try refuseForeignConfig() }
        return found
    }

    /// Refuses settings of ours, which name keys and libraries, in a file of another user, or one that all users can write to. Those of AWS's own
    /// are for AWS's tools to judge.
    private func refuseForeignConfig() throws {
        guard let status = FileStatus(at: config.path) else { return }
        let path = Quoting.shell(config.path)
        guard status.owner == FileStatus.ownUser || status.owner == 0 else {
            throw InputError(
                message:
                    "\(printable(config.path)) belongs to user \(status.owner), and its profile names keys and libraries",
                hint: "make it yours: chown \(FileStatus.ownUser) \(path)"
            )
        }
        guard status.mode & 0o002 == 0 else {
            throw InputError(
                message: "all users can write to \(printable(config.path)), and its profile names keys and libraries: "
                    + "its mode is \(status.modeText)",
                hint: "check that it was not changed, then: chmod o-w \(path)"
            )
        }
    }
}
