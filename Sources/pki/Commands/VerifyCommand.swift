// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import Glibc
import SystemSupport

/// `pki verify`
struct VerifyCommand: ParsableCommand {
    /// What a certificate is verified for.
    enum Purpose: String, CaseIterable, ExpressibleByArgument {
        case rolesanywhere, client, server
    }

    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Verify a certificate up to its root, and say everything that is wrong on the way.",
        discussion: """
            The file stands first. Its first certificate is verified; others in it, and those of --intermediates, may stand between \
            it and the bundle, and are not trusted; without the option, NAME-chain.pem beside NAME-cert.pem serves. Every certificate of the path is held to the rules that pki lint \
            knows. With --crl, each list must be current and issued by a CA of the path; a certificate that no list \
            speaks of is warned of. --purpose rolesanywhere adds what AWS wants of clients, trust anchors and CRLs.

            For example:

              pki verify web-1-cert.pem
              pki verify web-1-cert.pem --bundle root-cert.pem --intermediates ops-cert.pem
              pki verify web-1-cert.pem --crl root-crl.pem --purpose rolesanywhere
              pki verify www-cert.pem --purpose server --hostname www.example.com
              pki verify web-1-cert.pem --at 2030-01-01
              pki verify web-1-cert.pem --format json | jq .path[].findings[].rule

            Exit status: 0 valid, 1 not valid, 2 a file cannot be read, 64 wrong usage.
            """
    )

    @Argument(help: ArgumentHelp("The certificate's file, - for standard input, env:NAME or fd:N.", valueName: "file"))
    var file: String

    @Option(
        name: .long,
        parsing: .upToNextOption,
        help: ArgumentHelp("Trusted certificates. (default: those of the CA's directory)", valueName: "file")
    )
    var bundle: [String] = []

    @Option(name: .long, help: ArgumentHelp("The CA's directory, whose root is trusted.", valueName: "directory"))
    var directory = CADirectoryArgument.standard

    @Option(
        name: .long,
        parsing: .upToNextOption,
        help: ArgumentHelp("Certificates that may stand in between; they are not trusted.", valueName: "file")
    )
    var intermediates: [String] = []

    @Option(
        name: .long,
        parsing: .upToNextOption,
        help: ArgumentHelp("Certificate revocation lists.", valueName: "file")
    )
    var crl: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The moment: 2030-12-31 or 2030-12-31T12:00:00Z. (default: now)",
            valueName: "moment"
        ),
        transform: Moment.argument
    )
    var at: Moment?

    @Option(
        name: .long,
        help: ArgumentHelp("What for: rolesanywhere, client or server. (default: any)", valueName: "purpose")
    )
    var purpose: Purpose?

    @Option(
        name: .long,
        help: ArgumentHelp("With server: the name or address that it is asked for.", valueName: "name")
    )
    var hostname: String?

    @Option(name: .long, help: ArgumentHelp("text or json.", valueName: "form"))
    var format = ReportFormat.text

    @OptionGroup(title: "PKCS#12")
    var passphraseOptions: PassphraseOptions

    func validate() throws {
        if hostname != nil, purpose != .server {
            throw ValidationError("--hostname goes with --purpose server")
        }
    }

    /// What pki puts beside a certificate: NAME-chain.pem beside NAME-cert.pem.
    private func chainBeside(_ file: String) -> [String] {
        guard file.hasSuffix("-cert.pem") else { return [] }
        let chain = file.dropLast("cert.pem".count) + "chain.pem"
        return FileManager.default.fileExists(atPath: String(chain)) ? [String(chain)] : []
    }

    func run() throws {
        let date = at?.date ?? .now
        let own = try CertificateFile(reading: file, passphrase: try passphraseOptions.read())
        guard let certificate = own.certificates.first else {
            throw InputError(message: "\(printable(file)) holds no certificate")
        }
        let anchors = try trusted()
        let helpers = try (intermediates.isEmpty ? chainBeside(file) : intermediates).flatMap {
            try Self.certificates($0)
        }
        let lists = try crl.flatMap { path in
            let found = try CertificateFile(reading: path).revocationLists
            if found.isEmpty { throw InputError(message: "\(printable(path)) holds no certificate revocation list") }
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
            report,
            file: file,
            purpose: purpose?.rawValue,
            hostname: hostname,
            at: date,
            isForTerminal: isatty(STDOUT_FILENO) == 1
        )
        try Console.standard.print(answer, as: format)
        if !report.isValid { throw ExitCode(ExitStatus.notNeeded) }
    }

    /// The trusted certificates: those that were named, or else the root of the CA's directory, and the one before it while it
    /// is replaced.
    private func trusted() throws -> [Certificate] {
        if !bundle.isEmpty { return try bundle.flatMap { try Self.certificates($0) } }
        do {
            return try StoredIdentity.trustedRoots(in: directory).flatMap { path, contents in
                try CertificateFile(SecretBytes(contents), named: path).certificates
            }
        } catch let error as AuthorityError where error.code == .missing {
            throw InputError(
                message: error.message,
                hint: "name the trusted certificates with --bundle, or the CA's directory with --directory"
            )
        }
    }

    private static func certificates(_ path: String) throws -> [Certificate] {
        let found = try CertificateFile(reading: path).certificates
        if found.isEmpty { throw InputError(message: "\(printable(path)) holds no certificate") }
        return found
    }
}

extension PathReport {
    /// Adds what IAM Roles Anywhere has against the path.
    fileprivate mutating func addAnywhereFindings(anchors: [Certificate], at date: Date) {
        guard let leaf = steps.first else { return }
        let broken = AnywhereRules.findings(in: leaf.certificate, as: .client, beside: leaf.findings, at: date)
        add(broken, at: 0)
        add(
            AnywhereRules.findings(inPath: steps.map(\.certificate), anchors: anchors, lists: lists.map(\.list)),
            at: 0
        )
        for (index, step) in steps.enumerated() where step.isAnchor {
            let found = AnywhereRules.findings(in: step.certificate, as: .root, beside: step.findings, at: date)
            add(found, at: index)
        }
        for index in lists.indices {
            addToList(AnywhereRules.findings(in: lists[index].list, beside: lists[index].findings), at: index)
        }
    }
}
