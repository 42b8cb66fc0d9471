// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import FoundationEssentials
import SystemSupport

/// What hangs on which CA.
struct AuthorityTree: Report {
    /// A certificate, and what it issued.
    struct Node: Encodable {
        var name: String
        var serialNumber: String
        var profile: String
        var ca: Bool
        var status: String
        var notAfter: Date
        /// How many are below it that are no CAs, when those are not shown.
        var issuedCount: Int?
        var issued: [Node]

        fileprivate var days = 0

        private enum CodingKeys: CodingKey {
            case name, serialNumber, profile, ca, status, notAfter, issuedCount, issued
        }
    }

    /// What hangs on nothing in the directory: roots, and what an unknown CA issued.
    var roots: [Node]

    private enum CodingKeys: CodingKey { case roots }

    /// Puts the tree together.
    ///
    /// - Parameters:
    ///   - entries: What is shown.
    ///   - names: The names of the CAs.
    ///   - onlyAuthorities: Whether what is no CA is counted alone.
    ///   - now: The moment.
    init(
        _ entries: [InventoryEntry],
        names: IssuerNames,
        onlyAuthorities: Bool,
        now: Date
    ) {
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
        func node(_ entry: InventoryEntry) -> Node {
            // A cross-certificate is of a CA that stands elsewhere in the tree, and of which this hangs once.
            let isFirst = entry.isCA && visited.insert(entry.name).inserted
            let below = isFirst ? children[entry.name] ?? [] : []
            let shown = below.filter { !onlyAuthorities || $0.isCA }
            return Node(
                name: entry.name,
                serialNumber: entry.serialNumber.hexadecimal,
                profile: entry.profile,
                ca: entry.isCA,
                status: entry.status(at: now).rawValue,
                notAfter: entry.notAfter,
                issuedCount: onlyAuthorities && entry.isCA ? below.count { !$0.isCA } : nil,
                issued: shown.sorted { ($0.isCA ? 0 : 1, $0.name) < ($1.isCA ? 0 : 1, $1.name) }.map(node),
                days: entry.daysLeft(at: now)
            )
        }
        roots = tops.sorted { ($0.isCA ? 0 : 1, $0.name) < ($1.isCA ? 0 : 1, $1.name) }.map(node)
    }

    var text: String { styledText.map(\.text).joined() }

    var styledText: [StyledText] {
        var parts: [StyledText] = []
        for root in roots { draw(root, head: "", tail: "", into: &parts) }
        return parts
    }

    private func draw(_ node: Node, head: String, tail: String, into parts: inout [StyledText]) {
        let status = node.status == "valid" ? "" : ", \(node.status)"
        let count = node.issuedCount.map { ", \($0) certificate\($0 == 1 ? "" : "s")" } ?? ""
        let end = "until \(CivilTime(node.notAfter).extended.prefix(10))"
        parts += [
            StyledText(parts.isEmpty ? head : "\n\(head)"), StyledText(printable(node.name), node.ca ? .bold : nil),
            StyledText("  \(printable(node.profile)), "),
            StyledText("\(end)\(status)", node.status == "valid" ? .daysLeft(node.days) : .red), StyledText(count),
        ]
        for (index, child) in node.issued.enumerated() {
            let isLast = index == node.issued.count - 1
            draw(child, head: tail + (isLast ? "└─ " : "├─ "), tail: tail + (isLast ? "   " : "│  "), into: &parts)
        }
    }
}
