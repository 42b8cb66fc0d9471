// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import Delivery
import FoundationEssentials
import SystemSupport
import TrustAnchors

extension CompletionKind {
    /// Values that are found when they are asked for. The parser has no place for a kind of ours, and the shell's comment in
    /// which it is does nothing.
    static func known(_ kind: KnownValues.Kind) -> CompletionKind { .shellCommand(kind.rawValue) }

    /// A program and its arguments.
    static let programs = CompletionKind.shellCommand("# programs")
}

/// What options can be given here, because a CA's directory, a profile or the environment has it.
struct KnownValues {
    enum Kind: String {
        /// Names of certificates, and serial numbers of which the first digits were typed.
        case certificates = "# certificates"
        case certificateNames = "# certificate names"
        case authorities = "# authorities"
        case profiles = "# profiles"
        case settings = "# settings"
        case trustAnchorARNs = "# trust anchors"
        case profileARNs = "# profile ARNs"
        case roleARNs = "# role ARNs"
        case roles = "# roles"
        case variables = "# variables"
    }

    /// More are of no use, and take time.
    private static let limit = 1000

    private let directory: String
    private let environment = ProcessInfo.processInfo.environment

    /// - Parameter directory: The value of `--directory`; `nil` if it was not given.
    init(directory: String?) {
        let home = homeDirectory(environment["HOME"])
        self.directory =
            directory.map { $0 == "~" || $0.hasPrefix("~/") ? home + $0.dropFirst() : $0 } ?? DirectoryOption.standard
    }

    /// Each value once, in order. Faults in the files are for other commands to report.
    func values(_ kind: Kind, beginningWith word: String) -> [CompletionRequest.Offer] {
        let offers: [CompletionRequest.Offer] =
            switch kind {
            case .certificates: named(word, onlyCAs: false) + serialNumbers(word)
            case .certificateNames: named(word, onlyCAs: false)
            case .authorities: named(word, onlyCAs: true)
            case .profiles: profiles.map { .init(value: $0) }
            case .settings: ProfileSetting.all.map { .init(value: String($0.option.dropFirst(2))) }
            case .trustAnchorARNs:
                recorded.trustAnchors.map { .init(value: "\($0.arn)") } + configured("--trust-anchor-arn")
            case .profileARNs:
                recorded.roles.map { .init(value: "\($0.profileArn)", explanation: $0.name) }
                    + configured("--profile-arn")
            case .roleARNs:
                recorded.roles.map { .init(value: "\($0.roleArn)", explanation: $0.name) } + configured("--role-arn")
            case .roles: recorded.roles.map { .init(value: $0.name, explanation: "\($0.roleArn)") }
            case .variables: environment.keys.sorted().map { .init(value: $0) }
            }
        var seen: Set<String> = []
        return offers.filter { seen.insert($0.value).inserted }
    }

    // MARK: - A CA's directory

    private var inventory: Inventory? {
        guard let address = environment[InventoryOptions.variable], !address.isEmpty else {
            return try? Inventory(reading: directory, now: .now)
        }
        return try? Inventory(at: address, in: directory, by: "", now: .now, isReading: true)
    }

    private var recorded: RecordedResources { (try? RecordedResources(in: directory)) ?? RecordedResources() }

    private func named(_ word: String, onlyCAs: Bool) -> [CompletionRequest.Offer] {
        let names = try? inventory?.names(beginningWith: word, onlyCAs: onlyCAs, limit: Self.limit)
        return (names ?? []).map { .init(value: $0) }
    }

    private func serialNumbers(_ word: String) -> [CompletionRequest.Offer] {
        guard !word.isEmpty, word.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }) else {
            return []
        }
        let found = try? inventory?.serialNumbers(beginningWith: word, limit: Self.limit)
        return (found ?? []).map { .init(value: $0.serialNumber.hexadecimal, explanation: $0.name) }
    }

    // MARK: - Profiles

    private var configuration: SharedConfiguration? {
        try? AWSFiles(environment).config.read().map { SharedConfiguration($0) }
    }

    private var profiles: [String] { configuration.map { Self.profiles(in: $0) } ?? [] }

    private static func profiles(in file: SharedConfiguration) -> [String] {
        file.sectionNames.compactMap { section in
            section == "default" ? section : section.hasPrefix("profile ") ? String(section.dropFirst(8)) : nil
        }
    }

    /// The values that profiles have for an option.
    private func configured(_ option: String) -> [CompletionRequest.Offer] {
        guard let file = configuration, let setting = ProfileSetting.all.first(where: { $0.option == option }) else {
            return []
        }
        return Self.profiles(in: file).prefix(Self.limit).compactMap { profile in
            AWSFiles.configSections(profile).lazy.compactMap { file.settings(in: $0) }.first?
                .first { $0.name == setting.name }
                .map { .init(value: $0.value, explanation: profile) }
        }
    }
}
