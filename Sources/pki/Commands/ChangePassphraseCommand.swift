// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport

struct ChangePassphraseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "change-passphrase",
        abstract: "Change the passphrase of a key in the CA's directory.",
        discussion: """
            The key and its certificates stay the same. Without options, the passphrases are asked for on the terminal.

            For example:

              pki change-passphrase
              pki change-passphrase web-1 --key-passphrase-file new.txt
              pki change-passphrase root --passphrase-file old.txt --no-passphrase

            If others know the passphrase, they may have the key: create a new key with pki renew --rekey or pki rotate-ca.
            """
    )

    @Argument(help: ArgumentHelp("The name of the key.", valueName: "name"))
    var name = "root"

    @OptionGroup var directory: DirectoryOption

    @OptionGroup var oldKey: PassphraseOptions<StoredKeyRole>

    @OptionGroup var newKey: PassphraseOptions<NewKeyRole>

    @Flag(help: "Store the key unencrypted, readable by you alone.")
    var noPassphrase = false

    func run() throws {
        let inventory = try Inventory(in: directory.path, by: Operator.name, now: .now)
        let old = try oldKey.passphrase()
        let given = try newKey.read()
        guard given == nil || !noPassphrase else {
            throw UsageError(message: "a new passphrase cannot be used with --no-passphrase")
        }
        let path = try inventory.changePassphrase(
            of: name,
            from: { try old.read("old passphrase of \(name)") },
            to: noPassphrase ? nil : given ?? asked(),
            now: .now
        )
        Console.standard.note(
            "\(path) \(noPassphrase ? "is stored unencrypted, readable by you alone" : "has a new passphrase")")
    }

    /// Asks twice, to catch a typing error.
    private func asked() throws -> SecretBytes {
        guard let first = try Terminal.askSecret("new passphrase of \(name)") else {
            throw UsageError(
                message: "there is no new passphrase",
                hint: "give one with --key-passphrase-file, or --no-passphrase to store the key unencrypted")
        }
        let second = try Terminal.askSecret("new passphrase again")
        guard let second, first.isEqual(to: second) else {
            throw InputError(message: "the passphrases differ; nothing was changed")
        }
        return first
    }
}
