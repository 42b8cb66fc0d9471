// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import Enrolment
import EnrolmentClient
import FoundationEssentials
import RolesAnywhere
import SystemSupport

struct EnrolCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enrol",
        _superCommandName: "pki",
        abstract: "Get a certificate for this host from pki serve-ca, with a join token.",
        discussion: """
            Writes the files of issue-client, NAME-cert.pem, NAME-key.pem and, below an intermediate CA, NAME-chain.pem, and \
            root-cert.pem. Nothing is overwritten. The key is made here and does not leave the host. The server is known by the \
            root's fingerprint in the token, before the token's secret is sent; a proxy is not used. Run the same command again \
            after an interruption: it continues with the same key. With --key the key is in a token, a TPM or an agent, and \
            NAME-key.uri has its address; such a certificate is not renewed by the server, because the key cannot be used for TLS.

            For example:

              pki enrol web-1 --server https://ca.example.com:8443 --token-file token
              PKI_TOKEN=… pki enrol web-1 --server https://10.0.0.5:8443 --dns web-1.lan
              pki enrol web-1 --server https://10.0.0.5:8443 --token-file token \\
                --key "pkcs11:token=host;object=web-1" --generate-key
              ssh ca pki token create --name web-1 \\
                | pki enrol web-1 --server https://ca.example.com:8443 --token-file -

            Every user of this machine can read a command line, so --token is for tokens that are spent at once.

            Then renew it with pki renew --server. The timer pki-enrolled@NAME.timer does that for files in \
            /var/lib/pki/enrolled.

            Exit status: 0 done, 2 refused or failed, 69 the server does not answer, is not the token's, or the request \
            waits for approval, 77 the server refuses.
            """
    )

    @OptionGroup var naming: NewNameOptions

    @Option(help: .value("url", "The address of pki serve-ca: https://HOST:PORT."))
    var server: String

    @OptionGroup var token: JoinTokenOptions

    @Option(
        name: .customLong("directory"),
        help: .value(
            "path", "Where the files go, not a CA's directory. (default: PKI_DIRECTORY, else credential-process-data)"),
        completion: .directory)
    var directory: String?

    @Option(
        help: .value("host", "A DNS name of this host; repeatable. (default: NAME if it has a dot)"),
        transform: GeneralName.dnsArgument)
    var dns: [GeneralName] = []

    @Option(help: .value("address", "An IP address of this host; repeatable."), transform: GeneralName.ipArgument)
    var ip: [GeneralName] = []

    @Option(
        help: .value("uri", "A URI of this host, such as a SPIFFE ID; repeatable."), transform: GeneralName.uriArgument)
    var uri: [GeneralName] = []

    @OptionGroup var key: NewAuthorityKeyOptions

    @OptionGroup var device: DeviceOptions

    @Option(
        help: .value("time", "How long to wait until a person approves: 90m, 12h. (default: 10m)"),
        transform: Duration.argument)
    var wait: Duration = .seconds(600)

    @OptionGroup var format: FormatOption

    @OptionGroup(title: "The new key")
    var newKey: NewPassphraseOptions<NewKeyRole>

    func validate() throws {
        guard naming.value != nil else { throw ValidationError("<name> is missing") }
    }

    func run() throws {
        let name = naming.value ?? ""
        let path = directory ?? DirectoryOption.standard
        let address = try HTTPURL(server)
        let token = try token.read()
        var wish = HostEnrolment.Wish()
        wish.names = dns + ip + uri
        if wish.names.isEmpty, name.contains("."), let own = try? GeneralName.dnsName(name) { wish.names = [own] }
        wish.keyType = key.keyType
        wish.passphrase = try newKey.read()
        wish.device = try deviceKey(Passphrase(given: wish.passphrase))
        wish.wait = wait
        let enrolment = HostEnrolment(try IdentityFiles(name, in: path, creates: true))
        let issued = try enrolment.enrol(at: address, with: token, wish)
        let place = path == DirectoryOption.standard ? "" : " " + Quoting.option("--directory", path)
        let next = "pki renew \(Quoting.shell(name)) --server \(Quoting.shell(server))\(place)"
        try Console.standard.print(
            IssueReport(issued: issued, next: issued.keyPath == nil ? nil : next), as: format.value)
    }

    private func deviceKey(_ passphrase: Passphrase) throws -> HostEnrolment.DeviceKey? {
        guard let made = try key.externalKey(device, passphrase: passphrase) else { return nil }
        var existing = key
        existing.generateKey = false
        guard let found = try existing.externalKey(device, passphrase: passphrase) else { return nil }
        return HostEnrolment.DeviceKey(address: made.address, open: found.open, make: made.open)
    }
}

extension HostEnrolment {
    /// With the clock, and messages on standard error.
    init(_ files: IdentityFiles) {
        self.init(files, now: { .now }, sleep: { ThisProcess.sleep(for: $0) }, report: { Console.standard.note($0) })
    }
}

/// Where a join token comes from.
struct JoinTokenOptions: ParsableArguments {
    @Option(help: .value("token", "The line that pki token create prints. (default: PKI_TOKEN)"))
    var token: String?

    @Option(
        help: .value("file", "Read the token from this file, - for standard input, env:NAME or fd:N."),
        completion: .file())
    var tokenFile: String?

    func validate() throws {
        guard token == nil || tokenFile == nil else {
            throw ValidationError("only one of --token and --token-file can be given")
        }
    }

    func read() throws -> TokenText {
        let (text, name): (SecretBytes, String)
        if let token {
            (text, name) = (SecretBytes(token.utf8), "the value of --token")
        } else if let tokenFile {
            guard let contents = try KeyLocation(tokenFile).read(.ownerOnly) else {
                throw UsageError(message: "\(printable(tokenFile)) is not a file", hint: "name a file, - or env:NAME")
            }
            (text, name) = (contents.bytes.firstLine, printable(contents.name))
        } else if let value = ThisProcess.secret(inVariable: "PKI_TOKEN"), value.count > 0 {
            (text, name) = (value, "the environment variable PKI_TOKEN")
        } else {
            throw UsageError(
                message: "there is no join token", hint: "set PKI_TOKEN, or name a file with --token-file")
        }
        guard let token = TokenText(unsafe text.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }) else {
            throw UsageError(
                message: "\(name) is not a join token, KID.SECRET.FINGERPRINT",
                hint: "use the line that pki token create prints, whole")
        }
        return token
    }
}
