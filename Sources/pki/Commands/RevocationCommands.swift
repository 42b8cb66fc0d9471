// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import Authority
import AWSModel
package import Certificates
import FoundationEssentials
import SystemSupport
import TrustAnchors

extension RevocationReason: ExpressibleByArgument {
    /// Reads a name of RFC 5280 in any case, also with hyphens.
    package init?(argument: String) {
        let plain = argument.lowercased().filter { $0 != "-" && $0 != "_" }
        guard let reason = Self.allCases.first(where: { $0.name.lowercased() == plain }) else { return nil }
        self = reason
    }

    package static var allValueStrings: [String] {
        allCases.filter { $0 != .removeFromCRL }.map(\.name)
    }
}

struct RevokeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        _superCommandName: "pki",
        abstract: "Revoke certificates, permanently or on hold.",
        discussion: """
            The inventory is updated at once; AWS needs a new CRL: pki crl. Revoking needs no CA key; the CRL needs the key of \
            the issuer. With --reason keyCompromise, all certificates of the same key are revoked.

            For example:

              pki revoke web-1 --reason keyCompromise
              pki revoke 2412db7cfef4c12df53e513856dad77609a82f76 --reason superseded
              pki revoke web-1 --hold
              pki revoke web-1 --release

            The reasons are those of RFC 5280: unspecified, keyCompromise, cACompromise, affiliationChanged, superseded, \
            cessationOfOperation, certificateHold, privilegeWithdrawn, aACompromise.

            Exit status: 0 done or nothing to change, 2 refused.
            """
    )

    @Argument(
        help: .value("name", "Names, serial numbers or SHA-256 fingerprints."), completion: .known(.certificates))
    var references: [String]

    @OptionGroup var directory: InventoryOptions

    @Option(help: .value("reason", "The reason (RFC 5280). (default: unspecified)"))
    var reason: RevocationReason?

    @Flag(help: "Put on hold (certificateHold) until --release.")
    var hold = false

    @Flag(help: "Release from hold.")
    var release = false

    @Option(
        help: .value("time", "The time (UTC) from which the key may have been compromised."),
        transform: Timestamp.argument
    )
    var invalidSince: Timestamp?

    @OptionGroup var format: FormatOption

    func validate() throws {
        guard [hold, release, reason != nil].count(where: \.self) <= 1 else {
            throw ValidationError("only one of --reason, --hold and --release can be given")
        }
        guard reason != .removeFromCRL else { throw ValidationError("--reason removeFromCRL is --release") }
        guard invalidSince == nil || !release else {
            throw ValidationError("--invalid-since cannot be used with --release")
        }
    }

    func run() throws {
        let inventory = try directory.inventory()
        // All names are looked up before anything is changed.
        let entries = try references.map(inventory.entry)
        let reason = hold ? RevocationReason.certificateHold : self.reason ?? .unspecified
        var changed: [InventoryEntry] = []
        for entry in entries {
            if release {
                if try inventory.release(entry, now: .now) { changed.append(entry) }
            } else {
                changed += try inventory.revoke(entry, reason: reason, invalidityDate: invalidSince?.date, now: .now)
            }
        }
        if !release { try warnOfOlder(changed, in: inventory, reason: reason) }
        var issuers: Set<String> = []
        for entry in changed {
            if let issuer = try inventory.presentIssuerName(of: entry) {
                issuers.insert(issuer)
            } else {
                Console.standard.warning(
                    "no CRL can list \(entry.name): its issuer is not in \(directory.path), and systems that trust that CA still accept it"
                )
            }
        }
        try warnOfAnchors(changed, issuers, in: inventory)
        let report = RevocationReport(
            entries: changed,
            reason: release ? nil : reason,
            next: issuers.sortedNaturally().map {
                "pki crl\($0 == "root" ? "" : " --issuer \($0)")\(directory.argument)"
            }
        )
        try Console.standard.print(report, as: format.value)
    }

    /// Tells what the recorded trust anchors need after a change.
    private func warnOfAnchors(_ entries: [InventoryEntry], _ issuers: Set<String>, in inventory: Inventory) throws {
        for name in issuers.sorted() {
            guard let entry = try entries.first(where: { try inventory.presentIssuerName(of: $0) == name }) else {
                continue
            }
            let anchors = try AnchorsOfCA(of: name, key: entry.issuerKey, in: directory.path)
            anchors.warnIfWithout(.standard)
            if anchors.holding.count > 1 {
                Console.standard.warning(
                    "\(anchors.holding.count) trust anchors hold \(name), and each needs the new CRL: "
                        + "\(anchors.holding.map { "\($0.arn)" }.joined(separator: ", "))")
                let issuer = name == CertificateAuthority.rootName ? "" : " --issuer \(Quoting.shell(name))"
                Console.standard.hint("import it into all: pki crl\(issuer) --format aws-cli\(directory.argument) | sh")
            }
        }
    }

    /// Warns of older certificates of the same names that are still accepted: a renewal keeps the key.
    private func warnOfOlder(_ entries: [InventoryEntry], in inventory: Inventory, reason: RevocationReason) throws {
        for entry in entries where entry.place == .current {
            let others = try inventory.usable(besides: entry, at: .now)
            guard !others.isEmpty else { continue }
            let what = others.count == 1 ? "an older certificate" : "\(others.count) older certificates"
            let how = hold ? "--hold" : "--reason \(reason.name)"
            let serials = others.map(\.serialNumber.hexadecimal).joined(separator: " ")
            Console.standard.warning("\(entry.name) has \(what) that can still be used")
            Console.standard.hint("revoke it too: pki revoke \(serials) \(how)\(directory.argument)")
        }
    }
}

