// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials

/// `pki rotate-ca`
struct RotateCACommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-ca",
        abstract: "Replace the root by a new one while both are trusted.",
        discussion: """
            1. pki rotate-ca makes the new root, which issues from now on. The old one becomes root-previous; \
            root-cross-cert.pem is the new root certified by the old one, and goes with every new client.
            2. pki print-bundle prints both roots: give them to the trust anchor in AWS, which takes two at the most.
            3. pki renew --all --issuer root-previous issues the clients again under the new root.
            4. pki rotate-ca --finish retires the old root, and pki print-bundle prints the new one alone.

            For example:

              pki rotate-ca
              pki rotate-ca --subject "CN=Example Root 2" --key-type ec-p384
              pki rotate-ca --key "pkcs11:token=CA;object=root-2" --generate-key
              pki rotate-ca --finish

            The new root has the old one's name unless --subject is given: conditions on the issuer go on to hold.
            """
    )

    @Option(name: .long, help: ArgumentHelp("The CA's directory.", valueName: "directory"))
    var directory = CADirectoryArgument.standard

    @Flag(name: .long, help: "End the rotation: the previous root goes to the archive.")
    var finish = false

    @Flag(name: .long, help: "With --finish: although certificates of the previous root are still good.")
    var force = false

    @Option(
        name: .long,
        help: ArgumentHelp("The new root's name as in RFC 4514. (default: the old one's)", valueName: "name"),
        transform: DistinguishedName.argument
    )
    var subject: DistinguishedName?

    @OptionGroup var newKey: NewAuthorityKeyOptions

    @OptionGroup var validity: LifetimeOptions

    @Option(
        name: .long,
        help: ArgumentHelp(
            "How many levels of intermediate CAs may follow, 0 to 255. (default: the old one's)",
            valueName: "n"
        )
    )
    var pathLength: Int?

    @OptionGroup var insecure: InsecureNamesOption

    @Option(
        name: .long,
        help: ArgumentHelp("A template in OpenSSL's format, in place of the built-in root.conf.", valueName: "file")
    )
    var template: String?

    @Flag(help: "Let the template read other files and environment variables.")
    var trustTemplate = false

    @Option(name: .long, help: ArgumentHelp("The form of the answer: text or json.", valueName: "form"))
    var format = ReportFormat.text

    @OptionGroup(title: "The new key")
    var newKeyPassphrase: NewKeyPassphraseOptions

    @OptionGroup(title: "The old root's key")
    var caKey: AuthorityKeyOptions

    func run() throws {
        let place = CADirectoryArgument.option(directory)
        if finish {
            let inventory = try Inventory(in: directory, by: Operator.name, now: .now)
            let archived = try inventory.finishRotation(force: force, now: .now)
            try Console.standard.print(
                RotationReport(archived: archived, next: ["pki print-bundle\(place)"]),
                as: format
            )
            return
        }
        guard !force else { throw UsageError(message: "--force goes with --finish") }
        let authority = try caKey.open(directory, issuer: CertificateAuthority.rootName)
        let template = try TemplateFile.read(template, isTrusted: trustTemplate) ?? BuiltInTemplates.root()
        var request = RootRequest(template: template)
        request.subject = subject
        request.keyType = newKey.keyType
        request.lifetime = try validity.lifetime
        request.pathLength = pathLength ?? authority.certificate.basicConstraints?.pathLength
        request.nameConstraints = authority.certificate.nameConstraints ?? NameConstraints()
        request.allowsInsecureNames = insecure.insecureNames
        let secret = try newKeyPassphrase.read()
        request.externalKey = try newKey.externalKey(caKey.device.settings, passphrase: Passphrase(given: secret))
        if request.externalKey == nil { request.passphrase = secret }
        var generator = SystemRandomNumberGenerator()
        let rotation = try authority.rotate(
            to: request,
            crossTemplate: BuiltInTemplates.intermediate(),
            now: .now,
            using: &generator
        )
        for notice in rotation.root.notices { Console.standard.warning(notice) }
        try Console.standard.print(
            RotationReport(
                root: IssueReport(rotation.root, next: nil),
                cross: rotation.cross.certificatePath,
                previous: rotation.previousPath,
                next: [
                    "pki print-bundle\(place)",
                    "pki renew --all --issuer \(CertificateAuthority.previousRootName)\(place)",
                    "pki rotate-ca --finish\(place)",
                ]
            ),
            as: format
        )
    }
}

/// What `rotate-ca` answers.
struct RotationReport: Report {
    /// The new root.
    var root: IssueReport?
    /// The path of the cross-certificate.
    var cross: String?
    /// The path of the previous root's certificate.
    var previous: String?
    /// Where files went when the rotation was finished.
    var archived: [String] = []
    /// What is to be done next, in order.
    var next: [String]

    private enum CodingKeys: CodingKey { case root, cross, previous, archived }

    var text: String {
        var lines = archived.map { "archived     \($0)" }
        if let root { lines.append(root.text) }
        if let cross { lines.append("cross        \(cross)") }
        if let previous { lines.append("previous     \(previous)") }
        return (lines + next.map { "next         \($0)" }).joined(separator: "\n")
    }
}
