// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials

struct RotateCACommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-ca",
        abstract: "Replace the root CA by a new one, while both are trusted.",
        discussion: """
            1. pki rotate-ca creates the new root, which issues from now on. The old one becomes root-previous. \
            root-cross-cert.pem, the new root certified by the old one, is sent along by new clients.
            2. pki print-bundle prints both roots: update the trust anchor in AWS, which takes at most two.
            3. pki renew --all --issuer root-previous renews the clients under the new root.
            4. pki rotate-ca --finish archives the old root; pki print-bundle then prints only the new one.

            For example:

              pki rotate-ca
              pki rotate-ca --subject "CN=Example Root 2" --key-type ec-p384
              pki rotate-ca --key "pkcs11:token=CA;object=root-2" --generate-key
              pki rotate-ca --finish

            Without --subject the new root has the old one's name, so that conditions on the issuer still match.
            """
    )

    @OptionGroup var directory: DirectoryOption

    @Flag(help: "Finish the rotation: move the previous root to the archive.")
    var finish = false

    @Flag(help: "With --finish: even if certificates of the previous root are still valid.")
    var force = false

    @Option(
        help: ArgumentHelp("The new root's name (RFC 4514). (default: the old root's)", valueName: "name"),
        transform: DistinguishedName.argument)
    var subject: DistinguishedName?

    @OptionGroup var newKey: NewAuthorityKeyOptions

    @OptionGroup var validity: LifetimeOptions

    @Option(
        help: ArgumentHelp(
            "Allow this many levels of intermediate CAs, 0 to 255. (default: the old root's)", valueName: "n"))
    var pathLength: Int?

    @OptionGroup var insecure: InsecureNamesOption

    @OptionGroup var template: TemplateOptions

    @OptionGroup var format: FormatOption

    @OptionGroup(title: "The new key")
    var newKeyPassphrase: PassphraseOptions<NewKeyRole>

    @OptionGroup(title: "The old root's key")
    var caKey: AuthorityKeyOptions

    func run() throws {
        let option = directory.argument
        if finish {
            let inventory = try Inventory(in: directory.path, by: Operator.name, now: .now)
            let archived = try inventory.finishRotation(force: force, now: .now)
            let report = RotationReport(archived: archived, next: ["pki print-bundle\(option)"])
            return try Console.standard.print(report, as: format.value)
        }
        guard !force else { throw UsageError(message: "--force requires --finish") }
        let authority = try caKey.open(directory.path, issuer: CertificateAuthority.rootName)
        var request = RootRequest(template: try template.read() ?? BuiltInTemplate.root.template)
        request.subject = subject
        request.keyType = newKey.keyType
        request.lifetime = try validity.lifetime
        request.pathLength = pathLength ?? authority.certificate.basicConstraints?.pathLength
        request.nameConstraints = authority.certificate.nameConstraints ?? NameConstraints()
        request.allowsInsecureNames = insecure.insecureNames
        let secret = try newKeyPassphrase.read()
        request.externalKey = try newKey.externalKey(caKey.device, passphrase: Passphrase(given: secret))
        if request.externalKey == nil { request.passphrase = secret }
        var generator = SystemRandomNumberGenerator()
        let rotation = try authority.rotate(
            to: request, crossTemplate: BuiltInTemplate.intermediate.template, now: .now, using: &generator)
        rotation.root.notices.forEach(Console.standard.warning)
        let report = RotationReport(
            root: IssueReport(issued: rotation.root),
            cross: rotation.cross.certificatePath,
            previous: rotation.previousPath,
            next: [
                "pki print-bundle\(option)",
                "pki renew --all --issuer \(CertificateAuthority.previousRootName)\(option)",
                "pki rotate-ca --finish\(option)",
            ]
        )
        try Console.standard.print(report, as: format.value)
    }
}

private struct RotationReport: Report {
    var root: IssueReport?
    /// The path of the cross-certificate.
    var cross: String?
    /// The path of the previous root's certificate.
    var previous: String?
    /// The paths in the archive of what was moved there.
    var archived: [String] = []
    /// The next commands, in order.
    var next: [String]

    private enum CodingKeys: CodingKey { case root, cross, previous, archived }

    var text: String {
        let before = labelledLines(archived.map { ("archived", $0) })
        let after = labelledLines([("cross", cross), ("previous", previous)] + next.map { ("next", $0) })
        return [before, root?.text ?? "", after].filter { !$0.isEmpty }.joined(separator: "\n")
    }
}
