// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import TrustAnchors

/// `pki print-bundle`
struct PrintBundleCommand: ParsableCommand {
    /// The form of the bundle.
    enum Format: String, CaseIterable, ExpressibleByArgument {
        /// The text to paste into the console.
        case pem
        /// The `source` of CreateTrustAnchor.
        case json
        /// The command that makes the trust anchor.
        case awsCLI = "aws-cli"
    }

    static let configuration = CommandConfiguration(
        commandName: "print-bundle",
        abstract: "Print the CA certificate that a trust anchor in AWS is made from.",
        discussion: """
            Paste the text into "External certificate bundle" when you create a trust anchor in the console of IAM Roles \
            Anywhere, or let --format aws-cli write the command. What AWS would refuse is refused here, with the rule.

            For example:

              pki print-bundle
              pki print-bundle --format aws-cli --region eu-central-1
              pki print-bundle --certificate old-root.pem --certificate new-root.pem
            """
    )

    @Option(name: .long, help: ArgumentHelp("The CA's directory.", valueName: "directory"))
    var directory = CADirectoryArgument.standard

    @Option(
        name: .long,
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "CA certificates to print instead: one, or two while one replaces the other.",
            valueName: "file"
        )
    )
    var certificate: [String] = []

    @Option(name: .long, help: ArgumentHelp("The form: pem, json or aws-cli.", valueName: "form"))
    var format = Format.pem

    @Option(
        name: .long,
        help: ArgumentHelp("With aws-cli: the trust anchor's name. (default: from the CA's CN)", valueName: "name")
    )
    var trustAnchorName: String?

    @Option(
        name: .long,
        help: ArgumentHelp("With aws-cli: the AWS region. (default: the AWS CLI's own)", valueName: "region")
    )
    var region: String?

    func run() throws {
        let bundle = try TrustAnchorBundle(
            reading: try AuthorityCertificates.files(certificate, orIn: directory, option: "--certificate"),
            at: .now
        )
        for warning in bundle.warnings { Console.standard.warning(warning) }
        switch format {
        case .pem: try Console.standard.write(bundle.pem)
        case .json: try Console.standard.write(bundle.sourceJSON + "\n")
        case .awsCLI:
            try Console.standard.write(exactly: try bundle.awsCLICommand(name: trustAnchorName, region: region) + "\n")
        }
    }
}
