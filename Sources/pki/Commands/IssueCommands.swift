// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport

struct IssueClientCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "issue-client",
        _superCommandName: "pki",
        abstract: "Issue a client certificate, with a new key or for a certificate request.",
        discussion: """
            Writes NAME-cert.pem and NAME-key.pem to the CA's directory; without a name, client-cert.pem with CN=TEST CLIENT. \
            Nothing is overwritten. From a certificate request \
            only the key is used: the names are those given here, unless --accept-subject or --accept-names is given. A \
            request for a CA, or for usages outside the profile, is refused.

            For example:

              pki issue-client web-1 --dns web-1.example.com
              pki issue-client db-1 --subject "CN=db-1,OU=Databases,O=Example"
              pki issue-client build --csr build.csr
              pki issue-client build --csr build.csr --accept-names
              pki issue-client web-2 --ca-key "pkcs11:token=CA;object=root"
              pki issue-client db-1 --profile server --dns db-1.example.com
              pki issue-client --batch hosts.csv --archive hosts.tar

            The file for --batch is CSV with a header line (name, and any of dns, ip, uri, email, subject, days, not_after, \
            key_type, profile, csr), JSON with the same keys, or one name per line. Names that were issued before are skipped, \
            so that the same command continues an interrupted run.
            """
    )

    @OptionGroup var directory: DirectoryOption

    @OptionGroup var naming: NewNameOptions

    @Option(help: .value("name", "The subject (RFC 4514, UTF-8)."), transform: DistinguishedName.argument)
    var subject: DistinguishedName?

    @Option(
        help: .value("host", "A DNS name of the client; repeatable. (default: NAME if it has a dot)"),
        transform: GeneralName.dnsArgument)
    var dns: [GeneralName] = []

    @Option(help: .value("address", "An IP address of the client; repeatable."), transform: GeneralName.ipArgument)
    var ip: [GeneralName] = []

    @Option(
        help: .value("uri", "A URI of the client, such as a SPIFFE ID; repeatable."), transform: GeneralName.uriArgument
    )
    var uri: [GeneralName] = []

    @Option(
        help: .value("address", "An email address of the client; repeatable."), transform: GeneralName.emailArgument)
    var email: [GeneralName] = []

    @Option(help: .value("type", "The type of key. ML-DSA needs OpenSSL 3.5. (default: ec-p256)"))
    var keyType: KeyType?

    @OptionGroup var validity: LifetimeOptions

    @Option(help: .value("file", "Certify the key of this PKCS#10 request (PEM or DER)."), completion: .file())
    var csr: String?

    @OptionGroup var acceptance: NameAcceptanceOptions

    @Option(help: .value("profile", "The purpose."))
    var profile = Profile.client

    @OptionGroup var template: TemplateOptions

    @Option(
        help: .value("name", "Issue from this CA; pki tree lists them. (default: root)"),
        completion: .known(.authorities))
    var issuer: String?

    @Flag(help: "Archive existing files of the same name first; allow a common name in use.")
    var force = false

    @OptionGroup var format: FormatOption

    @Option(
        help: .value("file", "Issue to every host in this file: CSV, JSON, or one name per line."), completion: .file())
    var batch: String?

    @Option(help: .value("n", "With --batch: the number of threads. (default: 2)"))
    var jobs: Int?

    @Option(help: .value("file", "With --batch: also write all files to this tar archive."), completion: .file())
    var archive: String?

    @Flag(
        name: .customLong("pkcs12"),
        help: "Also write NAME.p12 with key, certificate and chain, and NAME.p12-passphrase.")
    var makesBundle = false

    @OptionGroup(title: "The new key")
    var newKey: NewPassphraseOptions<NewKeyRole>

    @OptionGroup(title: "The CA's key")
    var caKey: AuthorityKeyOptions

    func validate() throws {
        guard csr != nil || batch != nil || !acceptance.acceptSubject && !acceptance.acceptNames else {
            throw ValidationError("--accept-subject and --accept-names require --csr or --batch")
        }
        guard subject == nil || !acceptance.acceptSubject else {
            throw ValidationError("only one of --subject and --accept-subject can be given")
        }
        guard acceptance.maxNames.map({ (1...10_000).contains($0) }) ?? true else {
            throw ValidationError("--max-names must be 1 to 10000")
        }
        if batch == nil {
            guard jobs == nil, archive == nil else { throw ValidationError("--jobs and --archive require --batch") }
            return
        }
        guard naming.value == nil, subject == nil, (dns + ip + uri + email).isEmpty, csr == nil else {
            throw ValidationError("--batch takes names, subjects and requests from its file only")
        }
        guard jobs.map({ (1...256).contains($0) }) ?? true else { throw ValidationError("--jobs must be 1 to 256") }
    }

    func run() throws {
        var request = ClientRequest(
            template: try template.read() ?? profile.template, name: naming.value ?? "client")
        request.nameIsCommonName = naming.value != nil
        request.subject = subject
        request.subjectAlternativeNames = dns + ip + uri + email
        request.keyType = keyType
        request.lifetime = try validity.lifetime
        if let csr { request.certificateRequest = try CertificateRequest(reading: InputFile.read(csr), name: csr) }
        request.passphrase = try newKey.read()
        request.archivesExisting = force
        acceptance.apply(to: &request)
        if makesBundle { request.bundle = .modern }
        if let batch { return try issue(to: batch, like: request) }
        try NameAcceptanceOptions.show(request)
        let authority = try caKey.open(directory.path, issuer: issuer)
        var generator = SystemRandomNumberGenerator()
        let issued = try authority.issue(request, now: .now, using: &generator)
        issued.notices.forEach(Console.standard.warning)
        try Console.standard.print(IssueReport(issued: issued), as: format.value)
    }
}

