// SPDX-License-Identifier: Apache-2.0

import Delivery
import FoundationEssentials
import SystemSupport

extension ConfigureCommand {
    /// Takes out of a profile what this command wrote, and reports what stays and what else belongs to it.
    static func remove(_ profile: String, _ environment: [String: String]) throws -> RemovalReport {
        let files = AWSFiles(environment)
        var report = RemovalReport(profile: profile, file: files.config.path)
        guard try files.config.read() != nil else { return report }
        var settings: [(name: String, value: String)] = []
        try files.config.update(isPrivate: false) { file in
            (report.removed, report.kept, settings) = ([], [], [])
            for section in AWSFiles.configSections(profile) {
                guard let found = file.settings(in: section) else { continue }
                let own = ownSettings(found)
                try file.remove(own, in: section)
                report.removed += own
                report.kept += found.map(\.name).filter { !own.contains($0) }
                settings += found
            }
        }
        report.cached = cachedCredentials(settings)
        report.units = units(naming: profile, environment)
        if let bytes = try files.credentials.read(),
            SharedConfiguration(bytes).value(of: FileTarget.marker, in: profile) != nil
        {
            report.credentials = files.credentials.path
        }
        return report
    }

    /// The names of the settings that this command wrote: a region only if none was there.
    private static func ownSettings(_ settings: [(name: String, value: String)]) -> [String] {
        let known = Set(ProfileSetting.all.map(\.name) + [ownRegion])
        let region = settings.last { $0.name == ownRegion }?.value
        return settings.filter { setting in
            switch setting.name {
            case "credential_process": isOurs(setting.value)
            case "region": setting.value == region
            default: known.contains(setting.name)
            }
        }.map(\.name)
    }

    /// The files of the cache with credentials for the profile and role of these settings.
    private static func cachedCredentials(_ settings: [(name: String, value: String)]) -> [String] {
        func value(_ name: String) -> String? { settings.last { $0.name == name }?.value }
        guard let role = value("pki_role_arn"), let profile = value("pki_profile_arn") else { return [] }
        let entries = (try? CredentialCache.standard.entries()) ?? []
        return entries.filter { entry in
            let parts = Dictionary(entry.parts.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
            return parts["role"] == role && parts["profile"] == profile
        }.map(\.path)
    }

    /// The units of systemd that name a profile, of the system and of this user.
    private static func units(naming profile: String, _ environment: [String: String]) -> [String] {
        let own = environment["XDG_CONFIG_HOME"].flatMap { $0.isEmpty ? nil : $0 }
        let directories = [
            "/etc/systemd/system", (own ?? homeDirectory(environment["HOME"]) + "/.config") + "/systemd/user",
        ]
        func names(_ directory: String) -> [String] {
            ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).sorted().map {
                "\(directory)/\($0)"
            }
        }
        let enabled = directories.flatMap { names($0) }.flatMap { $0.hasSuffix(".wants") ? names($0) : [$0] }
        return enabled.filter { FilePath.name(of: $0).hasPrefix("pki") }.flatMap { unit in
            if FilePath.name(of: unit).hasPrefix("pki-serve@\(profile).") { return [unit] }
            return (FileStatus(at: unit)?.kind == .directory ? names(unit) : [unit]).filter { path in
                guard FileStatus(at: path)?.kind == .regular, let bytes = try? InputFile.read(path) else {
                    return false
                }
                let words = String(decoding: bytes, as: UTF8.self).split { $0.isWhitespace || "\"'=".contains($0) }
                return zip(words, words.dropFirst()).contains { $0 == "--profile" && $1 == profile }
            }
        }
    }
}

/// What `pki configure --remove` did, and what it did not touch.
struct RemovalReport: Report {
    var profile: String
    /// The config file.
    var file: String
    var removed: [String] = []
    /// Settings of the profile that others wrote.
    var kept: [String] = []
    /// Files of the cache with the profile's credentials.
    var cached: [String] = []
    /// Files of systemd that name the profile.
    var units: [String] = []
    /// The credentials file, if it has keys of `pki update`.
    var credentials: String?

    var text: String {
        var lines = ["profile  \(profile) in \(file)"]
        lines.append("removed  \(removed.isEmpty ? "nothing" : removed.joined(separator: ", "))")
        if !kept.isEmpty { lines.append("kept     \(kept.joined(separator: ", "))") }
        lines += (cached + units + [credentials].compactMap(\.self)).map { "remains  \(printable($0))" }
        if credentials != nil { lines.append("next     pki update --remove \(Quoting.option("--profile", profile))") }
        if !cached.isEmpty { lines.append("next     pki cache clear") }
        return lines.joined(separator: "\n")
    }
}
