// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport

struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Show who changed what in the CA, and when.",
        discussion: """
            The oldest entry comes first. Entries are only added, never changed.

            For example:

              pki audit
              pki audit --name web-1
              pki audit --format json
              pki audit --verify

            Each row has the SHA-256 of the row before it. --verify finds rows that were changed, removed or inserted, but not \
            that the newest rows were removed: keep the output of --head in another place, and pass it to --contains later.

            Exit status: 0 done; 1 --verify found a break; 2 the inventory cannot be read.
            """
    )

    @OptionGroup var directory: DirectoryOption

    @Option(
        help: ArgumentHelp("Only names that match this pattern: web-*, db-?.", valueName: "pattern"),
        transform: GlobPattern.argument)
    var name: GlobPattern?

    @Option(help: ArgumentHelp("Output format: table, json or csv.", valueName: "format"))
    var format = ListCommand.Format.table

    @Flag(help: "Check that no row was changed, removed or inserted.")
    var verify = false

    @Flag(help: "Print the number and digest of the newest row.")
    var head = false

    @Option(help: ArgumentHelp("With --verify: a row that must exist, as --head printed it.", valueName: "row:digest"))
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
        let inventory = try Inventory(reading: directory.path, now: .now)
        if head { return try printHead(of: inventory) }
        if verify { return try printVerification(of: inventory) }
        var records: [AuditRecord] = []
        try inventory.visitAudit { record in
            if name?.matches(record.name ?? "") ?? true { records.append(record) }
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
                .init("WHEN"), .init("WHO"), .init("WHAT"), .init("NAME"), .init("SERIAL", canBeShortened: true),
                .init("DETAIL", canBeShortened: true),
            ])
            for field in records.lazy.flatMap(fields) { table.add(field) }
            try Console.standard.write(table.encoded(for: TerminalFeatures(of: StandardStream.output)))
        case .csv:
            var csv = CSVWriter(["at", "who", "action", "name", "serial", "detail"])
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
        guard chain.breaks.isEmpty else { throw ExitCode(ExitStatus.notNeeded) }
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
