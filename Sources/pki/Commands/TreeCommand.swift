// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials

/// `pki tree`
struct TreeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tree",
        abstract: "Draw the CAs of the directory, and what each of them has issued.",
        discussion: """
            No CA key is needed.

            For example:

              pki tree
              pki tree --cas
              pki tree --format json
            """
    )

    @Option(name: .long, help: ArgumentHelp("The CA's directory.", valueName: "directory"))
    var directory = CADirectoryArgument.standard

    @Flag(name: .customLong("cas"), help: "CAs alone, with the number of certificates below each.")
    var onlyAuthorities = false

    @Flag(name: .long, help: "Also what was replaced or lost.")
    var all = false

    @Option(name: .long, help: ArgumentHelp("The form: text or json.", valueName: "form"))
    var format = ReportFormat.text

    func run() throws {
        let now = Date.now
        let inventory = try Inventory(reading: directory, now: now)
        var query = InventoryQuery(at: now)
        query.includesFormer = all
        let entries = try inventory.entries(query)
        let names = try inventory.issuerNames()
        try Console.standard.print(
            AuthorityTree(
                entries,
                names: names,
                onlyAuthorities: onlyAuthorities,
                now: now
            ),
            as: format
        )
    }
}
