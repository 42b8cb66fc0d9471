// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import Authority
package import Certificates
import FoundationEssentials

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

            Exit status: 0 done, 1 already so, nothing changed, 2 refused.
            """
    )

    @Argument(help: ArgumentHelp("Names, serial numbers or SHA-256 fingerprints.", valueName: "name"))
    var references: [String]

    @OptionGroup var directory: DirectoryOption

    @Option(help: ArgumentHelp("The reason (RFC 5280). (default: unspecified)", valueName: "reason"))
    var reason: RevocationReason?

    @Flag(help: "Put on hold (certificateHold) until --release.")
    var hold = false

    @Flag(help: "Release from hold.")
    var release = false

    @Option(
        help: ArgumentHelp("The time (UTC) from which the key may have been compromised.", valueName: "time"),
        transform: Moment.argument)
    var invalidSince: Moment?

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
        let inventory = try Inventory(in: directory.path, by: Operator.name, now: .now)
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
        let report = RevocationReport(
            entries: changed,
            reason: release ? nil : reason,
            next: issuers.sorted().map { "pki crl\($0 == "root" ? "" : " --issuer \($0)")\(directory.argument)" }
        )
        try Console.standard.print(report, as: format.value)
        if changed.isEmpty { throw ExitCode(ExitStatus.notNeeded) }
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
        if entries.isEmpty { return "already \(reason == nil ? "released" : "revoked"); nothing changed" }
        let label = reason.map { $0 == .certificateHold ? "on hold" : "revoked" } ?? "released"
        let why = reason.map { ", \($0.name)" } ?? ""
        return labelledLines(
            entries.map { (label, "\($0.name), serial \($0.serialNumber.hexadecimal)\(why)") }
                + next.map { ("next", $0) }
        )
    }
}
