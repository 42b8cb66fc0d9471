// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import FoundationEssentials
import SystemSupport

/// `pki lint`
struct LintCommand: ParsableCommand {
    /// What the objects are held to be.
    enum Kind: String, CaseIterable, ExpressibleByArgument {
        case root, intermediate, client, server, crl
    }

    static let configuration = CommandConfiguration(
        commandName: "lint",
        abstract: "Hold certificates and CRLs to the rules of RFC 5280 and IAM Roles Anywhere.",
        discussion: """
            Reads PEM with anything around it, DER, PKCS#7 and PKCS#12, and judges every certificate and CRL in it, each \
            by itself and beside its issuer, when that was read too. Each finding has the rule's name, where the rule is \
            written, what is wrong and what mends it. An error breaks a binding rule, a warning is a risk, a notice is \
            worth knowing.

            For example:

              pki lint web-1-cert.pem
              pki lint --as client --strict web-1-cert.pem root-cert.pem root-crl.pem
              pki lint --format json web-1-cert.pem | jq -r .files[].objects[].findings[].rule
              pki lint --list-rules

            Exit status: 0 clean, 1 an error was found, or with --strict a warning; 2 a file cannot be read; 64 wrong \
            usage.
            """
    )

    @Argument(help: ArgumentHelp("Files, - for standard input, env:NAME or fd:N.", valueName: "file"))
    var file: [String] = []

    @Option(
        name: .customLong("as"),
        help: ArgumentHelp(
            "What it is: root, intermediate, client, server or crl. (default: what it says it is)",
            valueName: "kind"
        )
    )
    var kind: Kind?

    @Flag(name: .long, help: "Let warnings count as errors do.")
    var strict = false

    @Flag(name: .long, help: "Print every rule, with the place where it is written.")
    var listRules = false

    @Option(name: .long, help: ArgumentHelp("text or json.", valueName: "form"))
    var format = ReportFormat.text

    @OptionGroup(title: "PKCS#12")
    var passphraseOptions: PassphraseOptions

    func validate() throws {
        if file.isEmpty, !listRules { throw ValidationError("name a file, or --list-rules") }
        if !file.isEmpty, listRules { throw ValidationError("--list-rules goes without files") }
    }

    func run() throws {
        if listRules {
            return try Console.standard.print(RuleListReport(ValidationRule.all + AnywhereRules.all), as: format)
        }
        let passphrase = try passphraseOptions.read()
        let files = try file.map { try CertificateFile(reading: $0, passphrase: passphrase) }
        for file in files where kind == .crl ? file.revocationLists.isEmpty : file.objects.isEmpty {
            let wanted = kind == .crl ? "no certificate revocation list" : "neither a certificate nor a CRL"
            throw InputError(message: "\(printable(file.name)) holds \(wanted)")
        }
        let role = kind.flatMap { CertificateRole(rawValue: $0.rawValue) }
        let report = LintReport(files.map { ($0.name, $0.objects) }, as: role, at: .now)
        try Console.standard.print(report, as: format)
        if report.counts.errors > 0 || strict && report.counts.warnings > 0 { throw ExitCode(ExitStatus.notNeeded) }
    }
}
