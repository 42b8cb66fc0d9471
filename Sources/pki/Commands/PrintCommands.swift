// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import AWSModel
import Authority
import Certificates
import FoundationEssentials
import SystemSupport
import TrustAnchors

struct PrintBundleCommand: ParsableCommand {
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case pem
        /// The `source` of CreateTrustAnchor.
        case json
        case awsCLI = "aws-cli"
    }

    static let configuration = CommandConfiguration(
        commandName: "print-bundle",
        _superCommandName: "pki",
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
        help: .value("file", "Print these CA certificates instead of the directory's: one, or two during a rotation."),
        completion: .file())
    var certificate: [String] = []

    @Option(name: .format, help: .format)
    var format = Format.pem

    @OptionGroup var quiet: QuietOption

    @Option(help: .value("name", "With aws-cli: the trust anchor's name. (default: from the CA's CN)"))
    var trustAnchorName: String?

    @Option(help: .value("region", "With aws-cli: the AWS region. (default: the AWS CLI's)"))
    var region: String?

    func run() throws {
        let bundle = try AuthorityCertificates.bundle(certificate, orIn: directory.path, option: "--certificate")
        bundle.warnings.forEach(Console.standard.warning)
        switch format {
        case .pem: try Console.standard.write(bundle.pem)
        case .json: try Console.standard.write(bundle.sourceJSON + "\n")
        case .awsCLI:
            try Console.standard.write(exactly: try bundle.awsCLICommand(name: trustAnchorName, region: region) + "\n")
        }
    }
}

struct PrintTrustPolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "print-trust-policy",
        _superCommandName: "pki",
        abstract: "Print the trust policy of a role for IAM Roles Anywhere.",
        discussion: """
            The policy allows the given trust anchors; otherwise, certificates of any trust anchor in the account could assume the \
            role. Its conditions are on the session tags that AWS makes from a certificate. Conditions that AWS would drop, \
            or that could never match, are refused.

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

    @Option(
        help: .value("arn", "The ARN of the trust anchor; repeatable, any may match."),
        completion: .known(.trustAnchorARNs))
    var trustAnchorArn: [String] = []

    @Option(help: .value("id", "Allow any trust anchor of this account instead."))
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
    }

    static let configuration = CommandConfiguration(
        commandName: "print-template",
        _superCommandName: "pki",
        abstract: "Print a built-in template, to customise a copy.",
        discussion: """
            A template defines the contents of a certificate, in OpenSSL's format: see config(5) and x509v3_config(5). Change \
            a copy and use it with --template.

            For example:

              pki print-template client > mine.conf
              pki issue-client --name web-1 --template mine.conf
            """
    )

    @Argument(help: .value("template", "root, intermediate, client, server, peer or spiffe."))
    var name: Name

    func run() throws {
        let template = BuiltInTemplate(rawValue: name.rawValue) ?? .client
        try Console.standard.write(try template.template.text)
    }
}

/// The conditions on a certificate for assuming the role.
struct CertificateConditionOptions: ParsableArguments {
    @Option(help: .value("name", "Require this CN; repeatable for alternatives. * and ? are wildcards."))
    var subjectCn: [String] = []

    @Option(help: .value("name", "Require this OU; repeatable for alternatives. * and ? are wildcards."))
    var subjectOu: [String] = []

    @Option(help: .value("name", "Require this O; repeatable for alternatives. * and ? are wildcards."))
    var subjectO: [String] = []

    @Option(help: .value("name", "Require this first DNS name; repeatable for alternatives. * and ? are wildcards."))
    var sanDns: [String] = []

    @Option(help: .value("uri", "Require this first URI; repeatable for alternatives. * and ? are wildcards."))
    var sanUri: [String] = []

    @Option(help: .value("name", "Require this CN of the issuer; repeatable for alternatives. * and ? are wildcards."))
    var issuerCn: [String] = []

    @Option(
        help: .value("file", "Require the name of this certificate: its CN, else its first DNS name or URI."),
        completion: .file())
    var certificate: [String] = []

    @Flag(help: "Allow every certificate of the CA to assume the role.")
    var anyCertificate = false

    func validate() throws {
        guard
            !anyCertificate
                || [subjectCn, subjectOu, subjectO, sanDns, sanUri, issuerCn, certificate].allSatisfy(\.isEmpty)
        else { throw ValidationError("--any-certificate cannot be used with a condition on the certificate") }
    }

    /// One condition for each part of the certificate that was named.
    ///
    /// - Throws: `TrustAnchorError` naming the value that AWS would drop, `InputError` naming a file.
    func conditions() throws -> [CertificateCondition] {
        var values: [(field: CertificateCondition.Field, values: [String])] = [
            (.subjectCommonName, subjectCn), (.subjectOrganizationalUnit, subjectOu), (.subjectOrganization, subjectO),
            (.dnsName, sanDns), (.uniformResourceIdentifier, sanUri), (.issuerCommonName, issuerCn),
        ]
        var named: [CertificateCondition.Field] = []
        for path in certificate {
            let condition = try CertificateCondition(naming: Self.leaf(path))
            named.append(condition.field)
            for index in values.indices where values[index].field == condition.field {
                values[index].values += condition.values
            }
        }
        guard named.allSatisfy({ $0 == named.first }) else {
            throw InputError(
                message: "the certificates have names of different types, which one condition cannot match",
                hint: "print a policy for each, or issue certificates that all have a CN")
        }
        return try values.filter { !$0.values.isEmpty }.map { try CertificateCondition($0.field, $0.values) }
    }

    private static func leaf(_ path: String) throws -> Certificate {
        do {
            guard let leaf = try Certificate.certificates(in: InputFile.read(path)).first else {
                throw InputError(message: "\(path) contains no certificate", hint: "name a client certificate in PEM")
            }
            guard !leaf.isCA else {
                throw InputError(
                    message: "\(path): \(leaf.subject) is a CA, not a client",
                    hint: "to allow all clients of the CA, use --any-certificate")
            }
            return leaf
        } catch let error as CertificateError {
            throw InputError(message: "\(path): \(error.message)", hint: error.hint)
        }
    }
}
