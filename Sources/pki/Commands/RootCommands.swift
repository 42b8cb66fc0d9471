// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport

struct InitCACommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init-ca",
        _superCommandName: "pki",
        abstract: "Create a root CA: a key and a self-signed certificate.",
        discussion: """
            Writes root-key.pem, readable by you alone, and root-cert.pem. Nothing is overwritten. With the key, anyone can \
            issue certificates that AWS trusts: keep it off the machines that use them, or encrypt it with a passphrase. The \
            certificate is valid for 3650 days by default.

            For example:

              pki init-ca --subject "CN=Example Root,O=Example" --days 3650
              pki init-ca --permit dns:example.com --ask-passphrase
              pki init-ca --key "pkcs11:token=CA;object=root" --generate-key

            With --key the CA's key stays in a token, a TPM or an SSH agent. The directory then has root-key.uri with its \
            address, and pki issue-client signs with it.
            """
    )

    @OptionGroup var directory: DirectoryOption

    @Option(
        help: .value("name", "The CA's name (RFC 4514, UTF-8). (default: CN=TEST ROOT)"),
        transform: DistinguishedName.argument)
    var subject: DistinguishedName?

    @OptionGroup var newKey: NewAuthorityKeyOptions

    @OptionGroup var device: DeviceOptions

    @OptionGroup var validity: LifetimeOptions

    @Option(help: .value("n", "Allow this many levels of intermediate CAs, 0 to 255. (default: 1)"))
    var pathLength: Int?

    @OptionGroup var names: NameConstraintOptions

    @OptionGroup var insecure: InsecureNamesOption

    @OptionGroup var template: TemplateOptions

    @OptionGroup var newPassphrase: NewPassphraseOptions<NewCAKeyRole>

    @Flag(help: "Move an existing CA to the directory's archive.")
    var force = false

    @OptionGroup var format: FormatOption

    func validate() throws {
        guard newKey.key == nil || !newPassphrase.askPassphrase else {
            throw ValidationError(
                "--ask-passphrase cannot be used with --key, whose PIN is asked for when it is needed")
        }
    }

    func run() throws {
        var request = RootRequest(template: try template.read() ?? BuiltInTemplate.root.template)
        request.subject = subject
        request.keyType = newKey.keyType
        request.lifetime = try validity.lifetime
        request.pathLength = pathLength
        request.nameConstraints = names.constraints
        request.allowsInsecureNames = insecure.insecureNames
        if newKey.key != nil {
            request.externalKey = try newKey.externalKey(device, passphrase: Passphrase(newPassphrase.given.source()))
        } else {
            request.passphrase = try newPassphrase.read()
        }
        request.archivesExisting = force
        let orphanCount = force ? try countOfIssued() : 0
        var generator = SystemRandomNumberGenerator()
        let issued: IssuedCertificate
        do {
            issued = try CertificateAuthority.create(
                in: directory.path, request, by: Operator.name, now: .now, using: &generator)
        } catch let error as AuthorityError where error.code == .exists && !force {
            throw InputError(
                message: error.message,
                hint: "choose another --directory; --force replaces this CA, and all that it issued must be renewed")
        }
        names.explain()
        if orphanCount > 0 {
            Console.standard.warning("certificates of the old CA that must be renewed: \(orphanCount)")
        }
        let next = "pki \(orphanCount > 0 ? "renew --all" : "issue-client")\(directory.argument)"
        try Console.standard.print(IssueReport(issued: issued, next: next), as: format.value)
    }

    /// The number of valid certificates that the CAs in the directory have issued.
    private func countOfIssued() throws -> Int {
        // An empty directory has none.
        guard let inventory = try? Inventory(reading: directory.path, now: .now) else { return 0 }
        var count = 0
        try inventory.visitSummaries(InventoryQuery(at: .now)) { entry in
            if entry.status == .valid, entry.issuer != "itself" { count += 1 }
        }
        return count
    }
}

