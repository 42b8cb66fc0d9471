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
            The files are NAME-cert.pem and NAME-key.pem in the CA's folder. Nothing is overwritten. Of a certificate \
            request only the key, the subject and the alternative names are taken; one that asks for more is refused.

            For example:

              pki issue-client --name web-1 --dns web-1.example.com
              pki issue-client --name db-1 --subject "CN=db-1,OU=Databases,O=Example" --days 90
              pki issue-client --name build --csr build.csr
              pki issue-client --name web-2 --ca-key "pkcs11:token=CA;object=root"
            """
    )

    @Option(name: .long, help: ArgumentHelp("The CA's folder.", valueName: "folder"))
    var directory = "credential-process-data"

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

    @Option(
        name: .long,
        help: ArgumentHelp("How many days it is good for, never past its CA. (default: 365)", valueName: "n")
    )
    var days: Int?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The last moment it is good for, in UTC: 2027-12-31 or 2027-12-31T12:00:00Z.",
            valueName: "moment"
        ),
        transform: Lifetime.argument
    )
    var notAfter: Lifetime?

    @Option(
        name: .long,
        help: ArgumentHelp("Certify the key of this PKCS#10 request (PEM or DER) and make none.", valueName: "file")
    )
    var csr: String?

    @Option(
        name: .long,
        help: ArgumentHelp("A template in OpenSSL's format, in place of the built-in client.conf.", valueName: "file")
    )
    var template: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            Where the CA key is: a file, a pkcs11: URI, handle:0x81… for a TPM, ssh-agent:SHA256:…, -, env:NAME or fd:N. \
            (default: the folder's root-key.pem, else what its root-key.uri says)
            """,
            valueName: "place"
        )
    )
    var caKey: String?

    @OptionGroup var device: DeviceOptions

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Open the CA key (passphrase, PIN, password) with the first line of this file. (default: ask on the terminal)",
            valueName: "file"
        )
    )
    var passphraseFile: String?

    @Option(name: .long, help: ArgumentHelp("… or of this environment variable.", valueName: "variable"))
    var passphraseEnv: String?

    @Option(name: .long, help: ArgumentHelp("… or of this open file descriptor.", valueName: "n"))
    var passphraseFd: Int32?

    @Option(
        name: .long,
        help: ArgumentHelp("Encrypt the client's key under the first line of this file.", valueName: "file")
    )
    var keyPassphraseFile: String?

    @Option(name: .long, help: ArgumentHelp("… or of this environment variable.", valueName: "variable"))
    var keyPassphraseEnv: String?

    @Option(name: .long, help: ArgumentHelp("… or of this open file descriptor.", valueName: "n"))
    var keyPassphraseFd: Int32?

    @Flag(name: .long, help: "Move files of the same names to the folder's archive first.")
    var force = false

    @Option(name: .long, help: ArgumentHelp("The form of the answer: text or json.", valueName: "form"))
    var format = ReportFormat.text

    func run() throws {
        let caPassphrase = try PassphraseSource.choose(
            file: passphraseFile,
            environment: passphraseEnv,
            descriptor: passphraseFd,
            option: "--passphrase"
        )
        let keyPassphrase = try PassphraseSource.choose(
            file: keyPassphraseFile,
            environment: keyPassphraseEnv,
            descriptor: keyPassphraseFd,
            option: "--key-passphrase"
        )
        var request = ClientRequest(
            template: try template.map(TemplateFile.read) ?? BuiltInTemplates.client(),
            name: name ?? "client"
        )
        request.nameIsCommonName = name != nil
        request.subject = subject
        request.subjectAlternativeNames = dns + ip + uri + email
        request.keyType = keyType
        request.lifetime = try Lifetime.choose(days: days, notAfter: notAfter)
        if let csr { request.certificateRequest = try CertificateRequest(reading: InputFile.read(csr), name: csr) }
        request.passphrase = try keyPassphrase?.read()
        request.archivesExisting = force
        let passphrase = try Passphrase(caPassphrase)
        try passphrase.check()
        let opener = KeyOpener(device.settings, passphrase: passphrase)
        let authority = try CertificateAuthority(
            openingIn: directory,
            now: .now,
            keyAddress: caKey,
            passphrase: { try passphrase.read("passphrase of the CA key") },
            openKey: { address, certificate in
                try opener.key(at: MaterialPlace(address), for: [certificate])
            }
        )
        var generator = SystemRandomNumberGenerator()
        let issued = try authority.issue(request, now: .now, using: &generator)
        for notice in issued.notices { Console.standard.warning(notice) }
        try Console.standard.print(IssueReport(issued, next: nil), as: format)
    }
}
