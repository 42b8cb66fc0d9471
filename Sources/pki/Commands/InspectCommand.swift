// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import FoundationEssentials

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show a certificate, request, CRL, key or bundle, and whether AWS accepts it.",
        discussion: """
            Reads PEM with any text around it, DER and PKCS#12. For a client certificate it shows whether IAM Roles Anywhere \
            accepts it, every rule that it breaks, and the tags and SourceIdentity of its sessions; for a CA certificate \
            whether it can be a trust anchor; for a CRL whether it can be imported. Private keys are described, never shown. \
            Matching keys, certificates and issuers are found across all files.

            For example:

              pki inspect web-1-cert.pem
              pki inspect web-1-cert.pem web-1-key.pem root-cert.pem
              pki inspect --passphrase-env PASSPHRASE web-1.p12
              openssl s_client -connect example.com:443 -showcerts </dev/null |
                pki inspect -
              pki inspect 'pkcs11:token=web;type=cert'
              pki inspect --format json web-1-cert.pem | jq '.objects[0].rolesAnywhere'

            Exit status: 0 read, whatever was found; 2 cannot be read; 64 wrong usage.
            """
    )

    @Argument(
        help: ArgumentHelp(
            """
            A file, - for standard input, env:NAME, fd:N, a pkcs11: URI (RFC 7512) of certificates, handle:0x81… for a key in \
            a TPM, ssh-agent:SHA256:… for one in an agent.
            """,
            valueName: "path"
        )
    )
    var source: [String]

    @OptionGroup var format: FormatOption

    @OptionGroup var passphraseOptions: PassphraseOptions<InspectedFileRole>

    @OptionGroup var device: DeviceOptions

    func run() throws {
        let passphrase = try passphraseOptions.read()
        let opener = KeyOpener(device, passphrase: Passphrase(given: passphrase))
        // All files are read first, so that nothing is printed if one cannot be read.
        let files = try source.map { try InspectedFile(reading: $0, passphrase: passphrase, opener: opener) }
        for (index, report) in InspectReport.reports(on: files, at: .now).enumerated() {
            if index > 0, format.value == .text { try Console.standard.write("\n") }
            try Console.standard.print(report, as: format.value)
        }
    }
}
