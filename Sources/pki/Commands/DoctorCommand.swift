// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        _superCommandName: "pki",
        abstract: "Check the CA's directory and access to AWS.",
        discussion: """
            Without options it checks the CA's directory and changes nothing. --repair completes interrupted changes, \
            corrects permissions and restores missing certificates and chains; files that they would replace are archived.

            With an inventory on PostgreSQL it checks the database too: the login's rights, triggers, replication, clock.

            With a profile or the options of pki creds it checks access to AWS instead, and with --directory both: \
            settings and ARNs, certificate, key and chain, the rules of IAM Roles Anywhere, a test signature, environment \
            variables that override settings, the endpoint's name and address, and the clock against the service's. A \
            session is requested only with --session.

            For example:

              pki doctor
              pki doctor --repair
              pki doctor --profile web
              pki doctor --profile web --session
              pki doctor --format json | jq '.checks[] | select(.verdict == "failed")'

            Exit status: 0 no failures, warnings allowed; 1 a check failed; 2 nothing could be checked.
            """
    )

    @Option(
        help: .value("path", "The CA's directory. (default: PKI_DIRECTORY, else credential-process-data)"),
        completion: .directory)
    var directory: String?

    @Option(
        help: .value(
            "url",
            "The inventory on PostgreSQL: postgresql://HOST/DATABASE. (default: PKI_INVENTORY, else in the directory)"))
    var inventory: String?

    @Flag(help: "Repair the CA's directory where that is safe.")
    var repair = false

    @OptionGroup var format: FormatOption

    @Flag(help: "Request a session as pki creds does, and discard it.")
    var session = false

    @Flag(help: "Skip checks that need the network.")
    var offline = false

    @OptionGroup var profile: ProfileOption
    @OptionGroup var access: AccessOptions

    func validate() throws {
        guard !session || !offline else { throw ValidationError("--session cannot be used with --offline") }
        guard !repair || directory != nil || !isAboutAccess else {
            throw ValidationError("--repair needs the CA's directory: --directory")
        }
        guard !repair || address == nil else {
            throw ValidationError(
                "--repair does not work on PostgreSQL: pki inventory init restores triggers and roles")
        }
    }

    /// Whether the access to AWS is checked.
    private var isAboutAccess: Bool { profile.profile != nil || access.isGiven || session }

    private var address: String? {
        InventoryOptions.address(inventory, for: directory ?? DirectoryOption.standard)
    }

    func run() async throws {
        var diagnosis = Diagnosis()
        if directory != nil || inventory != nil || !isAboutAccess {
            diagnosis = try CADirectoryDiagnosis.run(
                directory ?? DirectoryOption.standard, inventory: address, repairs: repair)
        }
        if isAboutAccess { diagnosis.checks += accessChecks() }
        let software = "\(Version.line) with \(OpenSSLVersion.text)"
        diagnosis.checks.insert(Check(name: "software", verdict: .ok, found: software), at: 0)
        try Console.standard.print(diagnosis, as: format.value)
        if diagnosis.hasFailed { throw ExitCode(ExitStatus.checkFailed) }
    }

    private func accessChecks() -> [Check] {
        let environment = ProcessInfo.processInfo.environment
        let completed = try? Access.completed(access, profile: profile.profile, environment: environment)
        let used = completed.map(\.profile) ?? profile.profile ?? AWSFiles.standardProfile(environment)
        var list = CheckList()
        let checked = AccessChecks(
            profile: profile.profile, directory: directory, environment: environment, now: .now, console: .standard
        ).run(access, into: &list)
        EnvironmentChecks(environment: environment, profile: used, aws: checked.aws).run(into: &list)
        ServiceChecks(
            access: checked, environment: environment, isOffline: offline, requestsSession: session
        ).run(into: &list)
        return list.checks
    }
}

extension AccessOptions {
    /// Whether certificate, ARNs or the endpoint are given.
    var isGiven: Bool {
        identity.namesCertificate || identity.privateKey != nil || identity.intermediates != nil
            || session.trustAnchorArn != nil || session.profileArn != nil || session.roleArn != nil
            || network.endpoint != nil
    }
}