struct RotateCACommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-ca",
        _superCommandName: "pki",
        abstract: "Replace the root CA with a new one, while both are trusted.",
        discussion: """
            1. pki rotate-ca creates the new root, which issues from now on.
               The old one becomes root-previous. New clients also send
               root-cross-cert.pem, the new root certified by the old one.
            2. pki print-bundle prints both roots: update the trust anchor in AWS.
            3. pki renew --all --issuer root-previous renews the clients.
            4. pki rotate-ca --finish archives the old root. Then update the trust
               anchor again: pki print-bundle prints the new root only.

            For example:

              pki rotate-ca
              pki rotate-ca --subject "CN=Example Root 2" --key-type ec-p384
              pki rotate-ca --key "pkcs11:token=CA;object=root-2" --generate-key
              pki rotate-ca --finish

            Without --subject the new root has the old one's name, so that conditions on the issuer still match. Without \
            --days it is valid for as long as the old one was.
            """
    )

    @OptionGroup var directory: DirectoryOption

    @Flag(help: "Finish the rotation: move the previous root to the archive.")
    var finish = false

    @Flag(help: "With --finish: finish even if certificates of the previous root are still valid.")
    var force = false

    @Option(
        help: .value("name", "The new root's name (RFC 4514). (default: the old root's)"),
        transform: DistinguishedName.argument)
    var subject: DistinguishedName?

    @OptionGroup var newKey: NewAuthorityKeyOptions

    @OptionGroup var validity: LifetimeOptions

    @Option(help: .value("n", "Allow this many levels of intermediate CAs, 0 to 255. (default: the old root's)"))
    var pathLength: Int?

    @OptionGroup var insecure: InsecureNamesOption

    @OptionGroup var template: TemplateOptions

    @OptionGroup var format: FormatOption

    @OptionGroup(title: "The new key")
    var newKeyPassphrase: NewPassphraseOptions<NewKeyRole>

    @OptionGroup(title: "The old root's key")
    var caKey: AuthorityKeyOptions

    func run() throws {
        let option = directory.argument
        if finish {
            let inventory = try directory.inventory()
            let archived = try inventory.finishRotation(force: force, now: .now)
            let report = RotationReport(archived: archived, next: ["pki print-bundle\(option)"])
            return try Console.standard.print(report, as: format.value)
        }
        guard !force else { throw UsageError(message: "--force requires --finish") }
        let authority = try caKey.open(directory.path, issuer: CertificateAuthority.rootName)
        let own = try template.read()
        var request = RootRequest(template: try own ?? BuiltInTemplate.root.template)
        request.subject = subject
        request.keyType = newKey.keyType
        request.lifetime = try validity.lifetime ?? own.map { .days(try $0.days) }
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

struct ChangePassphraseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "change-passphrase",
        _superCommandName: "pki",
        abstract: "Change the passphrase of a key in the CA's directory.",
        discussion: """
            The key and its certificates stay the same. Without options, pki asks for the passphrases on the terminal.

            For example:

              pki change-passphrase
              pki change-passphrase web-1 --key-passphrase-file new.txt
              pki change-passphrase root --passphrase-file old.txt --no-passphrase

            If others know the passphrase, they may have the key: create a new key with pki renew --rekey or pki rotate-ca.
            """
    )

    @Argument(help: .value("name", "The name of the key."), completion: .known(.certificateNames))
    var name = "root"

    @OptionGroup var directory: DirectoryOption

    @OptionGroup var oldKey: PassphraseOptions<StoredKeyRole>

    @OptionGroup var newKey: PassphraseOptions<ChangedPassphraseRole>

    @Flag(help: "Store the key unencrypted, readable by you alone.")
    var noPassphrase = false

    @OptionGroup var quiet: QuietOption

    func run() throws {
        let inventory = try directory.inventory()
        let old = try oldKey.passphrase()
        let given = try newKey.read()
        guard given == nil || !noPassphrase else {
            throw UsageError(message: "a new passphrase cannot be used with --no-passphrase")
        }
        let path = try inventory.changePassphrase(
            of: name,
            from: old.tries("old passphrase of \(name)"),
            to: { try noPassphrase ? nil : given ?? asked() },
            now: .now
        )
        Console.standard.note(
            "\(path) \(noPassphrase ? "is stored unencrypted, readable by you alone" : "has a new passphrase")")
    }

    private func asked() throws -> SecretBytes {
        try NewPassphrase.ask(
            name, otherwise: "give one with --key-passphrase-file, or --no-passphrase to store the key unencrypted")
    }
}
