// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport

/// `pki issue-intermediate`
struct IssueIntermediateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "issue-intermediate",
        abstract: "Issue an intermediate CA, so that the root's key can rest.",
        discussion: """
            The files are NAME-cert.pem, NAME-key.pem and, below another intermediate, NAME-chain.pem in the CA's directory. \
            The intermediate then issues with --issuer NAME; its clients get NAME-chain.pem, which goes to AWS with them. \
            The trust anchor in AWS stays the root.

            For example:

              pki issue-intermediate --name issuing-1
              pki issue-intermediate --name eu --permit dns:eu.example.com --days 730
              pki issue-intermediate --name issuing-2 --csr issuing-2.csr
              pki issue-intermediate --name partner --cross-certify partner-root.pem
              pki issue-client --name web-1 --issuer issuing-1

            Once an intermediate issues, move root-key.pem to a safe place: pki then takes the intermediate by itself.
            """
    )

    @Option(name: .long, help: ArgumentHelp("The CA's directory.", valueName: "directory"))
    var directory = CADirectoryArgument.standard

    @Option(
        name: .long,
        help: ArgumentHelp("What the files are called, and the CN unless --subject is given.", valueName: "name")
    )
    var name: String

    @Option(
        name: .long,
        help: ArgumentHelp("The CA's name as in RFC 4514, in UTF-8. (default: CN=NAME)", valueName: "name"),
        transform: DistinguishedName.argument
    )
    var subject: DistinguishedName?

    @Option(
        name: .long,
        help: ArgumentHelp("The CA that issues, as pki tree shows it. (default: root)", valueName: "name")
    )
    var issuer: String?

    @OptionGroup var newKey: NewAuthorityKeyOptions

    @Option(
        name: .long,
        help: ArgumentHelp("Certify the key of this PKCS#10 request (PEM or DER) and make none.", valueName: "file")
    )
    var csr: String?

    @Flag(name: .long, help: "With --csr: take the subject of the request, in place of the name's.")
    var acceptSubject = false

    @OptionGroup var insecure: InsecureNamesOption

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Certify the key and the name of this CA certificate: a cross-certificate.",
            valueName: "file"
        )
    )
    var crossCertify: String?

    @OptionGroup var validity: LifetimeOptions

    @Option(
        name: .long,
        help: ArgumentHelp("How many levels of CAs may follow below it. (default: 0)", valueName: "n")
    )
    var pathLength: Int?

    @OptionGroup var names: NameConstraintOptions

    @Option(
        name: .long,
        help: ArgumentHelp(
            "A template in OpenSSL's format, in place of the built-in intermediate.conf.",
            valueName: "file"
        )
    )
    var template: String?

    @Flag(help: "Let the template read other files and environment variables.")
    var trustTemplate = false

    @Flag(
        name: .long,
        help: "Move files of the same names to the directory's archive first; share another's common name."
    )
    var force = false

    @Option(name: .long, help: ArgumentHelp("The form of the answer: text or json.", valueName: "form"))
    var format = ReportFormat.text

    @OptionGroup(title: "The new key")
    var newKeyPassphrase: NewKeyPassphraseOptions

    @OptionGroup(title: "The CA's key")
    var caKey: AuthorityKeyOptions

    func validate() throws {
        guard !acceptSubject || csr != nil && subject == nil else {
            throw ValidationError("--accept-subject goes with --csr, and not with --subject")
        }
        guard [newKey.key, csr, crossCertify].compactMap(\.self).count <= 1 else {
            throw ValidationError("only one of --key, --csr and --cross-certify can be given")
        }
        guard newKey.keyType == nil || csr == nil && crossCertify == nil else {
            throw ValidationError("--key-type goes with a new key, and --csr and --cross-certify bring theirs")
        }
    }

    func run() throws {
        var request = IntermediateRequest(
            template: try TemplateFile.read(template, isTrusted: trustTemplate) ?? BuiltInTemplates.intermediate(),
            name: name
        )
        request.subject = subject
        request.lifetime = try validity.lifetime
        request.pathLength = pathLength
        request.nameConstraints = names.constraints
        request.acceptsRequestedSubject = acceptSubject
        request.allowsInsecureNames = insecure.insecureNames
        request.passphrase = try newKeyPassphrase.read()
        request.archivesExisting = force
        request.key = try subjectKey(passphrase: request.passphrase)
        let authority = try caKey.open(directory, issuer: issuer)
        var generator = SystemRandomNumberGenerator()
        let issued = try authority.issue(request, now: .now, using: &generator)
        for notice in issued.notices { Console.standard.warning(notice) }
        names.explain()
        let place = CADirectoryArgument.option(directory)
        try Console.standard.print(
            IssueReport(
                issued,
                next: issued.keyPath == nil ? nil : "pki issue-client --issuer \(Quoting.shell(name))\(place)"
            ),
            as: format
        )
    }

    private func subjectKey(passphrase: SecretBytes?) throws -> IntermediateRequest.Subject {
        if let csr { return .request(try CertificateRequest(reading: InputFile.read(csr), name: csr)) }
        if let crossCertify {
            let certificates = try Certificate.certificates(in: InputFile.read(crossCertify))
            guard let certificate = certificates.first else {
                throw InputError(message: "\(crossCertify) holds no certificate")
            }
            return .crossCertificate(certificate)
        }
        let external = try newKey.externalKey(caKey.device.settings, passphrase: Passphrase(given: passphrase))
        return external.map { .externalKey($0, newKey.keyType) } ?? .newKey(newKey.keyType)
    }
}
