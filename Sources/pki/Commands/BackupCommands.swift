// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import FoundationEssentials
import SystemSupport

struct BackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        _superCommandName: "pki",
        abstract: "Write the CA's directory to one file: keys, certificates, inventory.",
        discussion: """
            The file is consistent while other commands write: they wait until it is complete. It is read again and \
            verified before it gets its name, is readable by you alone, and never replaces a file. Keys are in it as \
            they are in the directory; keep it as safe as that.

            An inventory on PostgreSQL is read as it is at one time, and nothing waits for it; pki restore makes a directory with the \
            files of all certificates, and pki inventory copy leads back to a server.

            The file is an SQLite database; sqlite3 FILE -A --list shows the files in it.

            For example:

              pki backup /mnt/vault/ca-2026-12-01.backup
              pki backup --directory ca ca.backup && age -r KEY -o ca.age ca.backup
              pki restore --verify ca.backup

            Exit status: 0 done, 2 refused, 64 wrong usage.
            """
    )

    @Argument(help: .value("file", "The new file."), completion: .file())
    var file: String

    @OptionGroup var directory: InventoryOptions

    @OptionGroup var format: FormatOption

    func run() throws {
        // Of a server's inventory nothing is changed, also not its lock.
        let inventory = try directory.address == nil ? directory.inventory() : directory.readInventory()
        let summary = try inventory.backUp(to: file, now: .now)
        try Console.standard.print(BackupReport(file: file, directory: nil, summary: summary), as: format.value)
        for path in summary.skipped {
            Console.standard.warning(
                "\(directory.path)/\(path) is not in the backup: it is no regular file, or its name is not allowed")
        }
        if summary.openKeys > 0 {
            let keys = summary.openKeys == 1 ? "1 private key is" : "\(summary.openKeys) private keys are"
            Console.standard.warning("\(keys) not encrypted in the backup: keep it as safe as the directory")
        }
    }
}

struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        _superCommandName: "pki",
        abstract: "Make a CA's directory from a backup.",
        discussion: """
            Verifies the whole file first, then makes a new directory; nothing is overwritten. What was issued or \
            revoked after the backup is not known: revoke again what was, and import the next CRL, whose number is \
            above any that the lost directory used.

            For example:

              pki restore ca.backup --directory ca
              pki restore --verify ca.backup

            Exit status: 0 done, 2 refused, 64 wrong usage.
            """
    )

    @Argument(help: .value("file", "The file that pki backup wrote."), completion: .file())
    var file: String

    @OptionGroup var directory: DirectoryOption

    @Flag(help: "Only verify the file; write nothing.")
    var verify = false

    @OptionGroup var format: FormatOption

    func run() throws {
        let backup = try Backup(reading: file)
        if backup.summary.isExposed {
            Console.standard.warning(
                "\(file) can be used by others than you; it holds keys: chmod 600 \(Quoting.shell(file))")
        }
        if !verify { try backup.restore(to: directory.path, by: Operator.name, now: .now) }
        let report = BackupReport(file: file, directory: verify ? nil : directory.path, summary: backup.summary)
        try Console.standard.print(report, as: format.value)
        guard !verify else { return }
        Console.standard.warning(
            "what was issued or revoked after \(CivilTime(backup.summary.madeAt).extended) is not known here")
        let lists = try directory.readInventory().authorityStatuses().filter {
            $0.revocationList != nil || $0.hasUnlistedRevocations
        }.map { $0.entry.name == "root" ? "pki crl" : "pki crl --issuer \($0.entry.name)" }
        let commands = (["pki doctor"] + lists).map { $0 + directory.argument }
        Console.standard.note("next: \(commands.joined(separator: ", then "))")
    }
}

private struct BackupReport: ModelReport {
    let file: String
    let directory: String?
    let summary: Backup.Summary

    var members: JSONMembers {
        [
            "file": file, "directory": directory, "madeAt": summary.madeAt, "files": summary.files,
            "certificates": summary.certificates, "unencryptedKeys": summary.openKeys,
            "digest": hexadecimal(summary.digest),
        ]
    }

    var text: String {
        labelledLines([
            ("backup", file), ("directory", directory), ("made", CivilTime(summary.madeAt).extended),
            ("certificates", "\(summary.certificates)"), ("files", "\(summary.files)"),
            ("digest", hexadecimal(summary.digest)),
        ])
    }
}
