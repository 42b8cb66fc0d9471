// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Who asks: certificate, key and chain, wherever they are.
struct IdentityOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            The client certificate: a file in PEM, DER or PKCS#12, which may hold chain and key too, in any order; or - for \
            standard input, env:NAME, fd:N, or a pkcs11: URI (RFC 7512).
            """,
            valueName: "place"
        )
    )
    var certificate: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            Its private key: a file with PKCS#8, PKCS#1, SEC1, PKCS#12 or TSS2 PRIVATE KEY, encrypted or not; or -, \
            env:NAME, fd:N, a pkcs11: URI, handle:0x81… for a TPM, ssh-agent:SHA256:… for an agent. (default: the key with \
            the certificate)
            """,
            valueName: "place"
        )
    )
    var privateKey: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Certificates between it and the trust anchor, in any order; a root among them is left out.",
            valueName: "place"
        )
    )
    var intermediates: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Choose the certificate out of this directory of PEM files, or this token (pkcs11:…), by --cert-selector.",
            valueName: "place"
        )
    )
    var certificateStore: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            Which certificate: Key=x509Subject,Value=CN=web-1 and, after a blank, more of x509Issuer, x509Serial (hex), \
            x509Fingerprint (SHA-256); or file://PATH with [{"Key":"…","Value":"…"}].
            """,
            valueName: "selector"
        )
    )
    var certSelector: String?

    @Flag(name: .long, help: "Of several certificates that match, take the one that ends last.")
    var useLatestExpiringCertificate = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            Open the key with the first line of this file: a passphrase, a token's PIN, a TPM key's password. (default: ask \
            on the terminal)
            """,
            valueName: "file"
        )
    )
    var passphraseFile: String?

    @Option(name: .long, help: ArgumentHelp("… or of this environment variable.", valueName: "variable"))
    var passphraseEnv: String?

    @Option(name: .long, help: ArgumentHelp("… or of this open file descriptor.", valueName: "n"))
    var passphraseFd: Int32?

    @Flag(name: .long, help: "Use a key file that others than its owner may read.")
    var insecurePermissions = false

    @OptionGroup var device: DeviceOptions

    @Option(name: .long, help: ArgumentHelp("As --passphrase-file, with everybody looking on.", visibility: .hidden))
    var pkcs8Password: String?

    @Option(name: .long, help: ArgumentHelp("A certificate store of Windows.", visibility: .hidden))
    var systemStoreName: String?

    func validate() throws {
        if let systemStoreName, systemStoreName.uppercased() != "MY" {
            throw ValidationError(
                "--system-store-name is for Windows; here certificates are chosen with --certificate-store and --cert-selector"
            )
        }
    }

    /// The options' values.
    var settings: IdentitySettings {
        IdentitySettings(
            certificate: certificate,
            privateKey: privateKey,
            intermediates: intermediates,
            certificateStore: certificateStore,
            certSelector: certSelector,
            useLatestExpiringCertificate: useLatestExpiringCertificate,
            passphraseFile: passphraseFile,
            passphraseEnv: passphraseEnv,
            passphraseFd: passphraseFd,
            pkcs8Password: pkcs8Password,
            insecurePermissions: insecurePermissions,
            device: device.settings
        )
    }
}
