// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import FoundationEssentials
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
              pki inventory copy --from ca --to postgresql://db.example.com/pki
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
        abstract: "Make the tables of an inventory on PostgreSQL, or bring them up to date.",
        discussion: """
            Makes the tables, and the roles pki_server, pki_admin and pki_reader, which are not for logging in: GRANT them to \
            the logins of servers, administrators and readers. Running it again is harmless.

            For example:

              pki inventory init --inventory postgresql://db.example.com/pki
              pki inventory init --print | psql -v ON_ERROR_STOP=1 -1 -d pki
            """
    )

    @Option(help: .value("url", "The database: postgresql://HOST/DATABASE. (default: PKI_INVENTORY)"))
    var inventory: String?

    @Flag(help: "Print the SQL for psql, and connect to nothing.")
    var print = false

    @OptionGroup var quiet: QuietOption

    func run() throws {
        if print { return try Console.standard.write(Inventory.serverScript) }
        guard let address = InventoryOptions.address(inventory) else {
            throw ValidationError("name the database: --inventory postgresql://HOST/DATABASE")
        }
        let (isNew, missing) = try Inventory.initialize(at: address)
        Console.standard.note(isNew ? "the tables were made" : "the tables are up to date")
        guard !missing.isEmpty else { return }
        let statements = missing.map { "CREATE ROLE \($0) NOLOGIN;" }.joined(separator: " ")
        Console.standard.warning(
            "this login may not make roles; have a superuser make them, then run the command again: \(statements)")
    }
}

struct InventoryCopyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "copy",
        _superCommandName: "pki inventory",
        abstract: "Copy an inventory from a directory to PostgreSQL, or back.",
        discussion: """
            Every row is copied and compared. An interrupted copy goes on when it is run again, and is no inventory before it is \
            complete; a complete one has nothing to do. Tables with rows of another inventory are refused.

            A directory's commands wait meanwhile. Once its inventory is on PostgreSQL, the file inventory-elsewhere says so, and \
            commands on it without --inventory or PKI_INVENTORY are refused. Servers on PostgreSQL can run during a first copy; stop them for the last one, \
            which copies what they have changed. A directory gets the files of current certificates; CA keys and token-key stay \
            where they are.

            For example:

              pki inventory copy --from ca --to postgresql://db.example.com/pki
              pki inventory copy --from postgresql://db.example.com/pki --to new-ca
            """
    )

    @Option(help: .value("place", "The inventory: a directory, or postgresql://HOST/DATABASE."))
    var from: String

    @Option(
        help: .value("place", "The copy: a directory without an inventory, or tables that pki inventory init has made.")
    )
    var to: String

    @OptionGroup var quiet: QuietOption

    func run() throws {
        var (bar, shown): (ProgressBar?, Int) = (nil, 0)
        let outcome = try InventoryCopy.copy(from: from, to: to, by: Operator.name, now: .now) { done, total in
            if bar == nil, !quiet.quiet, total > 5_000 { bar = ProgressBar("copied", total: total) }
            bar?.advance(by: done - shown)
            shown = done
        }
        bar?.finish()
        for table in outcome.tables where table.rows > 0 {
            Console.standard.note("\(table.name): \(table.rows) rows, SHA-256 \(table.digest.prefix(16))")
        }
        if outcome.files > 0 { Console.standard.note("\(outcome.files) files were written") }
        if let key = outcome.missingKeys.first {
            Console.standard.note("copy the CA's key, and token-key, from another machine: \(key) is not there")
        }
        Console.standard.note(
            outcome.changes == 0
                ? "nothing to do: both have the same rows" : "copied: both have the same rows and digests")
    }
}
