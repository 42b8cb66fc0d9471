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
            """
    )

    @Option(name: .long, help: ArgumentHelp("The CA's folder.", valueName: "folder"))
    var directory = AuthorityFolder.standard

    @Option(
        name: .long,
        help: ArgumentHelp("Only these names: web-*, db-?.", valueName: "pattern"),
        transform: GlobPattern.argument
    )
    var name: GlobPattern?

    @Option(name: .long, help: ArgumentHelp("The form: table, json or csv.", valueName: "form"))
    var format = ListCommand.Format.table

    func run() throws {
        let inventory = try Inventory(in: directory, by: Operator.name, now: .now)
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
