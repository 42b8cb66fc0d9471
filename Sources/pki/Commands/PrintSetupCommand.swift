// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import FoundationEssentials
package import TrustAnchors

/// `pki print-setup`
struct PrintSetupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "print-setup",
        abstract: "Print all that AWS must be told for the CA's clients: trust anchor, role and profile.",
        discussion: """
            Writes a template of CloudFormation, a configuration of Terraform, or a shell script that calls the AWS CLI. The \
            role has the policies that --managed-policy names, and the profile limits sessions to the same. The texts come \
            from templates/setup; --template takes another.

            For example:

              pki print-setup --format cloudformation --subject-cn 'web-*' > pki.yaml
              pki print-setup --format terraform --subject-ou production --managed-policy AmazonS3ReadOnlyAccess > pki.tf
              pki print-setup --format aws-cli --subject-cn web-1 | sh
            """
    )

    @Option(name: .long, help: ArgumentHelp("cloudformation, terraform or aws-cli.", valueName: "form"))
    var format: AccountSetup.Format

    @Option(name: .long, help: ArgumentHelp("The CA's directory.", valueName: "directory"))
    var directory = CADirectoryArgument.standard

    @Option(
        name: .long,
        help: ArgumentHelp(
            "CA certificates instead of the directory's: one, or two while one replaces the other.",
            valueName: "file"
        )
    )
    var caCertificate: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp("The name of trust anchor and profile. (default: from the CA's CN)", valueName: "name")
    )
    var name: String?

    @Option(name: .long, help: ArgumentHelp("The role's name. (default: NAME-RolesAnywhere)", valueName: "name"))
    var roleName: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            A managed policy of role and profile, by its ARN or, of AWS's own, its name; may be given again. (default: \
            ReadOnlyAccess and IAMAccessAnalyzerReadOnlyAccess)
            """,
            valueName: "policy"
        )
    )
    var managedPolicy: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp("How long sessions last at most, 900 to 43200 seconds.", valueName: "seconds")
    )
    var sessionDuration = 3_600

    @Flag(name: .long, help: "Let requests name their sessions.")
    var acceptRoleSessionName = false

    @Option(name: .long, help: ArgumentHelp("The AWS region. (default: the tool's own)", valueName: "region"))
    var region: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Where AWS's own policies are: aws, aws-cn, aws-us-gov. (default: the region's, else aws)",
            valueName: "name"
        )
    )
    var partition: String?

    @Option(name: .long, help: ArgumentHelp("A template in place of the one in templates/setup.", valueName: "file"))
    var template: String?

    @OptionGroup var certificates: CertificateConditionOptions

    func run() throws {
        let bundle = try TrustAnchorBundle(
            reading: try AuthorityCertificates.files(caCertificate, orIn: directory, option: "--ca-certificate"),
            at: .now
        )
        for warning in bundle.warnings { Console.standard.warning(warning) }
        let setup = try AccountSetup(
            bundle: bundle,
            name: name,
            roleName: roleName,
            conditions: try certificates.conditions(),
            allowsAnyCertificate: certificates.anyCertificate,
            managedPolicies: managedPolicy.isEmpty ? AccountSetup.defaultManagedPolicies : managedPolicy,
            durationSeconds: sessionDuration,
            acceptsRoleSessionName: acceptRoleSessionName,
            region: region,
            partition: partition
        )
        for warning in setup.warnings { Console.standard.warning(warning) }
        let own = try template.map { try SetupTemplate(reading: try InputFile.read($0), name: $0) }
        try Console.standard.write(exactly: try setup.text(format, template: own))
    }
}

extension AccountSetup.Format: ExpressibleByArgument {}
