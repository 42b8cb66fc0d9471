// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import AWSModel
import Authority
import Certificates
import FoundationEssentials
import RolesAnywhere
import SystemSupport
package import TrustAnchors

struct PrintSetupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "print-setup",
        _superCommandName: "pki",
        abstract: "Print the AWS set-up for the CA's clients: trust anchor, roles and profiles.",
        discussion: """
            Prints a CloudFormation template, a Terraform configuration, or a shell script for the AWS CLI. A role has the \
            policies of --managed-policy, and its profile limits sessions to the same. The texts come from templates/setup; \
            --template uses another.

            Each --role begins another role: conditions, policies and durations after it are its own, those before the \
            first --role are for all. One trust anchor serves them all, so that one CRL revokes for all.

            The script can be run again: it finds what exists by name and changes what differs. On the machine of the CA it \
            records the ARNs, for pki configure --client and pki crl --format aws-cli.

            For example:

              pki print-setup --format cloudformation --subject-cn 'web-*' > pki.yaml
              pki print-setup --format terraform --subject-ou production \\
                --managed-policy AmazonS3ReadOnlyAccess > pki.tf
              pki print-setup --format aws-cli --subject-cn web-1 | sh
              pki print-setup --format aws-cli --role web --subject-cn 'web-*' \\
                --role data --subject-cn 'db-*' | sh
              pki print-setup --format aws-cli --trust-anchor-arn "$ANCHOR" \\
                --role logs --subject-ou logs | sh
            """
    )

    @Option(name: .format, help: .value("format", "Output format; required."))
    var format: AccountSetup.Format?

    @OptionGroup var quiet: QuietOption

    @OptionGroup var directory: DirectoryOption

    @Option(
        help: .value("file", "Use these CA certificates instead of the directory's: one, or two during a rotation."),
        completion: .file())
    var caCertificate: [String] = []

    @Option(
        help: .value(
            "name", "The name of the trust anchor, and of the profile of a single role. (default: from the CA's CN)"))
    var name: String?

    @Option(
        name: [.customLong("role"), .customLong("role-name")],
        help: .value("name", "A role's name; repeatable, with its own conditions. (default: NAME-RolesAnywhere)"))
    var role: [String] = []

    @Option(
        help: .value("arn", "Use this trust anchor of the CA instead of one of the name."),
        completion: .known(.trustAnchorARNs))
    var trustAnchorArn: String?

    @Option(
        help: .value(
            "policy",
            """
            A managed policy of role and profile: an ARN, or the name of a policy of AWS; repeatable. (default: \
            ReadOnlyAccess and IAMAccessAnalyzerReadOnlyAccess)
            """)
    )
    var managedPolicy: [String] = []

    @Option(help: .value("seconds", "The longest session, \(AWSLimit.sessionDuration.words) seconds."))
    var sessionDuration = AWSLimit.defaultSessionDuration

    @Flag(help: "Let requests name their sessions.")
    var acceptRoleSessionName = false

    @Option(help: .value("region", "The AWS region. (default: the tool's)"))
    var region: String?

    @Option(
        help: .value(
            "name", "The partition of AWS's policies: aws, aws-cn, aws-us-gov. (default: the region's, else aws)"),
        completion: .list(Partition.all.map(\.name)))
    var partition: String?

    @Option(help: .value("file", "Use this template instead of the one in templates/setup."), completion: .file())
    var template: String?

    @OptionGroup var certificates: CertificateConditionOptions

    func run() throws {
        let format = try UsageError.require(format, "--format")
        let bundle = try AuthorityCertificates.bundle(caCertificate, orIn: directory.path, option: "--ca-certificate")
        bundle.warnings.forEach(Console.standard.warning)
        let roles = try Self.sections(CommandLine.arguments).map { try Self.parse($0).accountRole() }
        var setup = try AccountSetup(
            bundle: bundle, name: name, roles: roles, trustAnchorARN: trustAnchorArn, region: region,
            partition: partition)
        setup.recordingCommand = recordingCommand
        setup.warnings.forEach(Console.standard.warning)
        let own = try template.map { try SetupTemplate(reading: try InputFile.read($0), name: $0) }
        try Console.standard.write(exactly: try setup.text(format, template: own))
    }

    /// The role that the options of one section describe.
    private func accountRole() throws -> AccountSetup.Role {
        try AccountSetup.Role(
            name: role.last, conditions: try certificates.conditions(),
            allowsAnyCertificate: certificates.anyCertificate,
            managedPolicies: managedPolicy.isEmpty ? AccountSetup.defaultManagedPolicies : managedPolicy,
            durationSeconds: sessionDuration, acceptsRoleSessionName: acceptRoleSessionName)
    }

    /// The arguments of this command for each role: what is before the first `--role`, and what is from one to the next.
    ///
    /// - Parameter arguments: All arguments, the program's name first.
    static func sections(_ arguments: [String]) -> [[String]] {
        let words = arguments.drop { $0 != configuration.commandName }.dropFirst()
        func begins(_ word: String) -> Bool {
            ["--role", "--role-name"].contains { word == $0 || word.hasPrefix("\($0)=") }
        }
        let common = words.prefix { !begins($0) }
        var sections: [[String]] = []
        for word in words.dropFirst(common.count) {
            if begins(word) { sections.append(Array(common)) }
            sections[sections.count - 1].append(word)
        }
        return sections.isEmpty ? [Array(common)] : sections
    }

    /// The command that records ARNs, if there is a CA in the directory.
    private var recordingCommand: String? {
        let here = FileManager.default.currentDirectoryPath
        let path = absolutePath(directory.path, in: here)
        guard FileStatus(at: path)?.kind == .directory else { return nil }
        let program = Quoting.shell(ProgramPath.current)
        let words =
            Quoting.words("--directory", path)
            + caCertificate.flatMap { Quoting.words("--ca-certificate", absolutePath($0, in: here)) }
        return "[ ! -x \(program) ] || [ ! -d \(Quoting.shell(path)) ] || \(program) set-arns \(Quoting.command(words))"
    }
}

