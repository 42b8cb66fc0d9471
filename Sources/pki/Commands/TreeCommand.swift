// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport

struct TreeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tree",
        abstract: "Show the CAs of the directory, and what each of them issued.",
        discussion: """
            No CA key is needed.

            For example:

              pki tree
              pki tree --cas
              pki tree --format json
            """
    )

    @OptionGroup var directory: DirectoryOption

    @Flag(name: .customLong("cas"), help: "Only CAs, with the number of certificates each issued.")
    var onlyAuthorities = false

    @Flag(help: "Also replaced and lost certificates.")
    var all = false

    @OptionGroup var format: FormatOption

    func run() throws {
        let now = Date.now
        let inventory = try Inventory(reading: directory.path, now: now)
        var query = InventoryQuery(at: now)
        query.includesFormer = all
        let entries = try inventory.entries(query)
        let tree = try AuthorityTree(
            entries, names: inventory.issuerNames(), onlyAuthorities: onlyAuthorities, now: now)
        try Console.standard.print(tree, as: format.value)
    }
}

private struct AuthorityTree: Report {
    struct Node: Encodable {
        var name: String
        var serialNumber: String
        var profile: String
        var ca: Bool
        var status: String
        var notAfter: Date
        /// The number of certificates below that are not CAs, if those are not shown.
        var issuedCount: Int?
        var issued: [Node]

        var days = 0

        private enum CodingKeys: CodingKey {
            case name, serialNumber, profile, ca, status, notAfter, issuedCount, issued
        }
    }

    /// Roots, and certificates whose issuer is not in the directory.
    var roots: [Node]

    init(_ entries: [InventoryEntry], names: IssuerNames, onlyAuthorities: Bool, now: Date) {
        let authorities = Set(entries.filter(\.isCA).map(\.name))
        var children: [String: [InventoryEntry]] = [:]
        var tops: [InventoryEntry] = []
        for entry in entries {
            if !entry.isSelfSigned, let issuer = names.name(of: entry), issuer != entry.name,
                authorities.contains(issuer)
            {
                children[issuer, default: []].append(entry)
            } else {
                tops.append(entry)
            }
        }
        var visited: Set<String> = []
        func nodes(_ entries: [InventoryEntry]) -> [Node] {
            entries.sorted { ($0.isCA ? 0 : 1, $0.name) < ($1.isCA ? 0 : 1, $1.name) }.map { entry in
                // A CA with a cross-certificate is in the tree twice, and its certificates are shown once.
                let isFirst = entry.isCA && visited.insert(entry.name).inserted
                let below = isFirst ? children[entry.name] ?? [] : []
                return Node(
                    name: entry.name,
                    serialNumber: entry.serialNumber.hexadecimal,
                    profile: entry.profile,
                    ca: entry.isCA,
                    status: entry.status(at: now).rawValue,
                    notAfter: entry.notAfter,
                    issuedCount: onlyAuthorities && entry.isCA ? below.count { !$0.isCA } : nil,
                    issued: nodes(below.filter { !onlyAuthorities || $0.isCA }),
                    days: entry.daysLeft(at: now)
                )
            }
        }
        roots = nodes(tops)
    }

    private enum CodingKeys: CodingKey { case roots }

    var text: String { styledText.map(\.text).joined() }

    var styledText: [StyledText] {
        var parts: [StyledText] = []
        func draw(_ node: Node, head: String, tail: String) {
            let isValid = node.status == "valid"
            let end = "until \(CivilTime(node.notAfter).extended.prefix(10))\(isValid ? "" : ", \(node.status)")"
            let count = node.issuedCount.map { ", \($0) certificate\($0 == 1 ? "" : "s")" } ?? ""
            parts += [
                StyledText(parts.isEmpty ? head : "\n\(head)"),
                StyledText(printable(node.name), node.ca ? .bold : nil),
                StyledText("  \(printable(node.profile)), "),
                StyledText(end, isValid ? .daysLeft(node.days) : .red),
                StyledText(count),
            ]
            for (index, child) in node.issued.enumerated() {
                let isLast = index == node.issued.count - 1
                draw(child, head: tail + (isLast ? "└─ " : "├─ "), tail: tail + (isLast ? "   " : "│  "))
            }
        }
        for root in roots { draw(root, head: "", tail: "") }
        return parts
    }
}
