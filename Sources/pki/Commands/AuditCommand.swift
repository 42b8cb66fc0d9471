// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import Glibc
import SystemSupport

/// `pki audit`
struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Show who did what to the CA, and when: a record that only grows.",
        discussion: """
            The oldest comes first.

            For example:

              pki audit
              pki audit --name web-1
              pki audit --format json
              pki audit --verify

            Each row carries SHA-256 of the row before it. --verify follows them and finds a row that was changed, taken out \
            or put in. It cannot find that the newest rows were taken away: keep what --head prints somewhere else, and give \
            it to --contains later.

            Exit status: 0 all rows follow each other; 1 they do not, with --verify; 2 the inventory cannot be read.
            """
    )

    @Option(name: .long, help: ArgumentHelp("The CA's directory.", valueName: "directory"))
    var directory = CADirectoryArgument.standard

    @Option(
        name: .long,
        help: ArgumentHelp("Only these names: web-*, db-?.", valueName: "pattern"),
        transform: GlobPattern.argument
    )
    var name: GlobPattern?

    @Option(name: .long, help: ArgumentHelp("The form: table, json or csv.", valueName: "form"))
    var format = ListCommand.Format.table

    @Flag(name: .long, help: "Check that no row was changed, removed or replaced.")
    var verify = false

    @Flag(name: .long, help: "Print the number and the digest of the newest row.")
    var head = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            "With --verify: what --head printed once, which must still be there.",
            valueName: "row:digest"
        )
    )
    var contains: String?

    func validate() throws {
        guard contains == nil || verify else { throw ValidationError("--contains goes with --verify") }
        if let contains, AuditChain.Head(contains) == nil {
            throw ValidationError(
                "\"\(contains)\" is not what pki audit --head prints: a number, a colon and 64 digits"
            )
        }
        guard !verify || !head else { throw ValidationError("--verify prints the head too: leave --head out") }
    }

    func run() throws {
        let inventory = try Inventory(reading: directory, now: .now)
        if head { return try printHead(of: inventory) }
        if verify { return try printVerification(of: inventory) }
        var table = Table([
            .init("WHEN"), .init("WHO"), .init("WHAT"), .init("NAME"), .init("SERIAL", canBeShortened: true),
            .init("DETAIL", canBeShortened: true),
        ])
        var csv = CSVWriter(["at", "who", "action", "name", "serial", "detail"])
        var lines: [Line] = []
        try inventory.visitAudit { record in
            if let name, !name.matches(record.name ?? "") { return }
            let fields = [
                CivilTime(record.date).extended, record.who, record.action.rawValue, record.name ?? "",
                record.serialNumber?.hexadecimal ?? "", record.detail ?? "",
            ]
            switch format {
            case .table: for field in fields { table.add(field) }
            case .csv: for field in fields { csv.add(field) }
            case .json: lines.append(Line(record))
            }
        }
        switch format {
        case .table: try Console.standard.write(table.encoded(for: TerminalFeatures(of: STDOUT_FILENO)))
        case .csv: try Console.standard.write(csv.encoded())
        case .json: try Console.standard.print(Lines(lines: lines), as: .json)
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
        try Console.standard.write(
            "\(rows), each follows the one before; the head is \(chain.head.map { "\($0)" } ?? "none")\n"
        )
    }

    private struct Line: Encodable {
        var at: Date
        var who: String
        var action: String
        var name: String?
        var serialNumber: String?
        var detail: String?

        init(_ record: AuditRecord) {
            at = record.date
            who = record.who
            action = record.action.rawValue
            name = record.name
            serialNumber = record.serialNumber?.hexadecimal
            detail = record.detail
        }
    }

    private struct Lines: Report {
        var lines: [Line]
        var text: String { "" }

        func encode(to encoder: any Encoder) throws { try lines.encode(to: encoder) }
    }
}
