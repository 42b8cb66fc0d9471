// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import AWSModel
import Certificates
import FoundationEssentials
import SystemSupport

struct LintCommand: ParsableCommand {
    enum Kind: String, CaseIterable, ExpressibleByArgument {
        case root, intermediate, client, server, crl
    }

    static let configuration = CommandConfiguration(
        commandName: "lint",
        abstract: "Check certificates and CRLs by the rules of RFC 5280 and IAM Roles Anywhere.",
        discussion: """
            Reads PEM with any text around it, DER, PKCS#7 and PKCS#12, and checks every certificate and CRL, alone and \
            against its issuer if that was read too. A finding has the rule's name and source, what is wrong, and a fix. An \
            error breaks a binding rule, a warning is a risk, a notice is worth knowing.

            For example:

              pki lint web-1-cert.pem
              pki lint --as client --strict web-1-cert.pem root-cert.pem root-crl.pem
              pki lint --format json web-1-cert.pem | jq '.files[].objects[].findings'
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
            "Check as root, intermediate, client, server or crl. (default: what the contents say)", valueName: "kind"))
    var kind: Kind?

    @Flag(help: "Treat warnings as errors.")
    var strict = false

    @Flag(help: "Print every rule with its source.")
    var listRules = false

    @OptionGroup var format: FormatOption

    @OptionGroup(title: "PKCS#12")
    var passphraseOptions: PassphraseOptions<InspectedFileRole>

    func validate() throws {
        if file.isEmpty, !listRules { throw ValidationError("give a file, or --list-rules") }
        if !file.isEmpty, listRules { throw ValidationError("--list-rules cannot be used with files") }
    }

    func run() throws {
        if listRules {
            return try Console.standard.print(RuleListReport(ValidationRule.all + AWSRules.all), as: format.value)
        }
        let passphrase = try passphraseOptions.read()
        let files = try file.map { try CertificateFile(reading: $0, passphrase: passphrase) }
        for file in files where kind == .crl ? file.revocationLists.isEmpty : file.objects.isEmpty {
            let wanted = kind == .crl ? "no CRL" : "neither a certificate nor a CRL"
            throw InputError(message: "\(printable(file.name)) contains \(wanted)")
        }
        let role = kind.flatMap { CertificateRole(rawValue: $0.rawValue) }
        let report = LintReport(files.map { ($0.name, $0.objects) }, as: role, at: .now)
        try Console.standard.print(report, as: format.value)
        if report.counts.errors > 0 || strict && report.counts.warnings > 0 { throw ExitCode(ExitStatus.notNeeded) }
    }
}
