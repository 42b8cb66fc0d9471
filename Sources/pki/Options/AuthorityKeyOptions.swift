// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials

/// Where a CA's key is and what opens it.
struct AuthorityKeyOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            Where the CA key is: a file, a pkcs11: URI, handle:0x81… for a TPM, ssh-agent:SHA256:…, -, env:NAME or fd:N. \
            (default: the directory's ISSUER-key.pem, else what its ISSUER-key.uri says)
            """,
            valueName: "place"
        )
    )
    var caKey: String?

    @OptionGroup var device: DeviceOptions

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Open the CA key (passphrase, PIN, password) with the first line of this file. (default: ask on the terminal)",
            valueName: "file"
        )
    )
    var passphraseFile: String?

    @Option(name: .long, help: ArgumentHelp("… or of this environment variable.", valueName: "variable"))
    var passphraseEnv: String?

    @Option(name: .long, help: ArgumentHelp("… or of this open file descriptor.", valueName: "n"))
    var passphraseFd: Int32?

    /// Reads where the secret is.
    ///
    /// - Returns: The secret, read when it is needed.
    /// - Throws: ``UsageError`` or what a place that cannot be read throws.
    func passphrase() throws -> Passphrase {
        let passphrase = try Passphrase(
            PassphraseSource.choose(
                file: passphraseFile,
                environment: passphraseEnv,
                descriptor: passphraseFd,
                option: "--passphrase"
            )
        )
        try passphrase.check()
        return passphrase
    }

    /// Opens a CA.
    ///
    /// - Parameters:
    ///   - directory: The CA's directory.
    ///   - issuer: The CA's name; without one, the root or the only CA whose key is there.
    ///   - passphrase: What opens the key.
    ///   - now: The moment.
    /// - Returns: The CA.
    /// - Throws: An `ExplainedError`.
    func open(
        _ directory: String,
        issuer: String? = nil,
        passphrase: Passphrase? = nil,
        now: Date = .now
    ) throws -> CertificateAuthority {
        let passphrase = try passphrase ?? self.passphrase()
        let opener = KeyOpener(device.settings, passphrase: passphrase)
        let authority = try CertificateAuthority(
            openingIn: directory,
            issuer: issuer,
            by: Operator.name,
            now: now,
            keyAddress: caKey,
            passphrase: { try passphrase.read("passphrase of the CA key") },
            openKey: { address, certificate in
                try opener.key(at: KeyLocation(address), for: [certificate])
            }
        )
        if issuer == nil, authority.name != CertificateAuthority.rootName {
            Console.standard.note("the root's key is not in \(directory): the CA \(authority.name) issues")
        }
        return authority
    }
}
