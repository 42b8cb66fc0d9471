// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport
import TrustAnchors

/// `pki crl`
struct CRLCommand: ParsableCommand {
    /// The form of the list.
    enum Format: String, CaseIterable, ExpressibleByArgument {
        /// Text.
        case pem
        /// Bytes.
        case der
        /// The command that imports it into IAM Roles Anywhere.
        case awsCLI = "aws-cli"
    }

    static let configuration = CommandConfiguration(
        commandName: "crl",
        abstract: "Make a CA's next certificate revocation list.",
        discussion: """
            The list holds what the CA revoked and what is not over yet, has the next number, and stands in the directory as \
            ISSUER-crl.pem; it is printed as well. AWS keeps a copy: import it again after each revocation and before it \
            ends, and it never looks elsewhere.

            For example:

              pki crl > root-crl.pem
              pki crl --issuer issuing-1 --next-update 30d --format der > issuing-1.crl
              pki crl --format aws-cli --trust-anchor-arn arn:aws:rolesanywhere:… | sh

            AWS takes two lists for each trust anchor, of at most 300,000 bytes each.
            """
    )

    @Option(name: .long, help: ArgumentHelp("The CA's directory.", valueName: "directory"))
    var directory = CADirectoryArgument.standard

    @Option(name: .long, help: ArgumentHelp("The CA whose list it is. (default: root)", valueName: "name"))
    var issuer: String?

    @Option(
        name: .long,
        help: ArgumentHelp("When there will be another: 30d, 2w, 12h from now.", valueName: "span"),
        transform: Duration.argument
    )
    var nextUpdate = Duration.seconds(35 * 86400)

    @Option(name: .long, help: ArgumentHelp("The form: pem, der or aws-cli.", valueName: "form"))
    var format = Format.pem

    @Option(
        name: .customLong("trust-anchor-arn"),
        help: ArgumentHelp("With aws-cli: the trust anchor.", valueName: "arn")
    )
    var trustAnchorARN: String?

    @Option(
        name: .long,
        help: ArgumentHelp("With aws-cli: the list's name in AWS. (default: from the CA's)", valueName: "name")
    )
    var crlName: String?

    @Option(
        name: .long,
        help: ArgumentHelp("With aws-cli: the list is there already; give it this one.", valueName: "id")
    )
    var crlId: String?

    @Option(
        name: .long,
        help: ArgumentHelp("With aws-cli: the AWS region. (default: the AWS CLI's own)", valueName: "region")
    )
    var region: String?

    @OptionGroup(title: "The CA's key")
    var caKey: AuthorityKeyOptions

    func validate() throws {
        guard format == .awsCLI || trustAnchorARN == nil && crlName == nil && crlId == nil && region == nil else {
            throw ValidationError("--trust-anchor-arn, --crl-name, --crl-id and --region go with --format aws-cli")
        }
        guard format != .awsCLI || (trustAnchorARN == nil) != (crlId == nil) else {
            throw ValidationError(
                "--format aws-cli needs --trust-anchor-arn for a first list, or --crl-id for the next ones"
            )
        }
    }

    func run() throws {
        let authority = try caKey.open(directory, issuer: issuer)
        let now = Date.now
        let made = try authority.makeRevocationList(
            validFor: .until(now.addingTimeInterval(nextUpdate.timeInterval)),
            now: now
        )
        for notice in made.notices { Console.standard.warning(notice) }
        let text = made.list.pemEncoded
        let count = made.list.revokedCount
        if text.utf8.count > RevocationListImport.maximumLength {
            let message =
                "\(made.path) has \(text.utf8.count) bytes with \(count) entries, and AWS takes \(RevocationListImport.maximumLength)"
            let hint =
                "spread clients over several intermediate CAs, each with its list, and shorten their lives: pki issue-intermediate"
            guard format != .awsCLI else { throw InputError(message: message, hint: hint) }
            Console.standard.warning(message)
            Console.standard.hint(hint)
        }
        Console.standard.note(
            "list \(made.list.number?.decimal ?? "") of \(authority.name): \(count) revoked, next by "
                + "\(CivilTime(made.list.nextUpdate ?? now).extended), kept in \(made.path)"
        )
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
