// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import Authority
package import Certificates
import FoundationEssentials

extension RevocationReason: ExpressibleByArgument {
    /// Reads the name of RFC 5280, or the same with hyphens.
    package init?(argument: String) {
        let plain = argument.lowercased().filter { $0 != "-" && $0 != "_" }
        guard let reason = Self.allCases.first(where: { $0.name.lowercased() == plain }) else { return nil }
        self = reason
    }

    /// What a user can choose: a hold has its own option, and what is taken back is not revoked.
    package static var allValueStrings: [String] {
        allCases.filter { $0 != .removeFromCRL }.map(\.name)
    }
}

/// `pki revoke`
struct RevokeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        abstract: "Take certificates back, for good or until further notice.",
        discussion: """
            The inventory knows at once; AWS learns it from the next list: pki crl. No CA key is needed to revoke, and the \
            one of the CA that issued to make the list. A compromised key takes every certificate of that key with it.

            For example:

              pki revoke web-1 --reason keyCompromise
              pki revoke 2412db7cfef4c12df53e513856dad77609a82f76 --reason superseded
              pki revoke web-1 --hold
              pki revoke web-1 --release

            The reasons are those of RFC 5280: unspecified, keyCompromise, cACompromise, affiliationChanged, superseded, \
            cessationOfOperation, certificateHold, privilegeWithdrawn, aACompromise.

            Exit status: 0 done, 1 it was so before, 2 refused.
            """
    )

    @Argument(help: ArgumentHelp("Names, serial numbers or SHA-256 fingerprints.", valueName: "name"))
    var references: [String]

    @Option(name: .long, help: ArgumentHelp("The CA's directory.", valueName: "directory"))
    var directory = CADirectoryArgument.standard

    @Option(name: .long, help: ArgumentHelp("Why, as RFC 5280 calls it. (default: unspecified)", valueName: "reason"))
    var reason: RevocationReason?

    @Flag(name: .long, help: "Put it on hold (certificateHold), which --release takes back.")
    var hold = false

    @Flag(name: .long, help: "Take a hold back.")
    var release = false

    @Option(
        name: .long,
        help: ArgumentHelp("Since when the key may have been in other hands, in UTC.", valueName: "moment"),
        transform: Moment.argument
    )
    var invalidSince: Moment?

    @Option(name: .long, help: ArgumentHelp("The form of the answer: text or json.", valueName: "form"))
    var format = ReportFormat.text

    func validate() throws {
        guard [hold, release, reason != nil].count(where: \.self) <= 1 else {
            throw ValidationError("only one of --reason, --hold and --release can be given")
        }
        guard reason != .removeFromCRL else { throw ValidationError("removeFromCRL is --release") }
        guard invalidSince == nil || !release else { throw ValidationError("--invalid-since goes with a revocation") }
    }

    func run() throws {
        let inventory = try Inventory(in: directory, by: Operator.name, now: .now)
        // What is meant by all of them is known before any of them is touched.
        let entries = try references.map(inventory.entry)
        var changed: [RevocationReport.Line] = []
        var touched: [InventoryEntry] = []
        let reason = hold ? RevocationReason.certificateHold : self.reason ?? .unspecified
        for entry in entries {
            if release {
                guard try inventory.release(entry, now: .now) else { continue }
                touched.append(entry)
                changed.append(.init(name: entry.name, serialNumber: entry.serialNumber.hexadecimal, reason: nil))
                continue
            }
            let revoked = try inventory.revoke(entry, reason: reason, invalidityDate: invalidSince?.date, now: .now)
            touched += revoked
            for one in revoked {
                changed.append(
                    .init(name: one.name, serialNumber: one.serialNumber.hexadecimal, reason: reason.name)
                )
            }
        }
        let place = CADirectoryArgument.option(directory)
        if !release { try warn(ofOthers: touched, in: inventory, reason: reason, place: place) }
        var issuers: Set<String> = []
        for entry in touched {
            if let issuer = try inventory.presentIssuerName(of: entry) {
                issuers.insert(issuer)
            } else {
                Console.standard.warning(
                    "the CA that issued \(entry.name) is not in \(directory) any more, so no list can name it: who trusts that CA trusts the certificate still"
                )
            }
        }
        let next = issuers.sorted().map { "pki crl\($0 == "root" ? "" : " --issuer \($0)")\(place)" }
        try Console.standard.print(RevocationReport(changed: changed, next: next), as: format)
        if changed.isEmpty { throw ExitCode(ExitStatus.notNeeded) }
    }
}

extension RevokeCommand {
    /// Says which certificates of the same names go on to be accepted: those from before a renewal have the same key.
    private func warn(
        ofOthers touched: [InventoryEntry],
        in inventory: Inventory,
        reason: RevocationReason,
        place: String
    ) throws {
        for entry in touched where entry.place == .current {
            let others = try inventory.usable(besides: entry, at: .now)
            guard !others.isEmpty else { continue }
            let what = others.count == 1 ? "an older certificate" : "\(others.count) older certificates"
            let how = hold ? "--hold" : "--reason \(reason.name)"
            Console.standard.warning("\(entry.name) has \(what) that can still be used")
            Console.standard.hint(
                "take it back too: pki revoke \(others.map(\.serialNumber.hexadecimal).joined(separator: " ")) \(how)\(place)"
            )
        }
    }
}

/// What `revoke` answers.
struct RevocationReport: Report {
    /// One certificate.
    struct Line: Encodable {
        /// Its name.
        var name: String
        /// Its serial number in hexadecimal.
        var serialNumber: String
        /// Why; nothing when a hold was taken back.
        var reason: String?
    }

    /// What changed.
    var changed: [Line]
    /// What makes it known.
    var next: [String]

    private enum CodingKeys: CodingKey { case changed }

    var text: String {
        if changed.isEmpty { return "nothing to do: it was so before" }
        let lines = changed.map { line in
            let what = line.reason.map { $0 == "certificateHold" ? "on hold  " : "revoked  " } ?? "released "
            let why = line.reason.map { ", \($0)" } ?? ""
            return "\(what)    \(line.name), serial \(line.serialNumber)\(why)"
        }
        return (lines + next.map { "next         \($0)" }).joined(separator: "\n")
    }
}
