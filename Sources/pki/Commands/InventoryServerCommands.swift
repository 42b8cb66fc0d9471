// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import SystemSupport

struct InventoryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inventory",
        _superCommandName: "pki",
        abstract: "Keep the inventory on PostgreSQL, for several servers.",
        discussion: """
            The inventory is inventory.sqlite in the CA's directory, or a database of PostgreSQL that --inventory or PKI_INVENTORY \
            names. Then several machines run pki serve-ca on it, each with a directory of the CA's keys and certificates.

            For example:

              pki inventory init --inventory postgresql://db.example.com/pki
              pki inventory copy --directory ca --inventory postgresql://db.example.com/pki
              pki serve-ca --directory ca --inventory postgresql://db.example.com/pki

            A connection to another machine is encrypted, and the server's certificate is verified, unless sslmode says \
            otherwise. Passwords belong into PGPASSFILE.
            """,
        subcommands: [InventoryInitCommand.self, InventoryCopyCommand.self]
    )
}

struct InventoryInitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        _superCommandName: "pki inventory",
        abstract: "Make the tables of an inventory on PostgreSQL, or bring them up to date."
    )

    @Option(help: .value("url", "The database: postgresql://HOST/DATABASE."))
    var inventory: String

    func run() throws {
        let isNew = try Inventory.initialize(at: inventory)
        Console.standard.note(isNew ? "the tables were made" : "the tables are up to date")
    }
}

struct InventoryCopyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "copy",
        _superCommandName: "pki inventory",
        abstract: "Copy a directory's inventory to PostgreSQL, into empty tables."
    )

    @OptionGroup var directory: DirectoryOption

    @Option(help: .value("url", "The database: postgresql://HOST/DATABASE."))
    var inventory: String

    func run() throws {
        for (table, rows) in try InventoryCopy.copy(from: directory.inventory(), to: inventory) where rows > 0 {
            Console.standard.note("\(table): \(rows)")
        }
    }
}
