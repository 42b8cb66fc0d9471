// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import AWSModel
import Certificates
import FoundationEssentials
import SystemSupport
import TrustAnchors

struct CRLCommand: ParsableCommand {
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case pem, der
        /// The command that imports the CRL into IAM Roles Anywhere.
        case awsCLI = "aws-cli"
    }

    static let configuration = CommandConfiguration(
        commandName: "crl",
        abstract: "Create a CA's next certificate revocation list (CRL).",
        discussion: """
            The CRL lists what the CA has revoked and what has not expired yet. It has the next number, is kept as \
            ISSUER-crl.pem in the directory, and is printed. AWS uses the copy that you import: import the CRL again after \
            each revocation, and before the next update is due.

            For example:

              pki crl > root-crl.pem
              pki crl --issuer issuing-1 --next-update 30d --format der > issuing-1.crl
              pki crl --format aws-cli --trust-anchor-arn "$ANCHOR" | sh

            AWS takes two CRLs for each trust anchor, of at most 300,000 bytes each.
            """
    )

    @OptionGroup var directory: DirectoryOption

    @Option(help: ArgumentHelp("The CA whose CRL it is. (default: root)", valueName: "name"))
    var issuer: String?

    @Option(
        help: ArgumentHelp("The time until the next update is due: 30d, 2w, 12h.", valueName: "time"),
        transform: Duration.argument)
    var nextUpdate = Duration.seconds(35 * 86400)

    @Option(help: ArgumentHelp("Output format: pem, der or aws-cli.", valueName: "format"))
    var format = Format.pem

    @Option(
        name: .customLong("trust-anchor-arn"),
        help: ArgumentHelp("With aws-cli: import a new CRL for this trust anchor.", valueName: "arn"))
    var trustAnchorARN: String?

    @Option(help: ArgumentHelp("With aws-cli: the CRL's name in AWS. (default: from the CA's)", valueName: "name"))
    var crlName: String?

    @Option(help: ArgumentHelp("With aws-cli: replace this CRL in AWS.", valueName: "id"))
    var crlId: String?

    @Option(help: ArgumentHelp("With aws-cli: the AWS region. (default: the AWS CLI's)", valueName: "region"))
    var region: String?

    @OptionGroup(title: "The CA's key")
    var caKey: AuthorityKeyOptions

    func validate() throws {
        guard format == .awsCLI || trustAnchorARN == nil && crlName == nil && crlId == nil && region == nil else {
            throw ValidationError("--trust-anchor-arn, --crl-name, --crl-id and --region require --format aws-cli")
        }
        guard format != .awsCLI || (trustAnchorARN == nil) != (crlId == nil) else {
            throw ValidationError("--format aws-cli needs --trust-anchor-arn for a new CRL, or --crl-id to replace one")
        }
    }

    func run() throws {
        let authority = try caKey.open(directory.path, issuer: issuer)
        let now = Date.now
        let made = try authority.makeRevocationList(
            validFor: .until(now.addingTimeInterval(nextUpdate.timeInterval)), now: now)
        made.notices.forEach(Console.standard.warning)
        let text = made.list.pemEncoded
        let count = made.list.revokedCount
        if text.utf8.count > AWSLimit.crlLength.maximum {
            let message =
                "\(made.path) has \(text.utf8.count) bytes (\(count) entries); AWS takes at most \(AWSLimit.crlLength.maximum)"
            let hint =
                "spread the clients over several intermediate CAs, each with its own CRL: pki issue-intermediate"
            guard format != .awsCLI else { throw InputError(message: message, hint: hint) }
            Console.standard.warning(message)
            Console.standard.hint(hint)
        }
        Console.standard.note(
            "CRL \(made.list.number?.decimal ?? "") of \(authority.name): \(count) revoked, next update by "
                + "\(CivilTime(made.list.nextUpdate ?? now).extended), kept in \(made.path)")
        switch format {
        case .pem: try Console.standard.write(text)
        case .der: try Console.standard.write(made.list.derEncoded)
        case .awsCLI:
            let name = crlName ?? "\(authority.name)-crl"
            let place: RevocationListImport.Place =
                trustAnchorARN.map { .trustAnchor(arn: $0, name: name) } ?? .list(identifier: crlId ?? "")
            let path = absolutePath(made.path, in: FileManager.default.currentDirectoryPath)
            let command = try RevocationListImport(path: path, place: place, region: region).awsCLICommand
            try Console.standard.write(exactly: command + "\n")
        }
    }
}