private struct RevocationReport: ModelReport {
    var entries: [InventoryEntry]
    /// `nil` if the entries were released from hold.
    var reason: RevocationReason?
    /// The commands that make new CRLs.
    var next: [String]

    var members: JSONMembers {
        [
            "changed": entries.map {
                ["name": $0.name, "serialNumber": $0.serialNumber.hexadecimal, "reason": reason?.name] as JSONMembers
            }
        ]
    }

    var text: String {
        if entries.isEmpty { return "\(reason == nil ? "not on hold" : "already revoked"); nothing changed" }
        let label = reason.map { $0 == .certificateHold ? "on hold" : "revoked" } ?? "released"
        let why = reason.map { ", \($0.name)" } ?? ""
        return labelledLines(
            entries.map { (label, "\($0.name), serial \($0.serialNumber.hexadecimal)\(why)") }
                + next.map { ("next", $0) }
        )
    }
}

struct CRLCommand: ParsableCommand {
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case pem, der
        /// The command that imports the CRL into IAM Roles Anywhere.
        case awsCLI = "aws-cli"
    }

    static let configuration = CommandConfiguration(
        commandName: "crl",
        _superCommandName: "pki",
        abstract: "Create a CA's next certificate revocation list (CRL).",
        discussion: """
            The CRL lists the certificates that the CA has revoked and that have not expired. It gets the next number, is \
            saved as ISSUER-crl.pem in the directory, and is printed. AWS uses the copy that you import: import the CRL \
            again after each revocation and before the next update is due.

            For example:

              pki crl > root-crl.pem
              pki crl --issuer issuing-1 --next-update 30d --format der > issuing-1.crl
              pki crl --format aws-cli | sh
              pki crl --format aws-cli --trust-anchor-arn "$ANCHOR" | sh

            AWS accepts \(AWSLimit.crlCount.maximum) CRLs for each trust anchor, of at most \(AWSLimit.crlLength.maximum) bytes each.
            """
    )

    @OptionGroup var directory: InventoryOptions

    @Option(help: .value("name", "The CA whose CRL it is. (default: root)"), completion: .known(.authorities))
    var issuer: String?

    @Option(help: .value("time", "The time until the next update is due: 30d, 2w, 12h."), transform: Duration.argument)
    var nextUpdate = Duration.seconds(35 * 86400)

    @Option(name: .format, help: .format)
    var format = Format.pem

    @OptionGroup var quiet: QuietOption

    @Option(
        name: .customLong("trust-anchor-arn"),
        help: .value(
            "arn", "With aws-cli: import a new CRL for this trust anchor. (default: all of pki set-arns with the CA)"))
    var trustAnchorARN: String?

    @Option(help: .value("name", "With aws-cli: the CRL's name in AWS. (default: from the CA's)"))
    var crlName: String?

    @Option(help: .value("id", "With aws-cli: replace this CRL in AWS."))
    var crlId: String?

    @Option(help: .value("region", "With aws-cli: the AWS region. (default: the AWS CLI's)"))
    var region: String?

    @OptionGroup(title: "The CA's key")
    var caKey: AuthorityKeyOptions

    func validate() throws {
        guard nextUpdate > .zero else { throw ValidationError("--next-update must be later than now") }
        guard format == .awsCLI || trustAnchorARN == nil && crlName == nil && crlId == nil && region == nil else {
            throw ValidationError("--trust-anchor-arn, --crl-name, --crl-id and --region require --format aws-cli")
        }
        guard trustAnchorARN == nil || crlId == nil else {
            throw ValidationError(
                "only one of --trust-anchor-arn, for a new CRL, and --crl-id, to replace one, can be given")
        }
    }

    func run() throws {
        let authority = try caKey.open(directory.path, inventory: directory.address, issuer: issuer)
        let places = format == .awsCLI ? try importPlaces(authority) : []
        // Nothing is numbered for an import that cannot be printed.
        _ = try importCommands(places, path: "")
        let now = Date.now
        let made = try authority.makeRevocationList(
            validFor: .until(now.addingTimeInterval(nextUpdate.timeInterval)), now: now)
        made.notices.forEach(Console.standard.warning)
        for other in try authority.inventory.authorityStatuses()
        where other.hasUnlistedRevocations && other.entry.name != authority.name {
            Console.standard.warning("\(other.entry.name) has revoked certificates that are not in its last CRL")
            Console.standard.hint("pki crl --issuer \(other.entry.name)\(directory.argument)")
        }
        let text = made.list.pemEncoded
        let count = made.list.revokedCount
        if text.utf8.count > AWSLimit.crlLength.maximum {
            let message =
                "\(made.path) has \(text.utf8.count) bytes (\(count) entries); AWS accepts at most \(AWSLimit.crlLength.maximum)"
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
            try Console.standard.write(exactly: try script(places, made, of: authority.name))
        }
    }

    /// The commands that import a CRL. On PostgreSQL there is no file of it, and they bring one along.
    private func script(
        _ places: [(place: RevocationListImport.Place, region: String?)], _ made: IssuedRevocationList, of name: String
    ) throws -> String {
        guard directory.address != nil else {
            let path = absolutePath(made.path, in: FileManager.default.currentDirectoryPath)
            return try importCommands(places, path: path)
        }
        let file = "\(name)-crl.pem"
        let list = "cat > \(Quoting.shell(file)) <<'END'\n\(made.list.pemEncoded)END\n"
        return "set -e\ncd \"$(mktemp -d)\"\n" + list + (try importCommands(places, path: file))
    }

    private func importCommands(
        _ places: [(place: RevocationListImport.Place, region: String?)], path: String
    ) throws -> String {
        let commands = try places.map { place, region in
            try RevocationListImport(path: path, place: place, region: region).awsCLICommand + "\n"
        }
        return (commands.count > 1 ? "set -e\n" : "") + commands.joined()
    }

    /// Where the CRL is imported: where the options say, else into every recorded trust anchor that the CA is in.
    private func importPlaces(
        _ authority: CertificateAuthority
    ) throws -> [(place: RevocationListImport.Place, region: String?)] {
        if let crlId { return [(.list(identifier: crlId), region)] }
        let anchors = try AnchorsOfCA(
            of: authority.name, key: authority.certificate.publicKey.digest, in: directory.path)
        let name = crlName ?? "\(authority.name)-crl"
        if let trustAnchorARN {
            let isHeld = anchors.holding.contains { "\($0.arn)" == trustAnchorARN }
            guard isHeld || !anchors.recorded.contains(where: { "\($0.arn)" == trustAnchorARN }) else {
                throw InputError(
                    message: "\(authority.name) is not in the trust anchor, and AWS takes a CRL only from a CA in it",
                    hint: anchors.hint)
            }
            if !isHeld, !authority.certificate.isSelfIssued {
                Console.standard.warning("AWS takes the CRL only if \(authority.name) itself is in the trust anchor")
                Console.standard.hint(anchors.hint)
            }
            let others = anchors.holding.filter { "\($0.arn)" != trustAnchorARN }
            if !others.isEmpty {
                Console.standard.warning(
                    "\(others.count == 1 ? "another trust anchor holds" : "\(others.count) other trust anchors hold") "
                        + "\(authority.name), and what is revoked is accepted there: "
                        + others.map { "\($0.arn)" }.joined(separator: ", "))
                Console.standard.hint("leave out --trust-anchor-arn: the CRL is then imported into all of them")
            }
            return [(.trustAnchor(arn: trustAnchorARN, name: name), region)]
        }
        guard !anchors.recorded.isEmpty else {
            throw UsageError(
                message: "--format aws-cli needs a trust anchor, and none is recorded in \(directory.path)",
                hint:
                    "give --trust-anchor-arn for a new CRL, or --crl-id to replace one, or record it: pki help set-arns"
            )
        }
        guard !anchors.holding.isEmpty else {
            throw InputError(
                message: "\(authority.name) is in no recorded trust anchor, and AWS takes a CRL only from a CA in it",
                hint: anchors.hint)
        }
        return anchors.holding.map { (.any(arn: "\($0.arn)", name: name), $0.arn.region) }
    }
}
