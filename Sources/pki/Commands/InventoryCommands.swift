// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport

struct TreeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tree",
        _superCommandName: "pki",
        abstract: "Show the CAs of the directory, and what each of them issued.",
        discussion: """
            No CA key is needed.

            For example:

              pki tree
              pki tree --cas
              pki tree --format json
            """
    )

    @OptionGroup var directory: InventoryOptions

    @Flag(
        name: [.customLong("cas"), .customLong("ca")], help: "Only CAs, with the number of certificates each issued.")
    var onlyAuthorities = false

    @Flag(help: "Also replaced and lost certificates.")
    var all = false

    @OptionGroup var format: FormatOption

    func run() throws {
        let now = Date.now
        let inventory = try directory.readInventory(now: now)
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
            let (authorities, others) = (entries.filter(\.isCA), entries.filter { !$0.isCA })
            return [authorities, others].flatMap { $0.sortedNaturally(by: \.name) }.map { entry in
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

struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        _superCommandName: "pki",
        abstract: "Show who changed what in the CA, and when.",
        discussion: """
            The oldest entry comes first. Entries are only added, never changed.

            For example:

              pki audit
              pki audit web-1
              pki audit --format json
              pki audit --verify

            Each row has the SHA-256 of the row before it. --verify finds rows that were changed, removed or inserted, but not \
            that the newest rows were removed: keep the output of --head elsewhere, and pass it to --contains later.

            Exit status: 0 done; 1 --verify found a break; 2 the inventory cannot be read.
            """
    )

    @OptionGroup var directory: InventoryOptions

    @OptionGroup var names: NamePatternOptions

    @Option(name: .format, help: .format)
    var format = ListCommand.Format.table

    @OptionGroup var quiet: QuietOption

    @Flag(help: "Check that no row was changed, removed or inserted.")
    var verify = false

    @Flag(help: "Print the number and digest of the newest row.")
    var head = false

    @Option(help: .value("row:digest", "With --verify: a row that must exist, as --head printed it."))
    var contains: String?

    func validate() throws {
        guard contains == nil || verify else { throw ValidationError("--contains requires --verify") }
        if let contains, AuditChain.Head(contains) == nil {
            throw ValidationError("\"\(contains)\" is not a number, a colon and 64 digits, as pki audit --head prints")
        }
        guard !verify || !head else {
            throw ValidationError("--head cannot be used with --verify, which prints it too")
        }
    }

    func run() throws {
        let inventory = try directory.readInventory()
        if head { return try printHead(of: inventory) }
        if verify { return try printVerification(of: inventory) }
        let patterns = names.patterns
        var records: [AuditRecord] = []
        try inventory.visitAudit { record in
            if patterns.match(record.name ?? "") { records.append(record) }
        }
        func fields(_ record: AuditRecord) -> [String] {
            [
                CivilTime(record.date).extended, record.who, record.action.rawValue, record.name ?? "",
                record.serialNumber?.hexadecimal ?? "", record.detail ?? "",
            ]
        }
        switch format {
        case .table:
            var table = Table([
                .init("WHEN"), .init("WHO", canBeShortened: true, omission: 3), .init("WHAT"), .init("NAME"),
                .init("SERIAL", omission: 1), .init("DETAIL", canBeShortened: true, omission: 2),
            ])
            for field in records.lazy.flatMap(fields) { table.add(field) }
            try Console.standard.write(table.encoded(for: TerminalFeatures(of: StandardStream.output)))
        case .csv:
            var csv = CSVWriter(["at", "who", "action", "name", "serial_number", "detail"])
            for field in records.lazy.flatMap(fields) { csv.add(field) }
            try Console.standard.write(csv.encoded())
        case .json: try Console.standard.print(AuditReport(records: records), as: .json)
        }
    }

    private func printHead(of inventory: Inventory) throws {
        let chain = try inventory.verifyAudit()
        guard let head = chain.head else { return Console.standard.note("the audit has no rows with digests") }
        try Console.standard.write("\(head)\n")
    }

    private func printVerification(of inventory: Inventory) throws {
        let chain = try inventory.verifyAudit(containing: contains.flatMap { AuditChain.Head($0) })
        for found in chain.breaks { Console.standard.report(InputError(message: "\(found)")) }
        guard chain.breaks.isEmpty else { throw ExitCode(ExitStatus.checkFailed) }
        let rows = chain.count == 1 ? "1 row" : "\(chain.count) rows"
        let head = chain.head.map { "\($0)" } ?? "none"
        try Console.standard.write("\(rows), each follows the one before; the head is \(head)\n")
    }
}

private struct AuditReport: Report {
    var records: [AuditRecord]
    var text: String { "" }

    func encode(to encoder: any Encoder) throws {
        let rows = records.map { record in
            [
                "at": record.date, "who": record.who, "action": record.action.rawValue, "name": record.name,
                "serialNumber": record.serialNumber?.hexadecimal, "detail": record.detail,
            ] as JSONMembers
        }
        try rows.encode(to: encoder)
    }
}
