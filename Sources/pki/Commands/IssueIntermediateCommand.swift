// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport

struct IssueIntermediateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "issue-intermediate",
        abstract: "Issue an intermediate CA, so that the root's key can stay offline.",
        discussion: """
            Writes NAME-cert.pem, NAME-key.pem and, below another intermediate, NAME-chain.pem to the CA's directory. The \
            intermediate issues with --issuer NAME. Its clients get NAME-chain.pem, which they send to AWS. The trust anchor \
            in AWS stays the root.

            For example:

              pki issue-intermediate --name issuing-1
              pki issue-intermediate --name eu --permit dns:eu.example.com --days 730
              pki issue-intermediate --name issuing-2 --csr issuing-2.csr
              pki issue-intermediate --name partner --cross-certify partner-root.pem
              pki issue-client --name web-1 --issuer issuing-1

            Then move root-key.pem to a safe place: without it, pki issues from the only CA whose key is in the directory.
            """
    )

    @OptionGroup var directory: DirectoryOption

    @Option(help: ArgumentHelp("The name of the files, and the CN without --subject.", valueName: "name"))
    var name: String

    @Option(
        help: ArgumentHelp("The CA's name (RFC 4514, UTF-8). (default: CN=NAME)", valueName: "name"),
        transform: DistinguishedName.argument)
    var subject: DistinguishedName?

    @Option(help: ArgumentHelp("Issue from this CA; pki tree lists them. (default: root)", valueName: "name"))
    var issuer: String?

    @OptionGroup var newKey: NewAuthorityKeyOptions

    @Option(help: ArgumentHelp("Certify the key of this PKCS#10 request (PEM or DER).", valueName: "file"))
    var csr: String?

    @Flag(help: "With --csr: use the subject of the request instead of CN=NAME.")
    var acceptSubject = false

    @OptionGroup var insecure: InsecureNamesOption

    @Option(help: ArgumentHelp("Cross-certify the key and name of this CA certificate.", valueName: "file"))
    var crossCertify: String?

    @OptionGroup var validity: LifetimeOptions

    @Option(help: ArgumentHelp("Allow this many levels of CAs below it. (default: 0)", valueName: "n"))
    var pathLength: Int?

    @OptionGroup var names: NameConstraintOptions

    @OptionGroup var template: TemplateOptions

    @Flag(help: "Archive existing files of the same name first; allow a common name in use.")
    var force = false

    @OptionGroup var format: FormatOption

    @OptionGroup(title: "The new key")
    var newKeyPassphrase: PassphraseOptions<NewKeyRole>

    @OptionGroup(title: "The CA's key")
    var caKey: AuthorityKeyOptions

    func validate() throws {
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