extension IssueClientCommand {
    /// Issues to the hosts of a file that have no certificate yet. If one fails, the others stay issued, and the next run skips
    /// them.
    private func issue(to batch: String, like pattern: ClientRequest) throws {
        let hosts = try HostList(of: batch, now: .now).hosts
        let requests = try hosts.map { try request(for: $0, in: batch, like: pattern) }
        for request in requests { try NameAcceptanceOptions.show(request) }
        if let archive { try AtomicFile.check(archive, replaces: force) }
        let authority = try caKey.open(directory.path, issuer: issuer)
        var bar: ProgressBar?
        var reported = 0
        var generator = SystemRandomNumberGenerator()
        let started = ContinuousClock.now
        let outcome: BatchOutcome
        do {
            outcome = try Interruption.noting {
                try authority.issue(
                    requests, jobs: jobs ?? 2, now: { .now }, using: &generator,
                    isStopped: { Interruption.signal != nil }
                ) { done in
                    // The first report counts the hosts that were issued before.
                    if let bar {
                        bar.advance(by: done - reported)
                    } else {
                        bar = ProgressBar("issued", total: requests.count, done: done)
                    }
                    reported = done
                }
            }
            if outcome.wasStopped { bar?.clear() } else if !outcome.issued.isEmpty { bar?.finish() }
        } catch {
            bar?.clear()
            if reported > 0 {
                Console.standard.note("\(reported) of \(requests.count) are issued; run the command again to continue")
            }
            throw error
        }
        outcome.notices.forEach(Console.standard.warning)
        if outcome.wasStopped {
            Console.standard.report(
                InputError(
                    message: "interrupted: \(reported) of \(requests.count) are issued",
                    hint: "run the same command again to issue the rest"))
            throw ExitCode(128 + (Interruption.signal ?? 0))
        }
        let revoked = try revokedNames(among: outcome.skipped, in: authority.inventory)
        if let first = revoked.first {
            let names = revoked.count == 1 ? "\(first) is" : "\(first) and \(revoked.count - 1) more are"
            Console.standard.warning("\(names) revoked or on hold: skipped, and not in an archive")
            Console.standard.hint(
                "issue again, if that is intended: pki issue-client \(first) --force\(directory.argument)")
        }
        if let archive {
            let excluded = Set(revoked)
            try FleetArchive.write(
                hosts.map(\.name).filter { !excluded.contains($0) }, of: authority.inventory, to: archive,
                replaces: force)
        }
        let report = BatchReport(
            issued: outcome.issued, skipped: outcome.skipped, directory: authority.inventory.directoryPath,
            archive: archive, seconds: (ContinuousClock.now - started) / .seconds(1))
        try Console.standard.print(report, as: format.value)
    }

