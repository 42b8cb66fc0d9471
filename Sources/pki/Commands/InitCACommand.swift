// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials

/// `pki init-ca`
struct InitCACommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init-ca",
        abstract: "Make a root CA: a key and a self-signed certificate.",
        discussion: """
            The key is root-key.pem, readable by you alone; the certificate is root-cert.pem. Nothing is overwritten. \
            Whoever has the key can make certificates that AWS trusts: keep it off the machines that use them, or encrypt \
            it with a passphrase.

            For example:

              pki init-ca --subject "CN=Example Root,O=Example" --days 3650
              pki init-ca --permit dns:example.com --passphrase-file ~/.ca-passphrase
              pki init-ca --key "pkcs11:token=CA;object=root" --generate-key

            With --key the CA's key stays in a token, a TPM or an agent: the directory then has root-key.uri, which says where \
            it is, and pki issue-client signs there.
            """
    )

    @Option(name: .long, help: ArgumentHelp("The CA's directory, made when it is not there.", valueName: "directory"))
    var directory = CADirectoryArgument.standard

    @Option(
        name: .long,
        help: ArgumentHelp("The CA's name as in RFC 4514, in UTF-8. (default: CN=TEST ROOT)", valueName: "name"),
        transform: DistinguishedName.argument
    )
    var subject: DistinguishedName?

    @OptionGroup var newKey: NewAuthorityKeyOptions

    @OptionGroup var device: DeviceOptions

    @Option(name: .long, help: ArgumentHelp("How many days the CA is good for. (default: 3650)", valueName: "n"))
    var days: Int?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The last moment it is good for, in UTC: 2035-12-31 or 2035-12-31T12:00:00Z.",
            valueName: "moment"
        ),
        transform: Lifetime.argument
    )
    var notAfter: Lifetime?

    @Option(
        name: .long,
        help: ArgumentHelp("How many levels of intermediate CAs may follow, 0 to 255. (default: 1)", valueName: "n")
    )
    var pathLength: Int?

    @OptionGroup var names: NameConstraintOptions

    @OptionGroup var insecure: InsecureNamesOption

    @Option(
        name: .long,
        help: ArgumentHelp("A template in OpenSSL's format, in place of the built-in root.conf.", valueName: "file")
    )
    var template: String?

    @Flag(help: "Let the template read other files and environment variables.")
    var trustTemplate = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Encrypt the key under the first line of this file; with --key: the PIN or password is there.",
            valueName: "file"
        )
    )
    var passphraseFile: String?

    @Option(name: .long, help: ArgumentHelp("… or of this environment variable.", valueName: "variable"))
    var passphraseEnv: String?

    @Option(name: .long, help: ArgumentHelp("… or of this open file descriptor.", valueName: "n"))
    var passphraseFd: Int32?

    @Flag(name: .long, help: "Move a CA that is there to the directory's archive, and make a new one.")
    var force = false

    @Option(name: .long, help: ArgumentHelp("The form of the answer: text or json.", valueName: "form"))
    var format = ReportFormat.text

    func run() throws {
        let template = try TemplateFile.read(template, isTrusted: trustTemplate) ?? BuiltInTemplates.root()
        var request = RootRequest(template: template)
        request.subject = subject
        request.keyType = newKey.keyType
        request.lifetime = try Lifetime.choose(days: days, notAfter: notAfter)
        request.pathLength = pathLength
        request.nameConstraints = names.constraints
        request.allowsInsecureNames = insecure.insecureNames
        let source = try PassphraseSource.choose(
            file: passphraseFile,
            environment: passphraseEnv,
            descriptor: passphraseFd,
            option: "--passphrase"
        )
        let passphrase = Passphrase(source)
        request.externalKey = try newKey.externalKey(device.settings, passphrase: passphrase)
        if request.externalKey == nil { request.passphrase = try passphrase.given() }
        request.archivesExisting = force
        var generator = SystemRandomNumberGenerator()
        let issued = try CertificateAuthority.create(
            in: directory,
            request,
            by: Operator.name,
            now: .now,
            using: &generator
        )
        names.explain()
        try Console.standard.print(
            IssueReport(
                issued,
                next: "pki issue-client\(CADirectoryArgument.option(directory))"
            ),
            as: format
        )
    }
}
