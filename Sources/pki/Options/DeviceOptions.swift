// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// How tokens and TPMs are spoken to.
struct DeviceOptions: ParsableArguments {
    @Option(
        name: .customLong("pkcs11-lib"),
        help: ArgumentHelp(
            "The PKCS#11 module for pkcs11: URIs without module-path. (default: those that p11-kit is configured with)",
            valueName: "file"
        )
    )
    var pkcs11Library: String?

    @Flag(
        name: .long,
        help: "Give a key that wants the PIN for each signature the one of the login, and do not ask again."
    )
    var reusePin = false

    @Flag(name: .long, help: "The TPM key has no password: do not ask for one.")
    var noTpmKeyPassword = false

    @Option(name: .long, help: ArgumentHelp("As --passphrase-file, with everybody looking on.", visibility: .hidden))
    var tpmKeyPassword: String?

    func validate() throws {
        if noTpmKeyPassword, tpmKeyPassword != nil {
            throw ValidationError("--tpm-key-password and --no-tpm-key-password cannot go together")
        }
    }

    /// The options' values.
    var settings: DeviceSettings {
        DeviceSettings(
            pkcs11Library: pkcs11Library,
            reusePin: reusePin,
            noTpmKeyPassword: noTpmKeyPassword,
            tpmKeyPassword: tpmKeyPassword
        )
    }
}

/// The values of ``DeviceOptions``.
struct DeviceSettings: Sendable {
    var pkcs11Library: String?
    var reusePin = false
    var noTpmKeyPassword = false
    var tpmKeyPassword: String?
}
