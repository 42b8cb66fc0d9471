// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import AWSModel
import Certificates
import FoundationEssentials
import SystemSupport

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        _superCommandName: "pki",
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
        help: .value(
            "path",
            """
            A file, - for standard input, env:NAME, fd:N, a pkcs11: URI (RFC 7512) of certificates, handle:0x81… for a key in \
            a TPM, ssh-agent:SHA256:… for one in an agent.
            """),
        completion: .file()
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

struct LintCommand: ParsableCommand {
    enum Kind: String, CaseIterable, ExpressibleByArgument {
        case root, intermediate, client, server, crl
    }

    static let configuration = CommandConfiguration(
        commandName: "lint",
        _superCommandName: "pki",
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

    @Argument(help: .value("file", "Files, - for standard input, env:NAME or fd:N."), completion: .file())
    var file: [String] = []

    @Option(
        name: .customLong("as"),
        help: .value("kind", "Check as this kind. (default: by the contents)"))
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
            return try Console.standard.print(
                RuleListReport(rules: ValidationRule.all + AWSRules.all), as: format.value)
        }
        let passphrase = try passphraseOptions.read()
        let files = try file.map { try CertificateFile(reading: $0, passphrase: passphrase) }
        for file in files where kind == .crl ? file.revocationLists.isEmpty : file.objects.isEmpty {
            let missing = kind == .crl ? "no CRL" : "neither a certificate nor a CRL"
            throw InputError(message: "\(printable(file.name)) contains \(missing)")
        }
        let role = kind.flatMap { CertificateRole(rawValue: $0.rawValue) }
        let report = LintReport(files.map { ($0.name, $0.objects) }, as: role, at: .now)
        try Console.standard.print(report, as: format.value)
        if report.counts.errors > 0 || strict && report.counts.warnings > 0 { throw ExitCode(ExitStatus.checkFailed) }
    }
}

struct VerifyCommand: ParsableCommand {
    enum Purpose: String, CaseIterable, ExpressibleByArgument {
        case rolesanywhere, client, server
    }

    static let configuration = CommandConfiguration(
        commandName: "verify",
        _superCommandName: "pki",
        abstract: "Verify a certificate up to its root, and report everything that is wrong.",
        discussion: """
            Verifies the first certificate in the file. Others in it, and those of --intermediates, are not trusted and may \
            be used in the path; without that option, NAME-chain.pem next to NAME-cert.pem is used. Every certificate of the \
            path is checked by the rules of pki lint. With --crl, each CRL must be current and issued by a CA of the path, \
            and a certificate without a CRL gets a warning. Without --bundle, the inventory and the CRLs in the CA's directory \
            tell which certificates are revoked. --purpose rolesanywhere adds the rules of AWS.

            For example:

              pki verify web-1-cert.pem
              pki verify web-1-cert.pem --bundle root-cert.pem \\
                --intermediates ops-cert.pem
              pki verify web-1-cert.pem --crl root-crl.pem --purpose rolesanywhere
              pki verify www-cert.pem --purpose server --hostname www.example.com
              pki verify web-1-cert.pem --at 2030-01-01
              pki verify web-1-cert.pem --format json | jq '.path[].findings[].rule'

            Exit status: 0 valid, 1 not valid, 2 a file cannot be read, 64 wrong usage.
            """
    )

    @Argument(
        help: .value("file", "The certificate's file, - for standard input, env:NAME or fd:N."), completion: .file())
    var file: String

    @Option(
        parsing: .upToNextOption,
        help: .value("file", "Trust these certificates. (default: the roots in the CA's directory)"),
        completion: .file())
    var bundle: [String] = []

    @OptionGroup var directory: DirectoryOption

    @Option(
        parsing: .upToNextOption, help: .value("file", "Untrusted certificates that may be in the path."),
        completion: .file())
    var intermediates: [String] = []

    @Option(parsing: .upToNextOption, help: .value("file", "Check revocation by these CRLs."), completion: .file())
    var crl: [String] = []

    @Option(
        help: .value("time", "Verify at this time: 2030-12-31 or 2030-12-31T12:00:00Z. (default: now)"),
        transform: Timestamp.argument)
    var at: Timestamp?

