// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport

/// `pki change-passphrase`
struct ChangePassphraseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "change-passphrase",
        abstract: "Encrypt a key of the CA's directory under another passphrase.",
        discussion: """
            The key stays the same, and so do its certificates. Without options the passphrases are asked for on the \
            terminal.

            For example:

              pki change-passphrase
              pki change-passphrase web-1 --key-passphrase-file new.txt
              pki change-passphrase root --passphrase-file old.txt --no-passphrase

            A passphrase that others know is not mended by this: they may have the key. Make a new one, with pki renew \
            --rekey or pki rotate-ca.
            """
    )

    @Argument(help: ArgumentHelp("The name under which the key stands.", valueName: "name"))
    var name = "root"

    @Option(name: .long, help: ArgumentHelp("The CA's directory.", valueName: "directory"))
    var directory = CADirectoryArgument.standard

    @Option(
        name: .long,
        help: ArgumentHelp("The old passphrase is the first line of this file. (default: ask)", valueName: "file")
    )
    var passphraseFile: String?

    @Option(name: .long, help: ArgumentHelp("… or of this environment variable.", valueName: "variable"))
    var passphraseEnv: String?

    @Option(name: .long, help: ArgumentHelp("… or of this open file descriptor.", valueName: "n"))
    var passphraseFd: Int32?

    @OptionGroup var newKey: NewKeyPassphraseOptions

    @Flag(name: .long, help: "Store the key open, readable by you alone.")
    var noPassphrase = false

    func run() throws {
        let inventory = try Inventory(in: directory, by: Operator.name, now: .now)
        let old = try Passphrase(
            PassphraseSource.choose(
                file: passphraseFile,
                environment: passphraseEnv,
                descriptor: passphraseFd,
                option: "--passphrase"
            )
        )
        try old.check()
        let given = try newKey.read()
        guard given == nil || !noPassphrase else {
            throw UsageError(message: "a new passphrase and --no-passphrase cannot go together")
        }
        let path = try inventory.changePassphrase(
            of: name,
            from: { try old.read("old passphrase of \(name)") },
            to: noPassphrase ? nil : given ?? asked(),
            now: .now
        )
        Console.standard.note(
            "\(path) \(noPassphrase ? "is stored open, readable by you alone" : "has a new passphrase")"
        )
    }

    /// Asks twice, so that nobody is locked out by a slip.
    private func asked() throws -> SecretBytes {
        guard let first = try Terminal.askSecret("new passphrase of \(name)") else {
            throw UsageError(
                message: "there is no new passphrase",
                hint: "give one with --key-passphrase-file, or --no-passphrase to store the key open"
            )
        }
        let second = try Terminal.askSecret("the same once more")
        let isSame = second.map(first.isEqual) ?? false
        guard isSame else { throw InputError(message: "the two are not the same, and nothing was changed") }
        return first
    }
}
