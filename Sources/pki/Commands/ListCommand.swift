// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import Glibc

/// `pki list`
struct ListCommand: ParsableCommand {
    /// The form of the list.
    enum Format: String, CaseIterable, ExpressibleByArgument {
        /// For a person.
        case table
        /// For a program: an array of objects.
        case json
        /// For a spreadsheet.
        case csv
    }

    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List what the CA has issued, and how long each is good for.",
        discussion: """
            Those that end first come first. Certificates that another has taken the place of are left out, unless --all is \
            given. No CA key is needed.

            For example:

              pki list
              pki list --expiring 30d
              pki list --revoked --format csv
              pki list --name 'web-*' --format json

            The status is valid, not-yet-valid, expired, revoked, held, replaced or lost.
            """
    )

    @Option(name: .long, help: ArgumentHelp("The CA's directory.", valueName: "directory"))
    var directory = CADirectoryArgument.standard

    @Option(
        name: .long,
        help: ArgumentHelp("Only what ends within this span, and has not ended: 30d, 12h, 2w.", valueName: "span"),
        transform: Duration.argument
    )
    var expiring: Duration?

    @Flag(name: .long, help: "Only what was revoked or is on hold, replaced ones too.")
    var revoked = false

    @Option(
        name: .long,
        help: ArgumentHelp("Only these names: web-*, db-?, [ab]*.", valueName: "pattern"),
        transform: GlobPattern.argument
    )
    var name: GlobPattern?

    @Flag(name: .long, help: "Also what was replaced or lost.")
    var all = false

    @Flag(name: .long, help: "Only CAs.")
    var ca = false

    @Option(name: .long, help: ArgumentHelp("The form: table, json or csv.", valueName: "form"))
    var format = Format.table

    func run() throws {
        let now = Date.now
        let inventory = try Inventory(reading: directory, now: now)
        var query = InventoryQuery(at: now)
        query.expiringBy = expiring.map { now.addingTimeInterval($0.timeInterval) }
        query.isRevoked = revoked
        query.includesFormer = all
        query.isCA = ca ? true : nil
        query.namePrefix = name?.literalPrefix ?? ""
        let count: Int
        switch format {
        case .table: count = try printTable(of: inventory, query)
        case .json: count = try stream(JSONListing(now: now), of: inventory, query)
        case .csv: count = try stream(CSVListing(now: now), of: inventory, query)
        }
        if count == 0 { Console.standard.note("nothing in \(directory) is like that") }
    }

    private func printTable(of inventory: Inventory, _ query: InventoryQuery) throws -> Int {
        var table = TableListing()
        var count = 0
        // An option's value is looked up whenever it is asked for.
        let pattern = name
        try inventory.visitSummaries(query) { entry in
            if let pattern, !pattern.matches(entry.name) { return }
            count += 1
            table.add(entry)
        }
        if count > 0 {
            try table.write(for: TerminalFeatures(of: STDOUT_FILENO)) { try Console.standard.write($0) }
        }
        return count
    }

    /// Prints rows as they come, so that memory does not grow with their number.
    private func stream(_ empty: some Listing, of inventory: Inventory, _ query: InventoryQuery) throws -> Int {
        let issuers = try inventory.issuerNames()
        var listing = empty
        var count = 0
        let pattern = name
        try inventory.visit(query) { entry in
            if let pattern, !pattern.matches(entry.name) { return }
            count += 1
            listing.add(entry, issuer: issuers.name(of: entry))
            if count.isMultiple(of: 256) { try Console.standard.write(listing.take()) }
        }
        try Console.standard.write(listing.encoded())
        return count
    }
}
