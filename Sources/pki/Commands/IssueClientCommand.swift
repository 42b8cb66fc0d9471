// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport

struct IssueClientCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "issue-client",
        abstract: "Issue a client certificate, with a new key or for a certificate request.",
        discussion: """
            Writes NAME-cert.pem and NAME-key.pem to the CA's directory. Nothing is overwritten. From a certificate request \
            only the key is used: the names are those given here, unless --accept-subject or --accept-names is given. A \
            request for a CA, or for usages outside the profile, is refused.

            For example:

              pki issue-client --name web-1 --dns web-1.example.com
              pki issue-client --name db-1 --subject "CN=db-1,OU=Databases,O=Example"
              pki issue-client --name build --csr build.csr
              pki issue-client --name build --csr build.csr --accept-names
              pki issue-client --name web-2 --ca-key "pkcs11:token=CA;object=root"
              pki issue-client --profile server --name db-1 --dns db-1.example.com
              pki issue-client --batch hosts.csv --archive hosts.tar

            The file for --batch is CSV with a heading line (name, and any of dns, ip, uri, email, subject, days, not_after, \
            key_type, profile, csr), JSON with the same keys, or one name a line. Names that were issued before are skipped, \
            so that the same command continues an interrupted run.
            """
    )

    @OptionGroup var directory: DirectoryOption

    @Option(
        help: ArgumentHelp(
            "The name of the files, and the CN without --subject. (default: client, with CN=TEST CLIENT)",
            valueName: "name"))
    var name: String?

    @Option(
        help: ArgumentHelp("The subject (RFC 4514, UTF-8).", valueName: "name"), transform: DistinguishedName.argument)
    var subject: DistinguishedName?

    @Option(
        help: ArgumentHelp("A DNS name of the client; repeatable. (default: NAME if it has a dot)", valueName: "host"),
        transform: GeneralName.dnsArgument)
    var dns: [GeneralName] = []

    @Option(
        help: ArgumentHelp("An IP address of the client; repeatable.", valueName: "address"),
        transform: GeneralName.ipArgument)
    var ip: [GeneralName] = []

    @Option(
        help: ArgumentHelp("A URI of the client, such as a SPIFFE ID; repeatable.", valueName: "uri"),
        transform: GeneralName.uriArgument)
    var uri: [GeneralName] = []

    @Option(
        help: ArgumentHelp("An email address of the client; repeatable.", valueName: "address"),
        transform: GeneralName.emailArgument)
    var email: [GeneralName] = []

    @Option(help: ArgumentHelp("The type of key. ML-DSA needs OpenSSL 3.5. (default: ec-p256)", valueName: "type"))
    var keyType: KeyType?

    @OptionGroup var validity: LifetimeOptions

    @Option(help: ArgumentHelp("Certify the key of this PKCS#10 request (PEM or DER).", valueName: "file"))
    var csr: String?

    @OptionGroup var acceptance: NameAcceptanceOptions

    @Option(help: ArgumentHelp("The purpose: client, server, peer or spiffe.", valueName: "profile"))
    var profile = Profile.client

    @OptionGroup var template: TemplateOptions

    @Option(help: ArgumentHelp("Issue from this CA; pki tree lists them. (default: root)", valueName: "name"))
    var issuer: String?

    @Flag(help: "Archive existing files of the same name first; allow a common name in use.")
    var force = false

    @OptionGroup var format: FormatOption

    @Option(help: ArgumentHelp("Issue to every host in this file: CSV, JSON, or a name a line.", valueName: "file"))
    var batch: String?

    @Option(help: ArgumentHelp("With --batch: the number of threads. (default: 2)", valueName: "n"))
    var jobs: Int?

    @Option(help: ArgumentHelp("With --batch: also write all files to this tar archive.", valueName: "file"))
    var archive: String?

    @Flag(
        name: .customLong("pkcs12"),
        help: "Also write NAME.p12 with key, certificate and chain, and NAME.p12-passphrase.")
    var makesBundle = false

    @OptionGroup(title: "The new key")
    var newKey: PassphraseOptions<NewKeyRole>

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
        guard name == nil, subject == nil, (dns + ip + uri + email).isEmpty, csr == nil else {
            throw ValidationError("--batch takes names, subjects and requests from its file only")
        }
        guard jobs.map({ (1...256).contains($0) }) ?? true else { throw ValidationError("--jobs must be 1 to 256") }
    }

    func run() throws {
        var request = ClientRequest(template: try template.read() ?? profile.template, name: name ?? "client")
        request.nameIsCommonName = name != nil
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
            outcome = try authority.issue(requests, jobs: jobs ?? 2, now: { .now }, using: &generator) { done in
                // The first report counts the hosts that were issued before.
                if let bar {
                    bar.advance(by: done - reported)
                } else {
                    bar = ProgressBar("issued", total: requests.count, done: done)
                }
                reported = done
            }
            if !outcome.issued.isEmpty { bar?.finish() }
        } catch {
            bar?.clear()
            if reported > 0 {
                Console.standard.note("\(reported) of \(requests.count) are issued; run the command again to continue")
            }
            throw error
        }
        outcome.notices.forEach(Console.standard.warning)
        if let archive {
            try FleetArchive.write(hosts.map(\.name), of: authority.inventory, to: archive, replaces: force)
        }
        let report = BatchReport(
            issued: outcome.issued, skipped: outcome.skipped, directory: authority.inventory.directoryPath,
            archive: archive, seconds: (ContinuousClock.now - started) / .seconds(1))
        try Console.standard.print(report, as: format.value)
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
    /// The names that were issued before.
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
