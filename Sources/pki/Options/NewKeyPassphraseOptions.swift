// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import SystemSupport

/// What a new key's file is encrypted under.
struct NewKeyPassphraseOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Encrypt the new key under the first line of this file; in a token: its PIN is there.",
            valueName: "file"
        )
    )
    var keyPassphraseFile: String?

    @Option(name: .long, help: ArgumentHelp("… or of this environment variable.", valueName: "variable"))
    var keyPassphraseEnv: String?

    @Option(name: .long, help: ArgumentHelp("… or of this open file descriptor.", valueName: "n"))
    var keyPassphraseFd: Int32?

    /// Reads the passphrase.
    ///
    /// - Returns: The passphrase; nothing when none was given.
    /// - Throws: ``UsageError`` or what a place that cannot be read throws.
    func read() throws -> SecretBytes? {
        try PassphraseSource.choose(
            file: keyPassphraseFile,
            environment: keyPassphraseEnv,
            descriptor: keyPassphraseFd,
            option: "--key-passphrase"
        )?.read()
    }
}
