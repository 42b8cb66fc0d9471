// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport

struct RenewCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "renew",
        _superCommandName: "pki",
        abstract: "Renew certificates: same names, same profile, new validity.",
        discussion: """
            The old files are moved to the directory's archive. The files always exist: a program that reads them gets the old \
            certificate or the new one. pki serve and pki update load a renewed pair automatically.

            For example:

              pki renew web-1
              pki renew web-1 --rekey --exec 'systemctl reload nginx'
              pki renew --all --if-expires-within 30d
              pki renew web-1 --server https://ca:8443 --if-expires-within 56h

            The unit pki-renew.timer runs the last but one every day. The --exec command runs under /bin/sh with \
            PKI_NAME, PKI_CERTIFICATE, PKI_KEY, PKI_CHAIN and PKI_SERIAL set.

            With --server, pki serve-ca renews a certificate of this host, which pki enrol made, by EST; the certificate itself \
            is the proof. It gets a new key unless --reuse-key is given. The old files go to the directory archive beside them. \
            A renewal that was interrupted is continued with the same key. The timer pki-enrolled@NAME.timer does it several \
            times a day.

            Exit status: 0 renewed or nothing due, 2 a renewal failed; with --exit-code, 1 nothing due; with --server, 69 the \
            server does not answer, 77 it refuses.
            """
    )

    @Argument(help: .value("name", "Names or serial numbers."), completion: .known(.certificates))
    var reference: [String] = []

    @Flag(help: "Renew all current certificates except roots and what hosts got from pki serve-ca.")
    var all = false

    @OptionGroup var directory: DirectoryOption

    @Option(
        help: .value(
            "time",
            "Renew only what expires within this time: 30d, 12h, 2w. With --all or --server, half of a lifetime hardly longer."
        ),
        transform: Duration.argument)
    var ifExpiresWithin: Duration?

    @Flag(help: "Create a new key of the same type. With --all, CAs keep their keys.")
    var rekey = false

    @Option(help: .value("type", "The type of the new key, with --rekey. (default: the old one's)"))
    var keyType: KeyType?

    @OptionGroup var validity: LifetimeOptions

    @OptionGroup var insecure: InsecureNamesOption

    @Option(
        help: .value(
            "name", "Issue from this CA (default: the old issuer). With --all: renew only what this CA issued."),
        completion: .known(.authorities))
    var issuer: String?

    @Option(name: .customLong("exec"), help: .value("command", "Run this command after each renewal."))
    var hook: String?

    @Flag(help: "Exit with status 1 if nothing was due.")
    var exitCode = false

    @OptionGroup var format: FormatOption

    @OptionGroup(title: "A host's certificate")
    var host: ServerRenewalOptions

    @OptionGroup(title: "The new key")
    var newKey: NewPassphraseOptions<NewKeyRole>

    @OptionGroup(title: "The CA's key")
    var caKey: AuthorityKeyOptions

    func validate() throws {
        if host.server != nil { return try validateForServer() }
        guard !host.isGiven else {
            throw ValidationError("--certificate, --private-key, --ca-bundle and --reuse-key require --server")
        }
        guard all != !reference.isEmpty else {
            throw ValidationError(all ? "--all cannot be used with names" : "give the names to renew, or --all")
        }
        guard rekey || keyType == nil else { throw ValidationError("--key-type requires --rekey") }
    }

    private func validateForServer() throws {
        guard !all, issuer == nil, !insecure.insecureNames, try validity.lifetime == nil, !newKey.given.isGiven,
            !newKey.askPassphrase, caKey.caKey == nil
        else {
            throw ValidationError(
                "--server excludes --all, and options on the CA, the lifetime, the names and a new passphrase")
        }
        guard reference.count == (host.certificate == nil ? 1 : 0), host.certificate != nil || host.privateKey == nil
        else { throw ValidationError("--server takes one name, or --certificate and --private-key") }
        guard !host.reuseKey || !rekey && keyType == nil else {
            throw ValidationError("--reuse-key cannot be used with --rekey or --key-type")
        }
    }

    func run() async throws {
        if let server = host.server { return try await renew(at: server) }
        let inventory = try directory.inventory()
        let passphrase = try caKey.passphraseOptions.passphrase()
        var request = RenewalRequest()
        request.makesNewKey = rekey
        request.keyType = keyType
        request.lifetime = try validity.lifetime
        request.allowsInsecureNames = insecure.insecureNames
        request.passphrase = try newKey.read()

        var issuers: [String: CertificateAuthority] = [:]
        var renewed: [IssueReport] = []
        var failures = 0
        // CAs are renewed first: their certificates limit the validity of what they issue.
        for entry in try entries(in: inventory).issuersFirst() {
            do {
                guard isDue(from: entry.notBefore, to: entry.notAfter) else { continue }
                if try inventory.isEnrolled(entry) {
                    // The host would be refused with the certificate that it has, and its name be locked.
                    Console.standard.warning(
                        "\(entry.name) came through pki serve-ca: give its host the new certificate, which must renew by it"
                    )
                }
                let name = try issuerName(of: entry, in: inventory)
                let authority = try issuers[name] ?? caKey.open(directory.path, issuer: name, passphrase: passphrase)
                issuers[name] = authority
                var own = request
                if all, rekey, entry.isCA {
                    Console.standard.note(
                        "the CA \(entry.name) keeps its key, because of the certificates that it issued")
                    (own.makesNewKey, own.keyType, own.passphrase) = (false, nil, nil)
                }
                var generator = SystemRandomNumberGenerator()
                let issued = try authority.renew(entry, own, now: .now, using: &generator)
                for notice in issued.notices { Console.standard.warning("\(entry.name): \(notice)") }
                if issued.keyPath == nil, issued.keyAddress == nil, entry.keyFile != nil {
                    Console.standard.warning(
                        "\(entry.name): its key is not in \(directory.path); the new certificate is for the same key")
                }
                renewed.append(IssueReport(issued: issued))
                if entry.isCA { issuers = [:] }
                if let hook { try await run(hook, name: entry.name, issued) }
            } catch {
                // One failure does not stop the others.
                guard all || reference.count > 1 else { throw error }
                let explained = error as? any ExplainedError
                Console.standard.report(
                    InputError(
                        message: "\(entry.name) was not renewed: \(explained?.message ?? "\(error)")",
                        hint: explained?.hint))
                failures += 1
            }
        }
        if renewed.isEmpty, failures == 0 { Console.standard.note("nothing is due") }
        if !renewed.isEmpty || format.value == .json {
            try Console.standard.print(RenewalReport(renewed: renewed), as: format.value)
        }
        if failures > 0 { throw ExitCode(ExitStatus.failed) }
        if renewed.isEmpty, exitCode { throw ExitCode(ExitStatus.checkFailed) }
    }

    /// Whether a certificate expires within the period. With --all and --server that is half of the lifetime of a certificate that
    /// does not live well beyond it, so that a timer does not renew it at each run.
    func isDue(from notBefore: Date, to notAfter: Date) -> Bool {
        guard let period = ifExpiresWithin?.timeInterval else { return true }
        let lifetime = notAfter.timeIntervalSince(notBefore)
        let isLong = (all || host.server != nil) && period > lifetime * 3 / 4
        return notAfter <= .now + (isLong ? lifetime / 2 : period)
    }

    private func entries(in inventory: Inventory) throws -> [InventoryEntry] {
        guard all else { return try reference.map(inventory.entry) }
        let now = Date.now
        return try inventory.entries(InventoryQuery(at: now)).filter { entry in
            guard !entry.isSelfSigned, entry.revocation == nil, entry.name != CertificateAuthority.crossName else {
                return false
            }
            // What came through pki serve-ca is renewed by its host.
            return try (issuer == nil || inventory.issuerName(of: entry) == issuer) && !inventory.isEnrolled(entry)
        }
    }

    /// The CA that issues: the issuer of the old certificate, or the new root if that is being replaced.
    private func issuerName(of entry: InventoryEntry, in inventory: Inventory) throws -> String {
        if let issuer, !all { return issuer }
        guard let name = try inventory.issuerName(of: entry) else {
            throw InputError(
                message: "the CA that issued \(entry.name) is not in \(directory.path)",
                hint: "name another CA with --issuer, or import its directory: pki import --help")
        }
        return name == CertificateAuthority.previousRootName ? CertificateAuthority.rootName : name
    }

    func run(_ hook: String, name: String, _ issued: IssuedCertificate) async throws {
        var environment = ProcessInfo.processInfo.environment
        environment["PKI_NAME"] = name
        environment["PKI_CERTIFICATE"] = issued.certificatePath
        environment["PKI_KEY"] = issued.keyPath ?? issued.keyAddress
        environment["PKI_CHAIN"] = issued.chainPath
        environment["PKI_SERIAL"] = issued.certificate.serialNumber.hexadecimal
        let status = try await ChildProcess.runShell(hook, environment: environment)
        guard status == 0 else {
            throw InputError(
                message: "\(name) was renewed, but the --exec command failed with status \(status): \(hook)",
                hint: "run it yourself; the certificate is \(issued.certificatePath)")
        }
    }
}

struct RenewalReport: Report {
    var renewed: [IssueReport]

    var text: String { renewed.map(\.text).joined(separator: "\n\n") }
}