    @Option(help: .value("purpose", "The purpose. (default: any)"))
    var purpose: Purpose?

    @Option(help: .value("name", "With --purpose server: the server's name or address."))
    var hostname: String?

    @OptionGroup var format: FormatOption

    @OptionGroup(title: "PKCS#12")
    var passphraseOptions: PassphraseOptions<InspectedFileRole>

    func validate() throws {
        if hostname != nil, purpose != .server {
            throw ValidationError("--hostname requires --purpose server")
        }
    }

    /// The chain that pki writes next to a certificate.
    private func chain(of file: String) -> [String] {
        guard let chain = FilePath.sibling(.chain, of: file), FileStatus(at: chain) != nil else { return [] }
        return [chain]
    }

    func run() throws {
        let date = at?.date ?? .now
        let own = try CertificateFile(reading: file, passphrase: try passphraseOptions.read())
        let certificate = try own.requiredCertificates()[0]
        let anchors = try trusted()
        let helpers = try (intermediates.isEmpty ? chain(of: file) : intermediates).flatMap {
            try CertificateFile(reading: $0).requiredCertificates()
        }
        let lists = try crl.flatMap { path in
            let found = try CertificateFile(reading: path).revocationLists
            if found.isEmpty { throw InputError(message: "\(printable(path)) contains no CRL") }
            return found
        }
        var report = CertificateVerifier(anchors: anchors).report(
            on: certificate,
            intermediates: own.certificates.dropFirst() + helpers,
            lists: lists,
            purpose: purpose.flatMap { VerificationPurpose(rawValue: $0.rawValue) },
            host: hostname,
            at: date
        )
        if purpose == .rolesanywhere { report.addAnywhereFindings(anchors: anchors, at: date) }
        if bundle.isEmpty {
            let known = try Inventory.standings(of: report.steps.map(\.certificate), in: directory.path)
            for case (let index, (let revocation, let source)?) in known.map(\.revocation).enumerated() {
                report.markRevoked(
                    at: index, date: revocation.date, reason: revocation.reason, source: printable(source))
            }
        }
        let answer = VerifyReport(
            path: report, file: file, purpose: purpose?.rawValue, hostname: hostname, date: date,
            isForTerminal: Terminal.isTerminal(StandardStream.output))
        try Console.standard.print(answer, as: format.value)
        if !report.isValid { throw ExitCode(ExitStatus.checkFailed) }
    }

    /// The certificates of --bundle, or the roots of the CA's directory: one, or two during a rotation.
    private func trusted() throws -> [Certificate] {
        if !bundle.isEmpty { return try bundle.flatMap { try CertificateFile(reading: $0).requiredCertificates() } }
        do {
            return try StoredIdentity.trustedRoots(in: directory.path).flatMap { path, contents in
                try CertificateFile(SecretBytes(contents), named: path).certificates
            }
        } catch let error as AuthorityError where error.code == .missing {
            throw InputError(
                message: error.message,
                hint: "give the trusted certificates with --bundle, or the CA's directory with --directory")
        }
    }
}

extension PathReport {
    /// Adds the rules of IAM Roles Anywhere that the path breaks.
    fileprivate mutating func addAnywhereFindings(anchors: [Certificate], at date: Date) {
        guard let leaf = steps.first else { return }
        let path = AnchoredPath(path: steps.map(\.certificate), anchors: anchors, lists: lists.map(\.list))
        add(AWSRules.client.findings(in: DatedCertificate(leaf.certificate, at: date), beside: leaf.findings), at: 0)
        let bundle = AWSRules.bundle.findings(in: Array(Set(anchors))).errors
            .map { RuleViolation($0.rule, "is below a trust anchor that \($0.finding)", hint: $0.hint) }
        add(AWSRules.path.findings(in: path) + bundle, at: 0)
        for (index, step) in steps.enumerated() where step.isAnchor {
            let dated = DatedCertificate(step.certificate, at: date)
            add(AWSRules.anchor.findings(in: dated, beside: step.findings), at: index)
        }
        for index in lists.indices {
            addToList(AWSRules.revocationList.findings(in: lists[index].list, beside: lists[index].findings), at: index)
        }
    }
}
