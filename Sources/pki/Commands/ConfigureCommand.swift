// SPDX-License-Identifier: Apache-2.0

import AWSModel
import ArgumentParser
import Authority
import Certificates
import Delivery
import FoundationEssentials
import RolesAnywhere
import SystemSupport

struct ConfigureCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "configure",
        _superCommandName: "pki",
        abstract: "Write a profile with which the AWS CLI and the SDKs get credentials from pki.",
        discussion: """
            Writes one section of ~/.aws/config (or of AWS_CONFIG_FILE): the options as pki_* settings, a \
            credential_process that calls pki with them, and the region if none is set. The rest of the file is not \
            changed. Settings that are not given here stay; --unset or an empty value removes one, and --remove all that \
            this command wrote. The identity is read first, so that a profile that cannot work is not written. What the \
            AWS CLI would not read in AWS's files is repaired or warned of.

            For example:

              pki configure --profile web \\
                --certificate web-1-cert.pem --private-key web-1-key.pem \\
                --trust-anchor-arn $anchor --profile-arn $profile --role-arn $role
              aws sts get-caller-identity --profile web
              pki configure --profile web --client web-1

            Several profiles can use one certificate for several roles. The name "default" is for programs that name no \
            profile. pki creds, exec, serve, update and whoami take the same --profile.
            """
    )

    @OptionGroup var profile: ProfileOption

    @Option(
        help: .value(
            "name",
            "A client of the CA in --directory: its certificate, key and chain, and the ARNs that pki set-arns recorded."
        ), completion: .known(.certificateNames))
    var client: String?

    @Option(
        help: .value("name", "With --client: the recorded role. (default: the only one)"), completion: .known(.roles))
    var role: String?

    @Option(
        help: .value(
            "path", "With --client: the CA's directory. (default: PKI_DIRECTORY, else credential-process-data)"),
        completion: .directory)
    var directory: String?

    @OptionGroup var access: AccessOptions

    @Option(
        help: .value("option", "Remove a setting, by its option's name: --unset session-duration."),
        completion: .known(.settings))
    var unset: [String] = []

    @Flag(help: "Replace the credential_process of another program.")
    var force = false

    @Flag(help: "Remove what this command wrote into the profile, and say what remains elsewhere.")
    var remove = false

    @OptionGroup var format: FormatOption

    func validate() throws {
        let isAlone =
            unset.isEmpty && !force && client == nil && !ProfileSetting.all.contains { $0.isGiven(in: access) }
        guard !remove || isAlone else {
            throw ValidationError("--remove takes no other option than --profile and --format")
        }
        guard client != nil || role == nil && directory == nil else {
            throw ValidationError("--role and --directory require --client")
        }
        guard client == nil || !access.identity.namesCertificate else {
            throw ValidationError("--client takes the certificate from the CA's directory: leave out --certificate")
        }
        let known = Set(ProfileSetting.all.map(\.option))
        for name in unset where !known.contains(Self.option(name)) {
            throw ValidationError("--unset \(name): a profile has no such setting")
        }
    }

    /// An option's name with its dashes, which may be left out.
    private static func option(_ name: String) -> String { name.hasPrefix("--") ? name : "--\(name)" }

    func run() throws {
        let console = Console.standard
        let environment = ProcessInfo.processInfo.environment
        let name =
            profile.profile ?? IdentityVariable.profile(environment) ?? AWSFiles.standardProfile(environment)
        if remove { return try console.print(Self.remove(name, environment), as: format.value) }
        try Self.check(name)
        let files = AWSFiles(environment)
        let here = FileManager.default.currentDirectoryPath
        var options = access
        if let client {
            let source = ClientSource(client, in: absolutePath(directory ?? DirectoryOption.standard, in: here))
            try source.fill(&options, role: role)
        }
        let given = try Access.withVariables(options, environment)
        guard given.identity.passphrase.fd == nil else {
            throw UsageError(
                message: "a profile cannot hold --passphrase-fd: a descriptor is open in one process only",
                hint: "use --passphrase-file or --passphrase-env")
        }
        try Self.checkPlaces(given)
        var removed = Set(unset.map(Self.option))
        // One way to name the certificate replaces the other.
        if given.identity.certificate != nil {
            removed.formUnion(["--certificate-store", "--cert-selector", "--use-latest-expiring-certificate"])
            removed.formUnion(Self.replacedParts(given.identity))
        } else if given.identity.certificateStore != nil {
            removed.formUnion(["--certificate", "--private-key", "--intermediates"])
        }
        let changes: [(name: String, value: String?)] = ProfileSetting.all.compactMap { setting in
            removed.contains(setting.option)
                ? (setting.name, nil)
                : setting.text(in: given, directory: here).map { (setting.name, $0.isEmpty ? nil : $0) }
        }
        let command = Self.credentialProcess(profile: name)
        var report: ProfileReport?
        try files.config.update(isPrivate: false) { file in
            let section = AWSFiles.section(of: name, in: file)
            if let other = file.value(of: "credential_process", in: section), !force, !Self.isOurs(other) {
                throw InputError(
                    message: "the profile \(name) in \(files.config.path) has another credential_process: \(other)",
                    hint: "choose another --profile, or replace it with --force")
            }
            try file.set(changes + [("credential_process", command)], in: section)
            let merged = try Self.settings(file.settings(in: section) ?? [])
            let aws = try ServiceSettings(
                profile: name, found: file.settings(in: section), config: file, files: files, environment: environment)
            let access = try Access(complete: merged, name: name, aws)
            try Self.setRegion(given.session.region, standard: access.request.region, in: section, of: &file)
            let identity = try access.identity()
            try identity.check(at: .now)
            Self.warnOfStanding(identity, console)
            report = ProfileReport(
                profile: name, file: files.config.path, role: access.request.role.description,
                subject: identity.certificate.subject.description, notAfter: identity.certificate.notAfter,
                privateKey: identity.keySource, intermediates: identity.chainSource,
                chain: identity.chainText, credentialProcess: command)
        }
        files.warnOfProblems(of: name, console)
        for rival in (try? files.rivals(of: name)) ?? [] {
            console.warning(rival.finding)
            console.hint(rival.hint)
        }
        if let report { try console.print(report, as: format.value) }
    }

    /// The settings of another certificate's key and chain, where those beside the new certificate are used.
    private static func replacedParts(_ identity: IdentityOptions) -> [String] {
        guard let key = identity.certificate.flatMap({ FilePath.sibling(.key, of: $0) }), FileStatus(at: key) != nil
        else {
            return []
        }
        return [("--private-key", identity.privateKey), ("--intermediates", identity.intermediates)]
            .filter { $0.1 == nil }.map(\.0)
    }

    /// Warns of a certificate that its CA's directory knows to be revoked, on hold or replaced.
    private static func warnOfStanding(_ identity: Identity, _ console: Console) {
        do {
            guard let (certificate, standing) = try identity.knownFinding(), let finding = standing.finding else {
                return
            }
            console.warning("\(certificate.subject), serial \(certificate.serialNumber.hexadecimal), \(finding)")
        } catch {
            let reason = (error as? any ExplainedError)?.message ?? "\(error)"
            console.warning("whether the certificate is revoked is not known: \(reason)")
        }
    }

    /// Refuses locations that exist in one process only, and passwords.
    private static func checkPlaces(_ given: AccessOptions) throws {
        for setting in ProfileSetting.all {
            guard let place = try setting.place(in: given), !place.isLasting else { continue }
            throw UsageError(
                message: "a profile cannot hold \(setting.option) \(place): it ends with a process",
                hint: "name a file, env:NAME, a token, a TPM or an agent")
        }
        guard given.identity.pkcs8Password == nil, given.identity.device.tpmKeyPassword == nil else {
            throw UsageError(
                message: "a profile does not hold passwords",
                hint: "write it into a file that only you can read, and name that with --passphrase-file")
        }
    }

    private static func settings(_ values: [(name: String, value: String)]) throws -> AccessOptions {
        var settings = AccessOptions.none
        let values = Dictionary(values.filter { !$0.value.isEmpty }, uniquingKeysWith: { $1 })
        for setting in ProfileSetting.all { try values[setting.name].map { try setting.fill($0, into: &settings) } }
        return settings
    }

    /// The setting that has the region if it was written here, so that `--remove` can take it out again.
    static let ownRegion = "pki_region"

    private static func setRegion(
        _ given: String?, standard: String, in section: String, of file: inout SharedConfiguration
    ) throws {
        let old = file.value(of: "region", in: section)
        let isOwn = old == nil || old == file.value(of: ownRegion, in: section)
        let region = given ?? old ?? standard
        // A value of several lines, which is warned of, stays.
        guard !region.utf8.contains(UInt8(ascii: "\n")) else { return }
        try file.set([("region", region), (ownRegion, isOwn ? region : nil)], in: section)
    }

    /// Refuses a name that not every program reads in the same way in a section's header.
    private static func check(_ name: String) throws {
        let isUsable = name.unicodeScalars.allSatisfy { !$0.isControl && !"[]\"'\\#;".unicodeScalars.contains($0) }
        guard !name.isEmpty, isUsable, name.utf8.first != 0x20, name.utf8.last != 0x20 else {
            throw UsageError(
                message: "\"\(printable(name, limit: 100))\" cannot be a profile's name",
                hint: "do not use control characters, blanks at its ends, or [ ] ' \" \\ # ;")
        }
    }

    /// Whether a `credential_process` is one that this command wrote.
    static func isOurs(_ command: String) -> Bool {
        let words =
            shellWords(command.utf8)?.map { String(decoding: $0, as: UTF8.self) }
            ?? command.split(separator: " ").map(String.init)
        return words.count > 2 && FilePath.name(of: words[0]).hasPrefix("pki") && words[1] == "creds"
            && words.contains { $0 == "--profile" || $0.hasPrefix("--profile=") }
    }

    /// The command that programs run, quoted so that a shell and programs that split it into words themselves read the same.
    /// Neither `~` nor variables are expanded in it.
    private static func credentialProcess(profile: String) -> String {
        Quoting.command([ProgramPath.current, "creds"] + Quoting.words("--profile", profile) + ["--cache"])
    }
}

struct ProfileReport: Report {
    var profile: String
    var file: String
    var role: String
    var subject: String
    var notAfter: Date
    /// Where the key and the chain were found; `nil` where they are with the certificate, or there is none.
    var privateKey: String?
    var intermediates: String?
    var chain: String
    var credentialProcess: String

    var text: String {
        """
        profile      \(profile) in \(file)
        role         \(role)
        certificate  \(subject), valid until \(CivilTime(notAfter).extended)
        private key  \(privateKey.map { printable($0) } ?? "with the certificate")
        chain        \(chain)
        next         aws sts get-caller-identity \(Quoting.option("--profile", profile))
        """
    }
}
