// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
package import TrustAnchors

struct PrintBundleCommand: ParsableCommand {
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case pem
        /// The `source` of CreateTrustAnchor.
        case json
        case awsCLI = "aws-cli"
    }

    static let configuration = CommandConfiguration(
        commandName: "print-bundle",
        abstract: "Print the CA certificate for a trust anchor in AWS.",
        discussion: """
            Paste the text into "External certificate bundle" when you create a trust anchor in the IAM Roles Anywhere \
            console, or run the command that --format aws-cli prints. What AWS would refuse is refused here, with the rule.

            For example:

              pki print-bundle
              pki print-bundle --format aws-cli --region eu-central-1
              pki print-bundle --certificate old-root.pem --certificate new-root.pem
            """
    )

    @OptionGroup var directory: DirectoryOption

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Print these CA certificates instead of the directory's: one, or two during a rotation.", valueName: "file")
    )
    var certificate: [String] = []

    @Option(help: ArgumentHelp("Output format: pem, json or aws-cli.", valueName: "format"))
    var format = Format.pem

    @Option(help: ArgumentHelp("With aws-cli: the trust anchor's name. (default: from the CA's CN)", valueName: "name"))
    var trustAnchorName: String?

    @Option(help: ArgumentHelp("With aws-cli: the AWS region. (default: the AWS CLI's)", valueName: "region"))
    var region: String?

    func run() throws {
        let bundle = try TrustAnchorBundle(
            reading: try AuthorityCertificates.files(certificate, orIn: directory.path, option: "--certificate"),
            at: .now)
        bundle.warnings.forEach(Console.standard.warning)
        switch format {
        case .pem: try Console.standard.write(bundle.pem)
        case .json: try Console.standard.write(bundle.sourceJSON + "\n")
        case .awsCLI:
            try Console.standard.write(exactly: try bundle.awsCLICommand(name: trustAnchorName, region: region) + "\n")
        }
    }
}

struct PrintSetupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "print-setup",
        abstract: "Print the AWS set-up for the CA's clients: trust anchor, role and profile.",
        discussion: """
            Prints a CloudFormation template, a Terraform configuration, or a shell script for the AWS CLI. The role has the \
            policies of --managed-policy, and the profile limits sessions to the same. The texts come from templates/setup; \
            --template uses another.

            For example:

              pki print-setup --format cloudformation --subject-cn 'web-*' > pki.yaml
              pki print-setup --format terraform --subject-ou production \\
                --managed-policy AmazonS3ReadOnlyAccess > pki.tf
              pki print-setup --format aws-cli --subject-cn web-1 | sh
            """
    )

    @Option(help: ArgumentHelp("Output format: cloudformation, terraform or aws-cli.", valueName: "format"))
    var format: AccountSetup.Format

    @OptionGroup var directory: DirectoryOption

    @Option(
        help: ArgumentHelp(
            "Use these CA certificates instead of the directory's: one, or two during a rotation.", valueName: "file"))
    var caCertificate: [String] = []

    @Option(help: ArgumentHelp("The name of trust anchor and profile. (default: from the CA's CN)", valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp("The role's name. (default: NAME-RolesAnywhere)", valueName: "name"))
    var roleName: String?

    @Option(
        help: ArgumentHelp(
            """
            A managed policy of role and profile: an ARN, or the name of a policy of AWS; repeatable. (default: \
            ReadOnlyAccess and IAMAccessAnalyzerReadOnlyAccess)
            """,
            valueName: "policy"
        )
    )
    var managedPolicy: [String] = []

    @Option(help: ArgumentHelp("The longest session, 900 to 43200 seconds.", valueName: "seconds"))
    var sessionDuration = 3_600

    @Flag(help: "Let requests name their sessions.")
    var acceptRoleSessionName = false

    @Option(help: ArgumentHelp("The AWS region. (default: the tool's)", valueName: "region"))
    var region: String?

    @Option(
        help: ArgumentHelp(
            "The partition of AWS's policies: aws, aws-cn, aws-us-gov. (default: the region's, else aws)",
            valueName: "name"))
    var partition: String?

    @Option(help: ArgumentHelp("Use this template instead of the one in templates/setup.", valueName: "file"))
    var template: String?

    @OptionGroup var certificates: CertificateConditionOptions

    func run() throws {
        let bundle = try TrustAnchorBundle(
            reading: try AuthorityCertificates.files(caCertificate, orIn: directory.path, option: "--ca-certificate"),
            at: .now)
        bundle.warnings.forEach(Console.standard.warning)
        let setup = try AccountSetup(
            bundle: bundle, name: name, roleName: roleName, conditions: try certificates.conditions(),
            allowsAnyCertificate: certificates.anyCertificate,
            managedPolicies: managedPolicy.isEmpty ? AccountSetup.defaultManagedPolicies : managedPolicy,
            durationSeconds: sessionDuration, acceptsRoleSessionName: acceptRoleSessionName, region: region,
            partition: partition)
        setup.warnings.forEach(Console.standard.warning)
        let own = try template.map { try SetupTemplate(reading: try InputFile.read($0), name: $0) }
        try Console.standard.write(exactly: try setup.text(format, template: own))
    }
}

