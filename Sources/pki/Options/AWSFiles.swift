// SPDX-License-Identifier: Apache-2.0

import Delivery
import SystemSupport

/// The files of the AWS CLI and the SDKs (AWS SDKs and Tools Reference Guide, "Location of the shared config and
/// credentials files").
struct AWSFiles {
    /// `~/.aws/config`, or `AWS_CONFIG_FILE`.
    let config: SharedFile

    /// `~/.aws/credentials`, or `AWS_SHARED_CREDENTIALS_FILE`.
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

    /// The profile when none is named.
    static func standardProfile(_ environment: [String: String]) -> String {
        environment["AWS_PROFILE"].flatMap { $0.isEmpty ? nil : $0 } ?? "default"
    }

    /// The names that a profile's section may have in the config file, in their precedence.
    static func configSections(_ profile: String) -> [String] {
        profile == "default" ? ["profile default", "default"] : ["profile \(profile)"]
    }

    /// The section of the config file that a profile is or would be in.
    static func section(of profile: String, in file: SharedConfiguration) -> String {
        let names = configSections(profile)
        return names.first { file.settings(in: $0) != nil } ?? names[names.count - 1]
    }

    /// The settings of a profile; `nil` if it is not in the config file.
    func settings(of profile: String) throws -> [(name: String, value: String)]? {
        try settings(of: profile, in: config.read().map { SharedConfiguration($0) })
    }

    /// The settings of a profile in the config file, which was read.
    func settings(of profile: String, in file: SharedConfiguration?) throws -> [(name: String, value: String)]? {
        guard let file else { return nil }
        let found = Self.configSections(profile).lazy.compactMap { file.settings(in: $0) }.first
        let isUsed = found?.contains { setting in
            setting.name.hasPrefix(ProfileSetting.prefix) || ServiceSettings.names.contains(setting.name)
        }
        if isUsed == true { try refuseForeignConfig() }
        return found
    }

    /// Refuses settings that are used here, which name keys, libraries and servers, in a file of another user or one that all
    /// users can write to. AWS's other settings are for AWS's tools to judge.
    func refuseForeignConfig() throws {
        guard let status = FileStatus(at: config.path) else { return }
        let path = Quoting.shell(config.path)
        guard status.owner == FileStatus.ownUser || status.owner == 0 else {
            throw InputError(
                message:
                    "\(printable(config.path)) belongs to user \(status.owner), and its profile names keys and libraries",
                hint: "make it yours: chown \(FileStatus.ownUser) \(path)")
        }
        guard status.mode & 0o002 == 0 else {
            throw InputError(
                message: "all users can write to \(printable(config.path)), and its profile names keys and libraries: "
                    + "its mode is \(status.modeText)",
                hint: status.kind == .regular ? "check that it was not changed, then: chmod o-w \(path)" : nil)
        }
    }

    // MARK: - What programs use instead of a profile's credential_process

    /// Settings that give a profile credentials.
    static func givesCredentials(_ setting: String) -> Bool {
        let names = [
            "aws_access_key_id", "credential_process", "credential_source", "role_arn", "source_profile",
            "web_identity_token_file", "login_session",
        ]
        return names.contains(setting) || setting.hasPrefix("sso_")
    }

    /// What programs use before a profile's `credential_process`, as a finding and what helps. botocore reads the credentials
    /// file's section over the config file's; static keys of the config file go first in other SDKs.
    func rivals(of profile: String) throws -> [(finding: String, hint: String)] {
        let sections = [
            (
                config,
                try config.read().map { SharedConfiguration($0) }.flatMap { file in
                    file.settings(in: Self.section(of: profile, in: file))
                }
            ),
            (credentials, try credentials.read().flatMap { SharedConfiguration($0).settings(in: profile) }),
        ]
        var result: [(finding: String, hint: String)] = []
        for (file, settings) in sections {
            let names = Set((settings ?? []).filter { !$0.value.isEmpty }.map(\.name))
            func add(_ what: String?, _ hint: String? = nil) {
                guard let what else { return }
                let path = printable(file.path)
                result.append(
                    (
                        "\(what) of \(profile) in \(path) is used before credential_process",
                        hint ?? "remove \(what) from \(path), or choose another --profile"
                    ))
            }
            add(["role_arn", "web_identity_token_file"].first(where: names.contains))
            add(names.filter { $0.hasPrefix("sso_") }.min())
            if names.contains("aws_access_key_id") {
                let remove = "pki update --remove \(Quoting.option("--profile", profile))"
                add("aws_access_key_id", names.contains(FileTarget.marker) ? remove : nil)
            }
            if names.contains("login_session") { add("login_session") }
            if file.path == credentials.path, names.contains("credential_process") { add("credential_process") }
        }
        return result
    }

    // MARK: - What other programs do not read

    /// What in a file keeps other programs from reading it or the profile's section, with file and line.
    func problems(of profile: String) throws -> [String] {
        var result: [String] = []
        for (file, kind, sections) in [
            (config, SharedConfiguration.File.config, Self.configSections(profile)),
            (credentials, .credentials, [profile]),
        ] {
            guard let bytes = try file.read() else { continue }
            let problems = SharedConfiguration(bytes).problems(in: kind, of: sections)
            for (index, problem) in problems.enumerated() {
                // One line of each kind is enough to find the others.
                if problems[..<index].contains(where: { $0.kind == problem.kind }) { continue }
                result.append("\(printable(file.path)), line \(problem.line): \(problem.message)")
            }
        }
        return result
    }

    /// Warns of what other programs do not read.
    func warnOfProblems(of profile: String, _ console: Console) {
        for problem in (try? problems(of: profile)) ?? [] { console.warning(problem) }
    }
}
