// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials

/// `pki issue-client`
struct IssueClientCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "issue-client",
        abstract: "Issue a client certificate, with a new key or for a certificate request.",
        discussion: """
            The files are NAME-cert.pem and NAME-key.pem in the CA's directory. Nothing is overwritten. Of a certificate \
            request only the key is taken: the names are those given here, unless --accept-subject and --accept-names take \
            the request's. One that asks to be a CA, or for usages that the profile does not give, is refused.

            For example:

              pki issue-client --name web-1 --dns web-1.example.com
              pki issue-client --name db-1 --subject "CN=db-1,OU=Databases,O=Example" --days 90
              pki issue-client --name build --csr build.csr
              pki issue-client --name build --csr build.csr --accept-names
              pki issue-client --name web-2 --ca-key "pkcs11:token=CA;object=root"
              pki issue-client --profile server --name db-1 --dns db-1.example.com
              pki issue-client --batch hosts.csv --archive hosts.tar

            The file of --batch has a line of headings: name, and any of dns, ip, uri, email, subject, days, not_after, \
            key_type, profile, csr; or it is JSON with the same keys; or a name a line. Hosts that were issued before are \
            left alone: a run that was interrupted is taken up by the same command.
            """
    )

    @Option(name: .long, help: ArgumentHelp("The CA's directory.", valueName: "directory"))
    var directory = CADirectoryArgument.standard

    @Option(
        name: .long,
        help: ArgumentHelp(
            "What the files are called, and the CN unless --subject is given. (default: client, with CN=TEST CLIENT)",
            valueName: "name"
        )
    )
    var name: String?

    @Option(
        name: .long,
        help: ArgumentHelp("The subject as in RFC 4514, in UTF-8.", valueName: "name"),
        transform: DistinguishedName.argument
    )
    var subject: DistinguishedName?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "A DNS name of the client. Repeatable. (default: the name, when it has a dot)",
            valueName: "host"
        ),
        transform: GeneralName.dnsArgument
    )
    var dns: [GeneralName] = []

    @Option(
        name: .long,
        help: ArgumentHelp("An IP address of the client. Repeatable.", valueName: "address"),
        transform: GeneralName.ipArgument
    )
    var ip: [GeneralName] = []

    @Option(
        name: .long,
        help: ArgumentHelp("A URI of the client, such as a SPIFFE ID. Repeatable.", valueName: "uri"),
        transform: GeneralName.uriArgument
    )
    var uri: [GeneralName] = []

    @Option(
        name: .long,
        help: ArgumentHelp("An email address of the client. Repeatable.", valueName: "address"),
        transform: GeneralName.emailArgument
    )
    var email: [GeneralName] = []

    @Option(
        name: .long,
        help: ArgumentHelp("The kind of key. ML-DSA needs OpenSSL 3.5. (default: ec-p256)", valueName: "kind")
    )
    var keyType: KeyType?

    @OptionGroup var validity: LifetimeOptions

    @Option(
        name: .long,
        help: ArgumentHelp("Certify the key of this PKCS#10 request (PEM or DER) and make none.", valueName: "file")
    )
    var csr: String?

    @OptionGroup var acceptance: NameAcceptanceOptions

    @Option(
        name: .long,
        help: ArgumentHelp("What it is for: client, server, peer or spiffe.", valueName: "profile")
    )
    var profile = Profile.client

    @Option(
        name: .long,
        help: ArgumentHelp("A template in OpenSSL's format, in place of the profile's.", valueName: "file")
    )
    var template: String?

    @Flag(help: "Let the template read other files and environment variables.")
    var trustTemplate = false

    @Option(
        name: .long,
        help: ArgumentHelp("The CA that issues, as pki tree shows it. (default: root)", valueName: "name")
    )
    var issuer: String?

    @Flag(
        name: .long,
        help: "Move files of the same names to the directory's archive first; share another's common name."
    )
    var force = false

    @Option(name: .long, help: ArgumentHelp("The form of the answer: text or json.", valueName: "form"))
    var format = ReportFormat.text

    @Option(
        name: .long,
        help: ArgumentHelp("Issue to every host of this file: CSV, JSON, or a name a line.", valueName: "file")
    )
    var batch: String?

    @Option(name: .long, help: ArgumentHelp("With --batch: how many threads make keys. (default: 2)", valueName: "n"))
    var jobs: Int?

    @Option(
        name: .long,
        help: ArgumentHelp("With --batch: put every host's files into this tar archive too.", valueName: "file")
    )
    var archive: String?

    @Flag(
        name: .customLong("pkcs12"),
        help: "Make NAME.p12 as well, with certificate, key and chain, and NAME.p12-passphrase, which opens it."
    )
    var makesBundle = false

    @OptionGroup(title: "The new key")
    var newKey: NewKeyPassphraseOptions

    @OptionGroup(title: "The CA's key")
    var caKey: AuthorityKeyOptions

    func validate() throws {
        guard csr != nil || batch != nil || !acceptance.acceptSubject && !acceptance.acceptNames else {
            throw ValidationError("--accept-subject and --accept-names go with --csr or --batch")
        }
        guard subject == nil || !acceptance.acceptSubject else {
            throw ValidationError("only one of --subject and --accept-subject can be given")
        }
        guard acceptance.maxNames.map({ (1...10_000).contains($0) }) ?? true else {
            throw ValidationError("--max-names is 1 to 10000")
        }
        if batch == nil {
            guard jobs == nil, archive == nil else { throw ValidationError("--jobs and --archive go with --batch") }
            return
        }
        guard name == nil, subject == nil, (dns + ip + uri + email).isEmpty, csr == nil else {
            throw ValidationError("with --batch the names, subjects and requests stand in its file")
        }
        guard jobs.map({ (1...256).contains($0) }) ?? true else { throw ValidationError("--jobs is 1 to 256") }
    }

    func run() throws {
        var request = ClientRequest(
            template: try TemplateFile.read(template, isTrusted: trustTemplate) ?? profile.template,
            name: name ?? "client"
        )
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
        if let batch {
            let run = IssueBatch(
                path: batch,
                pattern: request,
                jobs: jobs ?? 2,
                archive: archive,
                replacesArchive: force
            )
            let report = try run.run { try caKey.open(directory, issuer: issuer) }
            try Console.standard.print(report, as: format)
            return
        }
        try NameAcceptanceOptions.show(request)
        let authority = try caKey.open(directory, issuer: issuer)
        var generator = SystemRandomNumberGenerator()
        let issued = try authority.issue(request, now: .now, using: &generator)
        for notice in issued.notices { Console.standard.warning(notice) }
        try Console.standard.print(IssueReport(issued, next: nil), as: format)
    }
}