extension AccountSetup.Format: ExpressibleByArgument {}

struct SetARNsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set-arns",
        _superCommandName: "pki",
        abstract: "Record the ARNs of the CA's trust anchors, profiles and roles in AWS.",
        discussion: """
            Writes aws-arns.json in the CA's directory, which pki configure --client and pki crl --format aws-cli read. The \
            script of pki print-setup does it by itself on the machine of the CA. A role of the same name is replaced, with \
            its trust anchor if no other role has that. Nothing is asked of AWS.

            For example:

              pki set-arns --trust-anchor-arn $anchor --profile-arn $profile \\
                --role-arn $role
              pki set-arns --trust-anchor-arn $anchor --ca-certificate issuing-1-cert.pem
              pki set-arns --trust-anchor-arn $anchor --remove
            """
    )

    @OptionGroup var directory: DirectoryOption

    @Option(help: .value("arn", "The trust anchor's ARN; required."), completion: .known(.trustAnchorARNs))
    var trustAnchorArn: String?

    @Option(help: .value("arn", "The ARN of the profile that allows the role."), completion: .known(.profileARNs))
    var profileArn: String?

    @Option(help: .value("arn", "The role's ARN."), completion: .known(.roleARNs))
    var roleArn: String?

    @Option(
        help: .value("name", "What pki configure --role calls the role. (default: its name in AWS)"),
        completion: .known(.roles))
    var role: String?

    @Option(
        help: .value("file", "The CA certificates in the trust anchor. (default: those of the directory's root)"),
        completion: .file())
    var caCertificate: [String] = []

    @Flag(help: "Remove the trust anchor and its roles from the record.")
    var remove = false

    @OptionGroup var format: FormatOption

    func validate() throws {
        guard (profileArn == nil) == (roleArn == nil) else {
            throw ValidationError("--profile-arn and --role-arn go together")
        }
        guard role == nil || roleArn != nil else { throw ValidationError("--role requires --role-arn") }
        guard !remove || roleArn == nil else { throw ValidationError("--remove takes the trust anchor alone") }
    }

    func run() throws {
        guard let trustAnchorArn else { throw UsageError(message: "--trust-anchor-arn is missing") }
        if remove { return try removeAnchor(trustAnchorArn) }
        var role: RecordedResources.Role?
        if let profileArn, let roleArn {
            // Kinds, partitions and regions are checked as for a session.
            let request = try SessionRequest(
                trustAnchorARN: trustAnchorArn, profileARN: profileArn, roleARN: roleArn)
            let name = self.role ?? FilePath.name(of: request.role.resource)
            guard RecordedResources.isName(name) else {
                throw UsageError(
                    message: "\"\(printable(name, limit: 100))\" cannot be a role's name",
                    hint: "use 1 to 64 letters, digits and _+=,.@-")
            }
            role = RecordedResources.Role(
                name: name, roleArn: request.role, profileArn: request.profile, trustAnchorArn: request.trustAnchor)
        }
        let anchor = try AmazonResourceName(parsing: trustAnchorArn)
        try anchor.require(.trustAnchor)
        let bundle = try AuthorityCertificates.bundle(caCertificate, orIn: directory.path, option: "--ca-certificate")
        var recorded = RecordedResources()
        try RecordedResources.change(in: directory.path) { resources in
            if let role { resources.record(role) }
            resources.record(anchor, authorities: bundle.certificates)
            recorded = resources
        }
        try Console.standard.print(RecordedReport(resources: recorded), as: format.value)
    }

    private func removeAnchor(_ text: String) throws {
        let anchor = try AmazonResourceName(parsing: text)
        var recorded = RecordedResources()
        try RecordedResources.change(in: directory.path) { resources in
            if !resources.remove(anchor) { Console.standard.note("not recorded; nothing changed") }
            recorded = resources
        }
        try Console.standard.print(RecordedReport(resources: recorded), as: format.value)
    }
}

private struct RecordedReport: Report {
    let resources: RecordedResources

    func encode(to encoder: any Encoder) throws { try resources.encode(to: encoder) }

    var text: String {
        let anchors = resources.trustAnchors.map { ("trust anchor", "\($0.arn)") as (String, String?) }
        let roles = resources.roles.map { ("role", "\(printable($0.name)): \($0.roleArn)") as (String, String?) }
        return anchors.isEmpty ? "nothing is recorded" : labelledLines(anchors + roles)
    }
}
