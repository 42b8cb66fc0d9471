// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import FoundationEssentials

/// `pki inspect`
struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show what a certificate, request, CRL, key or bundle holds, and what AWS would make of it.",
        discussion: """
            Reads PEM with anything around it, DER and PKCS#12. For a client's certificate it says whether IAM Roles \
            Anywhere would take it, with every rule that it breaks, and which tags and SourceIdentity its sessions get; \
            for a CA's certificate whether it can be a trust anchor; for a CRL whether it can be imported. Private keys \
            are described and never shown. Given several files, it finds what belongs together across all of them.

            For example:

              pki inspect web-1-cert.pem
              pki inspect web-1-cert.pem web-1-key.pem root-cert.pem
              pki inspect --passphrase-env PASSPHRASE web-1.p12
              openssl s_client -connect example.com:443 -showcerts </dev/null | pki inspect -
              pki inspect 'pkcs11:token=web;type=cert'
              pki inspect --format json web-1-cert.pem | jq .objects[0].rolesAnywhere

            Exit status: 0 read, whatever the verdict; 2 cannot be read; 64 wrong usage.
            """
    )

    @Argument(
        help: ArgumentHelp(
            """
            What to look at: a file, - for standard input, env:NAME, fd:N, a pkcs11: URI (RFC 7512) of certificates, \
            handle:0x81… for a key in a TPM, ssh-agent:SHA256:… for one in an agent.
            """,
            valueName: "place"
        )
    )
    var source: [String]

    @Option(name: .long, help: ArgumentHelp("text, or json: one object for each file.", valueName: "form"))
    var format = ReportFormat.text

    @Option(
        name: .long,
        help: ArgumentHelp("Open keys and containers with the first line of this file.", valueName: "file")
    )
    var passphraseFile: String?

    @Option(name: .long, help: ArgumentHelp("… or of this environment variable.", valueName: "variable"))
    var passphraseEnv: String?

    @Option(name: .long, help: ArgumentHelp("… or of this open file descriptor.", valueName: "n"))
    var passphraseFd: Int32?

    @Option(
        name: .customLong("pkcs11-lib"),
        help: ArgumentHelp(
            "The PKCS#11 module for pkcs11: URIs without module-path. (default: those that p11-kit is configured with)",
            valueName: "file"
        )
    )
    var pkcs11Library: String?

    func run() throws {
        let passphrase = try PassphraseSource.choose(
            file: passphraseFile,
            environment: passphraseEnv,
            descriptor: passphraseFd,
            option: "--passphrase"
        )?.read()
        let opener = KeyOpener(
            DeviceSettings(pkcs11Library: pkcs11Library),
            passphrase: Passphrase(given: passphrase)
        )
        // All are read before the first is shown, so that a failure leaves nothing on standard output.
        let files = try source.map { try InspectedFile(reading: $0, passphrase: passphrase, opener: opener) }
        for (index, report) in InspectReport.reports(on: files, at: .now).enumerated() {
            if index > 0, format == .text { try Console.standard.write("\n") }
            try Console.standard.print(report, as: format)
        }
    }
}