    /// Those of the names whose current certificate is revoked or on hold.
    private func revokedNames(among names: [String], in inventory: Inventory) throws -> [String] {
        guard !names.isEmpty else { return [] }
        var revoked: Set<String> = []
        try inventory.visitSummaries(InventoryQuery(at: .now)) { entry in
            if entry.status == .revoked || entry.status == .held { revoked.insert(entry.name) }
        }
        return names.filter(revoked.contains)
    }

    private func request(for host: HostList.Host, in file: String, like pattern: ClientRequest) throws -> ClientRequest
    {
        var request = pattern
        request.name = host.name
        request.nameIsCommonName = true
        if let name = host.profile {
            guard let profile = Profile(rawValue: name) else {
                throw InputError(
                    message: "\(file):\(host.line): there is no profile \(printable(name))",
                    hint: "the profiles are \(Profile.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            request.template = try profile.template
        }
        if let subject = host.subject { request.subject = subject }
        if !host.subjectAlternativeNames.isEmpty { request.subjectAlternativeNames = host.subjectAlternativeNames }
        if let keyType = host.keyType { request.keyType = keyType }
        if let lifetime = host.lifetime { request.lifetime = lifetime }
        if let csr = host.certificateRequestPath {
            request.certificateRequest = try CertificateRequest(reading: InputFile.read(csr), name: csr)
            request.keyType = nil
            request.passphrase = nil
            request.bundle = nil
        }
        return request
    }
}

private struct BatchReport: Report {
    var issued: [String]
    var skipped: [String]
    var directory: String
    var archive: String?
    var seconds: Double

    var text: String {
        labelledLines([
            ("issued", "\(issued.count) in \(directory)"),
            ("skipped", skipped.isEmpty ? nil : "\(skipped.count) that were issued before"),
            ("archive", archive.map { "\($0) (readable by you alone)" }),
        ])
    }
}

struct IssueIntermediateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "issue-intermediate",
        _superCommandName: "pki",
        abstract: "Issue an intermediate CA, so that the root's key can stay offline.",
        discussion: """
            Writes NAME-cert.pem, NAME-key.pem and, below another intermediate, NAME-chain.pem to the CA's directory. The \
            intermediate issues with --issuer NAME. Its clients get NAME-chain.pem, which they send to AWS. The trust anchor \
            in AWS stays the root.

            For example:

              pki issue-intermediate issuing-1
              pki issue-intermediate eu --permit dns:eu.example.com --days 730
              pki issue-intermediate issuing-2 --csr issuing-2.csr
              pki issue-intermediate partner --cross-certify partner-root.pem
              pki issue-client web-1 --issuer issuing-1

            Then move root-key.pem to a safe place: without it, pki issues from the only CA whose key is in the directory.
            """
    )

    @OptionGroup var directory: DirectoryOption

    @OptionGroup var naming: NewNameOptions

    @Option(
        help: .value("name", "The CA's name (RFC 4514, UTF-8). (default: CN=NAME)"),
        transform: DistinguishedName.argument)
    var subject: DistinguishedName?

    @Option(
        help: .value("name", "Issue from this CA; pki tree lists them. (default: root)"),
        completion: .known(.authorities))
    var issuer: String?

    @OptionGroup var newKey: NewAuthorityKeyOptions

    @Option(help: .value("file", "Certify the key of this PKCS#10 request (PEM or DER)."), completion: .file())
    var csr: String?

    @Flag(help: "With --csr: use the subject of the request instead of CN=NAME.")
    var acceptSubject = false

    @OptionGroup var insecure: InsecureNamesOption

    @Option(help: .value("file", "Cross-certify the key and name of this CA certificate."), completion: .file())
    var crossCertify: String?

    @OptionGroup var validity: LifetimeOptions

    @Option(help: .value("n", "Allow this many levels of CAs below it. (default: 0)"))
    var pathLength: Int?

    @OptionGroup var names: NameConstraintOptions

    @OptionGroup var template: TemplateOptions

    @Flag(help: "Archive existing files of the same name first; allow a common name in use.")
    var force = false

    @OptionGroup var format: FormatOption

    @OptionGroup(title: "The new key")
    var newKeyPassphrase: NewPassphraseOptions<NewKeyRole>

    @OptionGroup(title: "The CA's key")
    var caKey: AuthorityKeyOptions

