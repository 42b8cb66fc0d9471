// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import AWSModel
import Certificates
import FoundationEssentials
import SystemSupport

struct VerifyCommand: ParsableCommand {
    enum Purpose: String, CaseIterable, ExpressibleByArgument {
        case rolesanywhere, client, server
    }

    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Verify a certificate up to its root, and report everything that is wrong.",
        discussion: """
            Verifies the first certificate in the file. Others in it, and those of --intermediates, are not trusted and may \
            be used in the path; without that option, NAME-chain.pem next to NAME-cert.pem is used. Every certificate of the \
            path is checked by the rules of pki lint. With --crl, each CRL must be current and issued by a CA of the path, \
            and a certificate without a CRL gets a warning. --purpose rolesanywhere adds the rules of AWS.

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

    @Argument(help: ArgumentHelp("The certificate's file, - for standard input, env:NAME or fd:N.", valueName: "file"))
    var file: String

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Trust these certificates. (default: the roots in the CA's directory)", valueName: "file"))
    var bundle: [String] = []

    @OptionGroup var directory: DirectoryOption

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Untrusted certificates that may be in the path.", valueName: "file"))
    var intermediates: [String] = []

    @Option(parsing: .upToNextOption, help: ArgumentHelp("Check revocation by these CRLs.", valueName: "file"))
    var crl: [String] = []

    @Option(
        help: ArgumentHelp(
            "Verify at this time: 2030-12-31 or 2030-12-31T12:00:00Z. (default: now)", valueName: "time"),
        transform: Moment.argument)
    var at: Moment?

    @Option(help: ArgumentHelp("The purpose: rolesanywhere, client or server. (default: any)", valueName: "purpose"))
    var purpose: Purpose?

    @Option(help: ArgumentHelp("With --purpose server: the server's name or address.", valueName: "name"))
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
        guard file.hasSuffix("-cert.pem") else { return [] }
        let chain = file.dropLast("cert.pem".count) + "chain.pem"
        return FileManager.default.fileExists(atPath: String(chain)) ? [String(chain)] : []
    }

    func run() throws {
        let date = at?.date ?? .now
        let own = try CertificateFile(reading: file, passphrase: try passphraseOptions.read())
        guard let certificate = own.certificates.first else {
            throw InputError(message: "\(printable(file)) contains no certificate")
        }
        let anchors = try trusted()
        let helpers = try (intermediates.isEmpty ? chain(of: file) : intermediates).flatMap {
            try Self.certificates($0)
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
        let answer = VerifyReport(
            report, file: file, purpose: purpose?.rawValue, hostname: hostname, at: date,
            isForTerminal: Terminal.isTerminal(StandardStream.output))
        try Console.standard.print(answer, as: format.value)
        if !report.isValid { throw ExitCode(ExitStatus.notNeeded) }
    }

    /// The certificates of --bundle, or the roots of the CA's directory: one, or two during a rotation.
    private func trusted() throws -> [Certificate] {
        if !bundle.isEmpty { return try bundle.flatMap { try Self.certificates($0) } }
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

    private static func certificates(_ path: String) throws -> [Certificate] {
        let found = try CertificateFile(reading: path).certificates
        if found.isEmpty { throw InputError(message: "\(printable(path)) contains no certificate") }
        return found
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
