// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials

struct InitCACommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init-ca",
        abstract: "Create a root CA: a key and a self-signed certificate.",
        discussion: """
            Writes root-key.pem, readable by you alone, and root-cert.pem. Nothing is overwritten. With the key, anyone can \
            issue certificates that AWS trusts: keep it off the machines that use them, or encrypt it with a passphrase. The \
            certificate is valid for 3650 days by default.

            For example:

              pki init-ca --subject "CN=Example Root,O=Example" --days 3650
              pki init-ca --permit dns:example.com --passphrase-file ~/.ca-passphrase
              pki init-ca --key "pkcs11:token=CA;object=root" --generate-key

            With --key the CA's key stays in a token, a TPM or an SSH agent. The directory then has root-key.uri with its \
            address, and pki issue-client signs with it.
            """
    )

    @OptionGroup var directory: DirectoryOption

    @Option(
        help: ArgumentHelp("The CA's name (RFC 4514, UTF-8). (default: CN=TEST ROOT)", valueName: "name"),
        transform: DistinguishedName.argument)
    var subject: DistinguishedName?

    @OptionGroup var newKey: NewAuthorityKeyOptions

    @OptionGroup var device: DeviceOptions

    @OptionGroup var validity: LifetimeOptions

    @Option(help: ArgumentHelp("Allow this many levels of intermediate CAs, 0 to 255. (default: 1)", valueName: "n"))
    var pathLength: Int?

    @OptionGroup var names: NameConstraintOptions

    @OptionGroup var insecure: InsecureNamesOption

    @OptionGroup var template: TemplateOptions

    @OptionGroup var passphraseOptions: PassphraseOptions<NewCAKeyRole>

    @Flag(help: "Move an existing CA to the directory's archive.")
    var force = false

    @OptionGroup var format: FormatOption

    func run() throws {
        var request = RootRequest(template: try template.read() ?? BuiltInTemplate.root.template)
        request.subject = subject
        request.keyType = newKey.keyType
        request.lifetime = try validity.lifetime
        request.pathLength = pathLength
        request.nameConstraints = names.constraints
        request.allowsInsecureNames = insecure.insecureNames
        let passphrase = Passphrase(try passphraseOptions.source())
        request.externalKey = try newKey.externalKey(device, passphrase: passphrase)
        if request.externalKey == nil { request.passphrase = try passphrase.given() }
        request.archivesExisting = force
        var generator = SystemRandomNumberGenerator()
        let issued = try CertificateAuthority.create(
            in: directory.path, request, by: Operator.name, now: .now, using: &generator)
        names.explain()
        let next = "pki issue-client\(directory.argument)"
        try Console.standard.print(IssueReport(issued: issued, next: next), as: format.value)
    }
}
