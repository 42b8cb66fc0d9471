// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import Enrolment
import EnrolmentService
import FoundationEssentials
import HTTPServer
import RolesAnywhere
import SystemSupport

struct ServeCACommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve-ca",
        _superCommandName: "pki",
        abstract: "Issue certificates to hosts over the network, by EST and ACME.",
        discussion: """
            Hosts get a certificate with a join token, pki token create, and renew it with the certificate itself. The server \
            works on the CA's directory; the other commands can be used on it meanwhile. Without --certificate the server \
            issues its own certificate, for the names of --host, and renews it.

            For example:

              pki token create --name 'web-*' --uses 10
              pki serve-ca --listen 0.0.0.0:8443 --host ca.example.com

              EST            https://ca.example.com:8443/.well-known/est
              ACME           https://ca.example.com:8443/acme/directory
              CRL            /crl/root.crl, /crl/root.pem, and those of the other CAs
              OCSP           /ocsp
              CA             /ca/root.cer
              health         /healthz, /readyz
              Prometheus     /metrics

            A file for --config has the same options, one a line and without the hyphens: host = ca.example.com. A flag has no \
            value, and # begins a comment. SIGHUP reads it again and replaces the server's certificate; what needs a restart \
            is named in the log.

            The CA's CRL is made when the server starts, every --crl-every, and within 5 seconds of pki revoke. OCSP answers are \
            signed by a key that the CA certifies for a week, and tell of a revocation as soon. Most OCSP clients do not use TLS: \
            give them --revocation-listen. With --revocation-url, which is its public address, the certificates that are issued \
            name OCSP, the CRL and the CA's certificate, so that clients find them. AWS looks at none of them.

            With --publish aws, each new CRL is imported into the trust anchors that pki set-arns recorded with the CA. The server \
            assumes a recorded role by a certificate of its own, CN=serve-ca-aws; the role must allow rolesanywhere:ListCrls, \
            ImportCrl and UpdateCrl. AWS's variables for endpoints, CA certificates and proxies count.

            An ACME account needs the token's first two parts, its key id and HMAC key (external account binding). The names that \
            the token allows need no challenge. An account keeps its token: it renews what it holds until the token is \
            revoked, and gets further names while the token has uses left and is valid.

            A token made with --challenge http-01 also wants proof of each name: its host serves a file on port 80, which the \
            server asks for (RFC 8555). --http-01-network lists the networks of such hosts; every address of a name must be in \
            one, and redirects are not followed.

            A client certificate is asked for and not required. A certificate that was replaced and asks for a renewal locks its \
            name, because it may have been stolen: the log and pki audit say so, and a new token for the name unlocks it.
            """
    )

    @Option(
        help: .value("file", "Options from a file, one a line: listen = 0.0.0.0:8443. Those given here go first."),
        completion: .file())
    var config: String?

    @OptionGroup var directory: InventoryOptions

    @Option(
        help: .value("name", "The CA that issues. (default: root, or the only CA whose key is there)"),
        completion: .known(.authorities))
    var issuer: String?

    @Option(
        help: .value(
            "address",
            """
            Where to listen: ADDRESS:PORT, [IPv6]:PORT, PORT or unix:PATH; repeatable. (default: 127.0.0.1:8443, or the \
            sockets from systemd)
            """),
        transform: ListenAddress.argument)
    var listen: [ListenAddress] = []

    @Option(
        help: .value(
            "name",
            """
            A DNS name or IP address of the server, for its own certificate and ACME; repeatable. (default: localhost, 127.0.0.1, \
            or those of --certificate)
            """))
    var host: [String] = []

    @Option(
        help: .value("file", "The server's certificate with its chain, in PEM, in place of its own."),
        completion: .file())
    var certificate: String?

    @Option(help: .value("file", "The key of --certificate, in PEM."), completion: .file())
    var privateKey: String?

    @Option(
        help: .value("address", "A proxy whose Client-Cert header is believed (RFC 9440); repeatable."),
        transform: { text in
            guard IPAddress.octets(text) != nil else {
                throw ValidationError("\"\(printable(text))\" is not an IP address")
            }
            return text
        })
    var proxy: [String] = []

    @Option(
        name: .customLong("http-01-network"),
        help: .value(
            "network",
            "A network whose hosts are asked for proof of their names: 10.1.0.0/16; repeatable. (default: none)"),
        transform: { text in try explaining { try NameConstraints.Subtree("ip:\(text)") } })
    var challengeNetwork: [NameConstraints.Subtree] = []

    /// For tests, which cannot always listen on port 80.
    @Option(name: .customLong("http-01-port"), help: ArgumentHelp("The port of the challenge.", visibility: .hidden))
    var challengePort = 80

    @Option(help: .value("seconds", "After which time a client asks again for a request that waits for approval."))
    var retryAfter = 60

    @Option(
        help: .value("time", "How long after its end a certificate may still renew. (default: not at all)"),
        transform: Duration.argument)
    var renewalGrace: Duration = .zero

    @Option(help: .value("time", "How often the CRL is made. (default: 1h)"), transform: Duration.argument)
    var crlEvery = Duration.seconds(3600)

    @Option(help: .value("time", "How long a CRL may be used. (default: 24h)"), transform: Duration.argument)
    var crlNextUpdate = Duration.seconds(86_400)

    @Option(
        help: .value("address", "Where CRLs and OCSP are served without TLS as well; as --listen, repeatable."),
        transform: ListenAddress.argument)
    var revocationListen: [ListenAddress] = []

    @Option(
        name: .customLong("revocation-url"),
        help: .value("url", "What certificates name as the place of CRLs and OCSP: http://HOST. (default: none)"),
        transform: Self.statusURL)
    var revocationURL: String?

    private static func statusURL(_ text: String) throws -> String {
        let url = try explaining { try HTTPURL(text) }
        guard url.scheme == .http else {
            throw ValidationError("clients of CRLs and OCSP do not use TLS: write http://\(url.authority)\(url.path)")
        }
        return "\(url)"
    }

    /// Who gets the CRL besides those who ask for it.
    enum Publication: String, CaseIterable, ExpressibleByArgument { case aws }

    @Option(help: .value("where", "Import each CRL into the CA's trust anchors in AWS: aws."))
    var publish: Publication?

    @Option(
        help: .value("name", "The role of --publish aws, as pki set-arns recorded it. (default: the only one)"))
    var role: String?

    @OptionGroup var quiet: QuietOption

    @OptionGroup(title: "The CA's key") var caKey: AuthorityKeyOptions

    func validate() throws {
        // Checked when the file is read.
        guard config == nil else { return }
        guard (certificate == nil) == (privateKey == nil) else {
            throw ValidationError("--certificate and --private-key must be given together")
        }
        guard role == nil || publish != nil else { throw ValidationError("--role requires --publish aws") }
        guard crlEvery > .zero, crlEvery < crlNextUpdate else {
            throw ValidationError("--crl-every must be less than --crl-next-update")
        }
        guard (1...65_535).contains(challengePort) else { throw ValidationError("--http-01-port must be 1 to 65535") }
        guard (1...86_400).contains(retryAfter) else { throw ValidationError("--retry-after must be 1 to 86400") }
    }

    /// The command with the options of its file, which is read at each call.
    private func withFile() throws -> Self {
        guard let config else { return self }
        let words = CommandLine.arguments.drop { $0 != Self.configuration.commandName }.dropFirst()
        return try ConfigurationFile(config).command(Self.self, Array(words))
    }

    func run() async throws {
        Heaps.limit(to: max(2, ThisProcess.processorCount))
        let console = Console.standard.log
        let command = try withFile()
        try await command.serve(console) { try withFile() }
    }

    /// - Parameter current: The command with the options that its file has now.
    private func serve(_ console: Console, current: () throws -> Self) async throws {
        // The connections of two servers, and the CA's files besides.
        ThisProcess.allowOpenFiles(4_096)
        let authority = try caKey.open(directory.path, inventory: directory.address, issuer: issuer)
        // Tokens that were made with another key would be refused.
        _ = try authority.inventory.tokenKey()
        let manager = ServiceManager(
            environment: ProcessInfo.processInfo.environment, processID: ThisProcess.identifier)
        let upload = try publish.map { _ in
            try RevocationListUpload(of: authority, in: directory.directory, role: role, console: console)
        }
        let identity = try ServerCertificate(
            of: authority, hosts: host, certificate: certificate, privateKey: privateKey)
        let desk = EnrolmentDesk(authority, rules: rules(authority), jobs: 2) { .now }
        let service = try CAService(
            desk, options: options, isNamed: identity.isNamed, fetch: ChallengeFetch.get, now: { .now },
            note: { console.note($0) }
        ) { console.warning($0) }

        let signals = await CaughtSignal.stream(of: .interrupt, .terminate, .hangUp)
        service.revocation.publisher.start()
        var configuration = HTTPServer.Configuration(now: { Date.now })
        configuration.limits.bodyBytes = 65_536
        let server = try await HTTPServer.start(
            listeners(manager, identity.tls), configuration: configuration, handler: service
        ) { "choose another address with --listen, or find out who listens: ss -ltnp" }
        let plain = try await HTTPServer.start(
            revocationListen.map { $0.listener(identity: nil) }, configuration: configuration,
            handler: service.revocation
        ) { "choose another address with --revocation-listen, or find out who listens: ss -ltnp" }
        console.note(
            "\(authority.name) issues at \(server.listeners.map(\.origin).joined(separator: ", ")); "
                + "the server's certificate is valid until \(CivilTime(identity.expiry).extended)")
        let isForOthers = server.listeners.contains {
            $0.origin.contains("://0.0.0.0:") || $0.origin.contains("://[::]:")
        }
        if isForOthers, host.isEmpty, certificate == nil {
            console.warning("the server's certificate is for localhost alone, and other machines refuse it")
            console.hint("name what hosts use: --host ca.example.com")
        }
        if !plain.listeners.isEmpty {
            console.note("CRLs and OCSP without TLS at \(plain.listeners.map(\.origin).joined(separator: ", "))")
        }
        manager.notify(.ready, .status("\(authority.name) issues"))
        await withTaskGroup { tasks in
            tasks.addTask { await identity.keepValid(console) }
            tasks.addTask { await service.revocation.publisher.keepCurrent() }
            if let upload { tasks.addTask { await upload.keepCurrent(console) } }
            for await signal in signals {
                guard signal == .hangUp else { break }
                do {
                    let new = try current()
                    for option in differences(from: new) {
                        console.warning("\(option) has another value in the file; restart to use it")
                    }
                    desk.rules = new.rules(authority)
                    service.options = new.options
                    identity.reload(
                        console, hosts: new.host, certificate: new.certificate, privateKey: new.privateKey)
                } catch {
                    console.report(error)
                    console.warning("the options stay as they were")
                }
            }
            tasks.cancelAll()
        }
        manager.notify(.stopping)
        async let closed: Void = plain.shutDown(within: .seconds(10))
        await server.shutDown(within: .seconds(10))
        await closed
        try authority.inventory.moveLog()
    }

    private func rules(_ authority: CertificateAuthority) -> EnrolmentRules {
        var rules = EnrolmentRules(authority.inventory)
        rules.renewalGrace = renewalGrace.timeInterval
        rules.statusURL = revocationURL
        return rules
    }

    private var options: CAService.Options {
        var options = CAService.Options()
        options.proxies = Set(proxy)
        options.retryAfter = retryAfter
        options.challengeNetworks = challengeNetwork
        options.challengePort = challengePort
        options.schedule = .init(every: crlEvery.timeInterval, nextUpdate: crlNextUpdate.timeInterval)
        return options
    }

    /// The options that have another value in a command read later, and cannot change while the server runs.
    private func differences(from other: Self) -> [String] {
        [
            ("--directory", directory.path == other.directory.path), ("--issuer", issuer == other.issuer),
            ("--listen", listen == other.listen), ("--revocation-listen", revocationListen == other.revocationListen),
            ("--publish", publish == other.publish), ("--role", role == other.role),
            ("--ca-key", caKey.caKey == other.caKey.caKey),
        ].filter { !$0.1 }.map(\.0)
    }

    private func listeners(_ manager: ServiceManager, _ identity: TLSIdentity) throws -> [HTTPListener] {
        if listen.isEmpty {
            let inherited = try manager.sockets().map {
                try HTTPListener(inheriting: $0.descriptor, identity: identity)
            }
            if !inherited.isEmpty { return inherited }
        }
        return (listen.isEmpty ? [.tcp(address: "127.0.0.1", port: 8_443)] : listen).map {
            $0.listener(identity: identity)
        }
    }
}

extension ListenAddress {
    fileprivate func listener(identity: TLSIdentity?) -> HTTPListener {
        switch self {
        case .tcp(let address, let port): HTTPListener(address: address, port: port, identity: identity)
        case .unix(let path): HTTPListener(path: path, identity: identity)
        }
    }
}
