// SPDX-License-Identifier: Apache-2.0

import AWSModel
import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport
import TrustAnchors

struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        _superCommandName: "pki",
        abstract: "Show the state of the CA on one screen: CAs, CRLs, and what expires next.",
        discussion: """
            Only reads. pki list shows all certificates, and pki doctor finds faults.

            For example:

              pki status
              pki status -o json
            """
    )

    @OptionGroup var directory: InventoryOptions

    @OptionGroup var format: FormatOption

    func run() throws {
        let now = Date.now
        let inventory = try directory.readInventory(now: now)
        let report = try StatusReport(inventory, at: now)
        switch format.value {
        case .json: try Console.standard.print(report, as: .json)
        case .text: try report.write(to: Console.standard)
        }
    }
}

/// The state of a CA directory.
struct StatusReport: Report, EncodableMembers {
    /// How many CAs and certificates the text shows: they fit 24 lines.
    private static let shownAuthorities = 6
    private static let shownCertificates = 8
    private static let shownAnchors = 2

    private let directory: String
    private let now: Date
    private let authorities: [AuthorityStatus]
    /// The ARNs of the trust anchors that `pki set-arns` recorded.
    private let trustAnchors: [String]
    /// How many certificates have each status, in the order of the statuses.
    private var counts: [(status: InventoryEntry.Status, count: Int)] = []
    /// The valid certificates that expire first, except CAs.
    private var expiring: [InventorySummary] = []

    init(_ inventory: Inventory, at now: Date) throws {
        directory = inventory.directoryPath
        self.now = now
        authorities = try inventory.authorityStatuses()
        trustAnchors = try RecordedResources(in: directory).trustAnchors.map(\.arn.description)
        var counts: [InventoryEntry.Status: Int] = [:]
        var (valid, order): ([InventorySummary], ListingOrder) = ([], ListingOrder())
        var query = InventoryQuery(at: now)
        query.isCA = false
        try inventory.visitSummaries(query) { entry in
            counts[entry.status, default: 0] += 1
            guard entry.status == .valid else { return }
            valid.append(entry)
            order.add(entry.name, notAfter: entry.notAfter)
        }
        self.counts = InventoryEntry.Status.allCases.compactMap { status in counts[status].map { (status, $0) } }
        expiring = order.sorted().prefix(Self.shownCertificates).map { valid[$0] }
    }

    var members: JSONMembers {
        [
            "directory": directory,
            "trustAnchors": trustAnchors,
            "authorities": authorities.map { authority in
                let (entry, list) = (authority.entry, authority.revocationList)
                return [
                    "name": entry.name, "serialNumber": entry.serialNumber.hexadecimal,
                    "status": entry.status(at: now).rawValue, "notAfter": entry.notAfter,
                    "daysLeft": entry.daysLeft(at: now), "issuedCount": authority.issuedCount,
                    "hasUnlistedRevocations": authority.hasUnlistedRevocations,
                    "crl": list.map {
                        ["number": $0.number, "thisUpdate": $0.thisUpdate, "nextUpdate": $0.nextUpdate] as JSONMembers
                    },
                ] as JSONMembers
            },
            "certificates": Dictionary(counts.map { ($0.status.rawValue, $0.count) }, uniquingKeysWith: { $1 }),
            "expiringNext": expiring.map {
                [
                    "name": $0.name, "profile": $0.profile, "issuer": $0.issuer, "daysLeft": $0.daysLeft,
                    "notAfter": Date(timeIntervalSince1970: Double($0.notAfter)),
                ] as JSONMembers
            },
        ]
    }

    var text: String { "" }

    func write(to console: Console) throws {
        let features = TerminalFeatures(of: StandardStream.output)
        let total = counts.map { "\($0.count) \($0.status.rawValue)" }.joined(separator: ", ")
        try console.write([
            StyledText(
                labelledLines(
                    [("directory", directory), ("certificates", total.isEmpty ? "none" : total)]
                        + trustAnchors.prefix(Self.shownAnchors).map { ("trust anchor", $0) }
                        + (trustAnchors.count > Self.shownAnchors
                            ? [("", "… and \(trustAnchors.count - Self.shownAnchors) more")] : []))),
            StyledText("\n\n"),
        ])
        try console.write(authorityTable.encoded(for: features))
        if authorities.count > Self.shownAuthorities {
            try console.write([StyledText("… and \(authorities.count - Self.shownAuthorities) more: pki tree --cas\n")])
        }
        guard !expiring.isEmpty else { return }
        try console.write("\n")
        try console.write(certificateTable.encoded(for: features))
    }

    private var authorityTable: Table {
        var table = Table([
            .init("CA"), .init("ISSUED", isRightAligned: true, omission: 2), .init("STATUS", omission: 3),
            .init("EXPIRES"), .init("DAYS", isRightAligned: true, omission: 1), .init("CRL", canBeShortened: true),
        ])
        for authority in authorities.prefix(Self.shownAuthorities) {
            let entry = authority.entry
            let status = entry.status(at: now)
            let days = entry.daysLeft(at: now)
            table.add(entry.name, .bold)
            table.add(authority.issuedCount)
            table.add(status.rawValue, status == .valid ? nil : .red)
            table.add(Self.day(entry.notAfter))
            table.add(days, status == .valid ? .daysLeft(days) : nil)
            let (text, style) = words(for: authority)
            table.add(text, style)
        }
        return table
    }

    /// The state of a CA's CRL.
    private func words(for authority: AuthorityStatus) -> (String, TextStyle?) {
        guard let list = authority.revocationList else {
            return authority.hasUnlistedRevocations ? ("none, but revoked certificates", .red) : ("none", nil)
        }
        let name = "no. \(list.number) of \(Self.day(list.thisUpdate))"
        if authority.hasUnlistedRevocations { return ("\(name), lacks revocations", .red) }
        if list.nextUpdate < now { return ("\(name), overdue", .red) }
        return ("\(name), due \(Self.day(list.nextUpdate))", nil)
    }

    private var certificateTable: Table {
        var table = Table([
            .init("EXPIRES NEXT"), .init("PROFILE", omission: 1), .init("ISSUER", canBeShortened: true, omission: 2),
            .init("EXPIRES"), .init("DAYS", isRightAligned: true),
        ])
        for entry in expiring {
            table.add(entry.name)
            table.add(entry.profile)
            table.add(entry.issuer)
            table.add(Self.day(Date(timeIntervalSince1970: Double(entry.notAfter))))
            table.add(entry.daysLeft, .daysLeft(entry.daysLeft))
        }
        return table
    }

    private static func day(_ date: Date) -> String { String(CivilTime(date).extended.prefix(10)) }
}
