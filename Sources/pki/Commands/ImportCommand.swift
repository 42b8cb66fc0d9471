// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import FoundationEssentials
import SystemSupport

/// `pki import`
struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Take over a CA of easy-rsa, openssl ca, mkcert or step.",
        discussion: """
            Reads the directory of a CA that other software made, or a directory of pki whose inventory is gone: certificates, \
            keys, index, revocation lists. Whose layout the directory has is told by its files. Who issued a certificate is \
            told by its signature, and whose a key is by its public half; what does not fit together is said. Encrypted keys \
            are not opened, and stay encrypted. The directory of the other CA is not changed.

            A directory of pki itself is read into its inventory again: what is missing there is added, and a damaged inventory \
            goes to the archive.

            For example:

              pki import --dry-run ~/easy-rsa/pki
              pki import ~/easy-rsa/pki --directory ca
              pki import "$(mkcert -CAROOT)" --certificates ~/sites --directory ca
              pki import --dry-run --format json ~/.step | jq .findings
              pki import credential-process-data

            Exit status: 0 done, 2 refused, 64 wrong usage.
            """
    )

    @Argument(help: ArgumentHelp("The directory of the CA.", valueName: "directory"))
    var source: String

    @Option(
        name: .long,
        parsing: .upToNextOption,
        help: ArgumentHelp("Files or directories elsewhere with certificates and keys of the CA.", valueName: "place")
    )
    var certificates: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The new CA's directory. (default: credential-process-data; a directory of pki itself stays where it is)",
            valueName: "directory"
        )
    )
    var directory: String?

    @Flag(name: .long, help: "Only say what is there, and write nothing.")
    var dryRun = false

    @Option(name: .long, help: ArgumentHelp("The form of the answer: text or json.", valueName: "form"))
    var format = ReportFormat.text

    func run() throws {
        let authority = try ImportedCA(reading: source, certificatesIn: certificates, now: .now)
        let report = ImportReport(authority)
        guard !dryRun else { return try Console.standard.print(report, as: format) }
        let target = directory ?? (authority.kind == .pki ? source : CADirectoryArgument.standard)
        let isSame = authority.kind == .pki && Self.isSameDirectory(source, target)
        let outcome =
            try isSame
            ? Inventory.rebuild(in: target, by: Operator.name, now: .now)
            : Inventory.take(authority, into: target, by: Operator.name, now: .now)
        try Console.standard.print(report, as: format)
        if let archived = outcome.archivedInventory {
            Console.standard.warning("the inventory was damaged; it is in \(archived)")
        }
        for file in outcome.skipped {
            Console.standard.warning("\(file) was left out: another certificate of its CA has the same serial number")
        }
        Console.standard.note(
            "\(outcome.certificates) certificates were taken into \(target), \(outcome.revoked) of them revoked"
                + (outcome.lost > 0 ? "; \(outcome.lost) more are known by their serial numbers alone" : "")
        )
    }

    /// Whether two paths lead to one directory.
    private static func isSameDirectory(_ path: String, _ other: String) -> Bool {
        guard let first = FileStamp(at: path), let second = FileStamp(at: other) else { return false }
        return first.isSameFile(as: second)
    }
}
