// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Who asks: the files of certificate, key and chain.
struct IdentityOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "The client certificate in PEM or DER; or a full chain in any order, which may hold the key too.",
            valueName: "file"
        )
    )
    var certificate: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Its private key: PKCS#8, PKCS#1 or SEC1, in PEM or DER. (default: the key in the certificate's file)",
            valueName: "file"
        )
    )
    var privateKey: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Certificates between it and the trust anchor, in any order; a root among them is left out.",
            valueName: "file"
        )
    )
    var intermediates: String?

    @Option(name: .long, help: ArgumentHelp("Open the key with the first line of this file.", valueName: "file"))
    var passphraseFile: String?

    @Option(name: .long, help: ArgumentHelp("… or of this environment variable.", valueName: "variable"))
    var passphraseEnv: String?

    @Option(name: .long, help: ArgumentHelp("… or of this open file descriptor.", valueName: "n"))
    var passphraseFd: Int32?

    @Flag(name: .long, help: "Use a key file that others than its owner may read.")
    var insecurePermissions = false

    /// The options' values.
    var settings: IdentitySettings {
        IdentitySettings(
            certificate: certificate,
            privateKey: privateKey,
            intermediates: intermediates,
            passphraseFile: passphraseFile,
            passphraseEnv: passphraseEnv,
            passphraseFd: passphraseFd,
            insecurePermissions: insecurePermissions
        )
    }
}