    func validate() throws {
        guard naming.value != nil else { throw ValidationError("<name> is missing") }
        guard !acceptSubject || csr != nil && subject == nil else {
            throw ValidationError("--accept-subject requires --csr and excludes --subject")
        }
        guard [newKey.key, csr, crossCertify].compactMap(\.self).count <= 1 else {
            throw ValidationError("only one of --key, --csr and --cross-certify can be given")
        }
        guard newKey.keyType == nil || csr == nil && crossCertify == nil else {
            throw ValidationError("--key-type cannot be used with --csr or --cross-certify")
        }
    }

    func run() throws {
        let name = naming.value ?? ""
        var request = IntermediateRequest(
            template: try template.read() ?? BuiltInTemplate.intermediate.template, name: name)
        request.subject = subject
        request.lifetime = try validity.lifetime
        request.pathLength = pathLength
        request.nameConstraints = names.constraints
        request.acceptsRequestedSubject = acceptSubject
        request.allowsInsecureNames = insecure.insecureNames
        request.passphrase = try newKeyPassphrase.read()
        request.archivesExisting = force
        request.key = try subjectKey(passphrase: request.passphrase)
        let authority = try caKey.open(directory.path, issuer: issuer)
        var generator = SystemRandomNumberGenerator()
        let issued = try authority.issue(request, now: .now, using: &generator)
        issued.notices.forEach(Console.standard.warning)
        names.explain()
        let next =
            issued.keyPath == nil
            ? nil : "pki issue-client --issuer \(Quoting.shell(name))\(directory.argument)"
        try Console.standard.print(IssueReport(issued: issued, next: next), as: format.value)
        try AnchorsOfCA(of: name, key: issued.certificate.publicKey.digest, in: directory.path).warnIfWithout(.standard)
    }

    private func subjectKey(passphrase: SecretBytes?) throws -> IntermediateRequest.KeySource {
        if let csr { return .request(try CertificateRequest(reading: InputFile.read(csr), name: csr)) }
        if let crossCertify {
            let certificates = try Certificate.certificates(in: InputFile.read(crossCertify))
            guard let certificate = certificates.first else {
                throw InputError(message: "\(crossCertify) contains no certificate")
            }
            return .crossCertificate(certificate)
        }
        let external = try newKey.externalKey(caKey.device, passphrase: Passphrase(given: passphrase))
        return external.map { .externalKey($0, newKey.keyType) } ?? .newKey(newKey.keyType)
    }
}

/// A new certificate and its files.
struct IssueReport: ModelReport {
    let issued: IssuedCertificate
    /// A command that the user may want next.
    var next: String?

    var members: JSONMembers {
        let certificate = issued.certificate
        return [
            "certificate": issued.certificatePath,
            "key": issued.keyPath ?? issued.keyAddress,
            "chain": issued.chainPath,
            "subject": certificate.subject.description,
            "subjectAlternativeNames": certificate.subjectAlternativeNames.map(\.description),
            "keyType": certificate.publicKey.algorithm.description,
            "serialNumber": certificate.serialNumber.hexadecimal,
            "notBefore": certificate.notBefore,
            "notAfter": certificate.notAfter,
            "fingerprint": certificate.fingerprint,
            "archived": issued.archivedPaths,
        ]
    }

    var text: String {
        let certificate = issued.certificate
        let names = certificate.subjectAlternativeNames.map(\.description).joined(separator: ", ")
        return labelledLines(
            issued.archivedPaths.map { ("archived", $0) } + [
                ("certificate", issued.certificatePath),
                ("key", issued.keyPath.map { "\($0) (readable by you alone)" } ?? issued.keyAddress),
                ("chain", issued.chainPath),
                ("subject", certificate.subject.description),
                ("names", names.isEmpty ? nil : names),
                ("key type", certificate.publicKey.algorithm.description),
                ("serial", certificate.serialNumber.hexadecimal),
                ("valid until", CivilTime(certificate.notAfter).extended),
                ("next", next),
            ]
        )
    }
}

struct TemplateOptions: ParsableArguments {
    @Option(
        help: .value("file", "A template in OpenSSL's format. (default: the built-in one; see pki print-template)"),
        completion: .file())
    var template: String?

    @Flag(help: "Let the template read other files and environment variables.")
    var trustTemplate = false

    /// Reads the template; `nil` if the user named none.
    func read() throws -> CertificateTemplate? { try TemplateFile.read(template, isTrusted: trustTemplate) }
}
