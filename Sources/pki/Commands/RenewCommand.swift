// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials

/// `pki renew`
struct RenewCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "renew",
        abstract: "Issue a certificate again before it ends: same names, same profile, new life.",
        discussion: """
            The old files go to the directory's archive, and the place is never empty: what reads the files meanwhile gets the \
            old certificate or the new one. pki serve and pki update take up a renewed pair by themselves.

            For example:

              pki renew web-1
              pki renew web-1 --rekey --exec 'systemctl reload nginx'
              pki renew --all --if-expires-within 30d

            The last one is for a timer: templates/systemd/pki-renew.timer. The hook runs after each renewal with \
            PKI_NAME, PKI_CERTIFICATE, PKI_KEY, PKI_CHAIN and PKI_SERIAL set, by /bin/sh.

            Exit status: 0 renewed, 1 nothing had to be, 2 something could not be.
            """
    )

    @Argument(help: ArgumentHelp("The name, or the serial number.", valueName: "name"))
    var reference: [String] = []

    @Flag(name: .long, help: "Every certificate that stands under its name, but for roots.")
    var all = false

    @Option(name: .long, help: ArgumentHelp("The CA's directory.", valueName: "directory"))
    var directory = CADirectoryArgument.standard

    @Option(
        name: .long,
        help: ArgumentHelp("Only what ends within this span: 30d, 12h, 2w.", valueName: "span"),
        transform: Duration.argument
    )
    var ifExpiresWithin: Duration?

    @Flag(name: .long, help: "Make a new key too, of the same kind. With --all, CAs keep theirs.")
    var rekey = false

    @Option(name: .long, help: ArgumentHelp("With --rekey: the kind of the new key.", valueName: "kind"))
    var keyType: KeyType?

    @OptionGroup var validity: LifetimeOptions

    @OptionGroup var insecure: InsecureNamesOption

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The CA that issues. With --all: only what this CA issued. (default: the one before)",
            valueName: "name"
        )
    )
    var issuer: String?

    @Option(name: .customLong("exec"), help: ArgumentHelp("Run this command after each renewal.", valueName: "command"))
    var hook: String?

    @Option(name: .long, help: ArgumentHelp("The form of the answer: text or json.", valueName: "form"))
    var format = ReportFormat.text

    @OptionGroup(title: "The new key")
    var newKey: NewKeyPassphraseOptions

    @OptionGroup(title: "The CA's key")
    var caKey: AuthorityKeyOptions

    func validate() throws {
        guard all != !reference.isEmpty else {
            throw ValidationError(all ? "--all and names cannot go together" : "say what to renew: a name, or --all")
        }
        guard rekey || keyType == nil else { throw ValidationError("--key-type goes with --rekey") }
    }

    func run() async throws {
        let inventory = try Inventory(in: directory, by: Operator.name, now: .now)
        let passphrase = try caKey.passphrase()
        var request = RenewalRequest()
        request.makesNewKey = rekey
        request.keyType = keyType
        request.lifetime = try validity.lifetime
        request.allowsInsecureNames = insecure.insecureNames
        request.passphrase = try newKey.read()

        var issuers: [String: CertificateAuthority] = [:]
        var reports: [IssueReport] = []
        var failures = 0
        // What a CA issued is renewed under its new certificate, whose end may be a later one.
        for entry in try entries(in: inventory).issuersFirst() {
            do {
                if let span = ifExpiresWithin, entry.notAfter > Date.now.addingTimeInterval(span.timeInterval) {
                    continue
                }
                let name = try issuerName(of: entry, in: inventory)
                let authority = try issuers[name] ?? caKey.open(directory, issuer: name, passphrase: passphrase)
                issuers[name] = authority
                var own = request
                if all, rekey, entry.isCA {
                    Console.standard.note("the CA \(entry.name) keeps its key, for what it has issued")
                    (own.makesNewKey, own.keyType, own.passphrase) = (false, nil, nil)
                }
                var generator = SystemRandomNumberGenerator()
                let issued = try authority.renew(entry, own, now: .now, using: &generator)
                for notice in issued.notices { Console.standard.warning("\(entry.name): \(notice)") }
                reports.append(IssueReport(issued, next: nil))
                if entry.isCA { issuers = [:] }
                if let hook { try await run(hook, name: entry.name, issued) }
            } catch {
                // One that cannot be renewed must not keep the others from it.
                guard all || reference.count > 1 else { throw error }
                Console.standard.report(error)
                failures += 1
            }
        }
        try Console.standard.print(RenewalReport(renewed: reports), as: format)
        if failures > 0 { throw ExitCode(ExitStatus.failed) }
        if reports.isEmpty { throw ExitCode(ExitStatus.notNeeded) }
    }

    private func entries(in inventory: Inventory) throws -> [InventoryEntry] {
        guard all else { return try reference.map(inventory.entry) }
        let now = Date.now
        return try inventory.entries(InventoryQuery(at: now)).filter { entry in
            guard !entry.isSelfSigned, entry.revocation == nil, entry.name != CertificateAuthority.crossName else {
                return false
            }
            return try issuer == nil || inventory.issuerName(of: entry) == issuer
        }
    }

    /// The CA that issued the old certificate; in the place of a root that is on its way out, the new one.
    private func issuerName(of entry: InventoryEntry, in inventory: Inventory) throws -> String {
        if let issuer, !all { return issuer }
        guard let name = try inventory.issuerName(of: entry) else {
            throw InputError(
                message: "the CA that issued \(entry.name) is not in \(directory)",
                hint: "name another with --issuer, or import its directory: pki import --help"
            )
        }
        return name == CertificateAuthority.previousRootName ? CertificateAuthority.rootName : name
    }

    private func run(_ hook: String, name: String, _ issued: IssuedCertificate) async throws {
        var environment = ProcessInfo.processInfo.environment
        environment["PKI_NAME"] = name
        environment["PKI_CERTIFICATE"] = issued.certificatePath
        environment["PKI_KEY"] = issued.keyPath ?? issued.keyAddress
        environment["PKI_CHAIN"] = issued.chainPath
        environment["PKI_SERIAL"] = issued.certificate.serialNumber.hexadecimal
        let status = try await ShellCommand.run(hook, environment: environment)
        guard status == 0 else {
            throw InputError(
                message: "\(name) was renewed, and the command after it ended with status \(status): \(hook)",
                hint: "run it by hand; the certificate is \(issued.certificatePath)"
            )
        }
    }
}

/// What `renew` answers.
struct RenewalReport: Report {
    /// The new certificates.
    var renewed: [IssueReport]

    var text: String {
        renewed.isEmpty ? "nothing to renew" : renewed.map(\.text).joined(separator: "\n\n")
    }
}
