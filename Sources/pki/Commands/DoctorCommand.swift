// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials

/// `pki doctor`
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Look for what is wrong with the CA's directory, and with the road to AWS.",
        discussion: """
            Alone it looks at the CA's directory and changes nothing. With --repair it finishes what a killed process has \
            left, corrects permissions and writes missing certificates and chains again; what is in the way goes to \
            the archive.

            With a profile, or the options of pki creds, it looks at the road to AWS instead, and with --directory at both: \
            settings and ARNs, certificate, key and chain, the rules of IAM Roles Anywhere, a signature that is made and \
            not sent, what in the environment overrides settings, the endpoint's name and address, and this machine's clock \
            against the service's. No session is asked for without --session.

            For example:

              pki doctor
              pki doctor --repair
              pki doctor --profile web
              pki doctor --profile web --session
              pki doctor --format json | jq '.checks[] | select(.verdict == "failed")'

            Exit status: 0 all is well, warnings allowed; 1 something does not work; 2 nothing could be looked at.
            """
    )

    @Option(
        name: .long,
        help: ArgumentHelp("The CA's directory. (default: credential-process-data)", valueName: "directory")
    )
    var directory: String?

    @Flag(name: .long, help: "Mend what can be mended without asking.")
    var repair = false

    @Option(name: .long, help: ArgumentHelp("The form of the answer: text or json.", valueName: "form"))
    var format = ReportFormat.text

    @Flag(name: .long, help: "Ask the service for a session, as pki creds does, and throw it away.")
    var session = false

    @Flag(name: .long, help: "Leave out whatever needs the network.")
    var offline = false

    @OptionGroup var profile: ProfileOption
    @OptionGroup var access: AccessOptions

    func validate() throws {
        guard !session || !offline else { throw ValidationError("--session needs the network, and --offline has none") }
        guard !repair || directory != nil || !isAboutAccess else {
            throw ValidationError("--repair mends the CA's directory: name it with --directory")
        }
    }

    /// Whether anything was said about the road to AWS.
    private var isAboutAccess: Bool { profile.profile != nil || access.settings.isGiven || session }

    func run() async throws {
        var diagnosis = Diagnosis()
        if directory != nil || !isAboutAccess {
            diagnosis = try CADirectoryDiagnosis.run(directory ?? CADirectoryArgument.standard, repairs: repair)
        }
        if isAboutAccess { diagnosis.checks += accessChecks.run() }
        try Console.standard.print(diagnosis, as: format)
        if diagnosis.hasFailed { throw ExitCode(ExitStatus.notNeeded) }
    }

    /// The checks of the road to AWS.
    private var accessChecks: CheckList {
        let settings = access.settings
        let environment = ProcessInfo.processInfo.environment
        let used = profile.profile ?? (settings.identity.namesCertificate ? nil : AWSFiles.standardProfile(environment))
        let checks = AccessChecks(
            settings,
            profile: profile.profile,
            directory: directory,
            environment: environment,
            now: .now,
            console: .standard
        )
        var list = CheckList()
        checks.add(to: &list)
        EnvironmentChecks(environment: environment, profile: used).add(to: &list)
        ServiceChecks(checks, environment: environment, isOffline: offline, asksForSession: session).add(to: &list)
        return list
    }
}

extension AccessSettings {
    /// Whether anything was said of certificate, ARNs or the endpoint.
    var isGiven: Bool {
        identity.namesCertificate || identity.privateKey != nil || identity.intermediates != nil
            || session.trustAnchorArn != nil || session.profileArn != nil || session.roleArn != nil
            || network.endpoint != nil
    }
}