extension AccountSetup.Format: ExpressibleByArgument {}

struct PrintTrustPolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "print-trust-policy",
        abstract: "Print the trust policy of a role for IAM Roles Anywhere.",
        discussion: """
            The policy names the trust anchor, as otherwise certificates of any trust anchor in the account could assume the \
            role, and the certificates that may: AWS makes session tags from a certificate, and the policy has conditions on \
            them. Conditions that AWS would drop, or that could never match, are refused.

            For example:

              pki print-trust-policy --trust-anchor-arn "$ANCHOR" \\
                --subject-cn web-1 > policy.json
              aws iam create-role --role-name web \\
                --assume-role-policy-document file://policy.json

              pki print-trust-policy --trust-anchor-arn "$ANCHOR" \\
                --subject-cn 'web-*' --subject-ou production
              pki print-trust-policy --trust-anchor-arn "$ANCHOR" \\
                --certificate web-1-cert.pem
            """
    )

    @Option(help: ArgumentHelp("The ARN of the trust anchor; repeatable, any may match.", valueName: "arn"))
    var trustAnchorArn: [String] = []

    @Option(help: ArgumentHelp("Allow any trust anchor of this account instead.", valueName: "id"))
    var sourceAccount: String?

    @OptionGroup var certificates: CertificateConditionOptions

    func validate() throws {
        guard trustAnchorArn.isEmpty != (sourceAccount == nil) else {
            throw ValidationError("give either --trust-anchor-arn or --source-account")
        }
    }

    func run() throws {
        let policy = try TrustPolicy(
            source: sourceAccount.map { .account($0) } ?? .trustAnchors(trustAnchorArn),
            conditions: try certificates.conditions(),
            allowsAnyCertificate: certificates.anyCertificate
        )
        policy.warnings.forEach(Console.standard.warning)
        try Console.standard.write(policy.jsonText + "\n")
    }
}

struct PrintTemplateCommand: ParsableCommand {
    enum Name: String, CaseIterable, ExpressibleByArgument {
        case root, intermediate, client, server, peer, spiffe

        var template: CertificateTemplate {
            get throws {
                switch self {
                case .root: try BuiltInTemplate.root.template
                case .intermediate: try BuiltInTemplate.intermediate.template
                case .client: try BuiltInTemplate.client.template
                case .server: try BuiltInTemplate.server.template
                case .peer: try BuiltInTemplate.peer.template
                case .spiffe: try BuiltInTemplate.spiffe.template
                }
            }
        }
    }

    static let configuration = CommandConfiguration(
        commandName: "print-template",
        abstract: "Print a built-in template, to customise a copy.",
        discussion: """
            A template defines the contents of a certificate, in OpenSSL's format: see config(5) and x509v3_config(5). Change \
            a copy and use it with --template.

            For example:

              pki print-template client > mine.conf
              pki issue-client --name web-1 --template mine.conf
            """
    )

    @Argument(help: ArgumentHelp("root, intermediate, client, server, peer or spiffe.", valueName: "template"))
    var name: Name

    func run() throws { try Console.standard.write(try name.template.text) }
}
