// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Delivery
import FoundationEssentials
import HTTPServer
import RolesAnywhere
import Synchronization
import SystemSupport

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        _superCommandName: "pki",
        abstract: "Serve fresh credentials to the programs on this machine, from memory.",
        discussion: """
            Serves AWS SDKs as a container credentials endpoint: each profile under its name, for programs that can read \
            the token. With --imds also as the instance metadata service (IMDSv2): the first profile's role, for every \
            program of every user of this machine. Credentials are replaced in the background 25 minutes before they \
            expire, or at half of a shorter lifetime. When that fails, the old ones are served until they expire, then a \
            503 with the reason.

            For example:

              pki serve --profile web --profile backup

            and in the environment of a program (--print-env prints it):

              AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:9911/credentials/web
              AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/run/user/1000/pki/token

            or, with --imds:

              AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:9911/

            /healthz returns 200 while every profile has valid credentials, which --check asks; /metrics is for \
            Prometheus. Certificates are read again when their files change, profiles at SIGHUP or when ~/.aws/config changes. \
            The unit pki-serve@PROFILE runs it as a service, with socket activation and readiness notification.
            """
    )

    @Option(
        help: .value(
            "name",
            """
            A profile that pki configure wrote; repeatable. --imds serves the first. (default: \
            PKI_PROFILE, else without --certificate AWS_PROFILE, else "default")
            """), completion: .known(.profiles))
    var profile: [String] = []

    @Option(
        help: .value(
            "address",
            """
            Where to listen: ADDRESS:PORT, [IPv6]:PORT, PORT or unix:PATH; repeatable. Port 0 lets the system choose. \
            Addresses other than loopback require --token-file. (default: 127.0.0.1:9911, or the sockets from systemd)
            """),
        transform: ListenAddress.argument
    )
    var listen: [ListenAddress] = []

    @Option(help: .value("port", "Same as --listen 127.0.0.1:PORT, as in aws_signing_helper."))
    var port: Int?

    @Option(help: .value("n", "IP time to live (hops) of responses, 1 to 255."))
    var hopLimit = 64

    @Option(
        help: .value(
            "file",
            """
            The file with the container endpoint's token, readable by you alone; created if missing. (default: \
            $XDG_RUNTIME_DIR/pki/token, else ~/.cache/pki/token, else in memory)
            """), completion: .file())
    var tokenFile: String?

    @Flag(
        help: """
            Serve the instance metadata service too: every user of this machine can then get the first profile's \
            credentials.
            """
    )
    var imds = false

    @Flag(help: "Print the environment for programs once the server listens.")
    var printEnv = false

    @Flag(
        help: """
            Start nothing: ask the running server at --listen, and exit with 0 if every profile has valid credentials, \
            1 if not, 69 if it does not respond.
            """
    )
    var check = false

    @Option(help: .value("name", "Also accept requests for this host name; repeatable."))
    var allowHost: [String] = []

    @OptionGroup var quiet: QuietOption

    @OptionGroup var access: AccessOptions

    func validate() throws {
        guard profile.count <= 1 || !access.identity.namesCertificate else {
            throw ValidationError("--certificate can be used with one profile only")
        }
        guard !check || listen.count <= 1 else { throw ValidationError("--check asks one server: give --listen once") }
        guard port == nil || listen.isEmpty else {
            throw ValidationError("only one of --port and --listen can be given")
        }
        guard (0...65_535).contains(port ?? 0) else { throw ValidationError("--port must be 0 to 65535") }
        guard (1...255).contains(hopLimit) else { throw ValidationError("--hop-limit must be 1 to 255") }
    }

    func run() async throws {
        if check { return try checkHealth() }
        let console = Console.standard.log
        let environment = ProcessInfo.processInfo.environment
        let manager = ServiceManager(environment: environment, processID: ThisProcess.identifier)
        let listeners = try listeners(manager)
        let isOpen = listeners.contains { !$0.isLoopback }
        if isOpen, tokenFile == nil {
            throw UsageError(
                message: "an address that is not loopback requires --token-file",
                hint: "name the token's file with --token-file, or listen on loopback")
        }
        let token = try token(environment, console)
        let group = try RefresherGroup(profiles: profile, settings: access, console: console)
        var options = CredentialServer.Options()
        options.hosts = Set(allowHost.map { $0.lowercased() })
        options.servesMetadata = servesMetadata
        options.region = group.region
        let handler = CredentialServer(
            keepers: group.refreshers,
            options: options,
            authorization: { token.token },
            now: { Date.now },
            randomBytes: randomBytes
        )
        // Trapped before anything listens, so that no signal finds the server half open.
        let signals = await CaughtSignal.stream(of: .interrupt, .terminate, .hangUp)
        var configuration = HTTPServer.Configuration(now: { Date.now })
        configuration.eventLoops = 2
        configuration.workers = 1
        let server = try await HTTPServer.start(listeners, configuration: configuration, handler: handler) {
            "choose another address with --listen, or find out who listens: ss -ltnp"
        }
        let service = CredentialService(
            group: group, handler: handler, token: token, manager: manager, console: console)
        do {
            let places = server.listeners.map(\.origin).joined(separator: ", ")
            console.note("serving \(group.refreshers.map(\.name).joined(separator: ", ")) at \(places)")
            if isOpen {
                console.warning(
                    "other machines can reach it without TLS: the token and the credentials cross the network in clear text"
                )
            }
            if printEnv { try console.write(exactly: exports(server.listeners, group.refreshers, token)) }
        } catch {
            await server.shutDown(within: .zero)
            throw error
        }
        await service.run(until: signals)
        manager.notify(.stopping)
        await server.shutDown(within: .seconds(2))
    }

    private var addresses: [ListenAddress] {
        listen.isEmpty ? [.tcp(address: "127.0.0.1", port: port ?? 9_911)] : listen
    }

    /// Asks the server of this machine that listens at the address, for health checks of containers and service managers.
    private func checkHealth() throws {
        guard case .tcp(var address, let port) = addresses[0] else {
            throw UsageError(
                message: "--check cannot ask a unix socket", hint: "listen on an address as well: --listen 9911")
        }
        // A server that listens on every address is asked on loopback.
        if address == "0.0.0.0" { address = "127.0.0.1" }
        if address == "::" { address = "::1" }
        let host = address.contains(":") ? "[\(address)]" : address
        let transport = CurlTransport(
            connectTimeout: .seconds(2), timeout: .seconds(5), proxy: .none, userAgent: "pki/\(Version.text)")
        let response = try transport.send(
            HTTPRequest(method: "GET", url: HTTPURL("http://\(host):\(port)/healthz")))
        try Console.standard.write(String(decoding: response.body, as: UTF8.self))
        if response.status != 200 { throw ExitCode(ExitStatus.checkFailed) }
    }

    private func listeners(_ manager: ServiceManager) throws -> [HTTPListener] {
        if listen.isEmpty, port == nil {
            let inherited = try manager.sockets().map {
                try HTTPListener(inheriting: $0.descriptor, timeToLive: hopLimit)
            }
            if !inherited.isEmpty { return inherited }
        }
        return addresses.map { address in
            switch address {
            case .tcp(let address, let port): HTTPListener(address: address, port: port, timeToLive: hopLimit)
            case .unix(let path): HTTPListener(path: path)
            }
        }
    }

    /// The token's file. Where the standard one cannot be made, as without a home directory that can be written to, the token
    /// is in memory only.
    private func token(_ environment: [String: String], _ console: Console) throws -> TokenFile {
        do {
            return try TokenFile(path: tokenPath(environment), randomBytes: randomBytes)
        } catch {
            guard tokenFile == nil, error.code == .storage else { throw error }
            console.warning(
                "the container endpoint's token is in memory only, where no program finds it: \(error.message)")
            console.hint("name a file that can be written: --token-file FILE; or use --imds, which needs no token")
            return TokenFile(inMemory: randomBytes)
        }
    }

    private func tokenPath(_ environment: [String: String]) -> String {
        let directory = FileManager.default.currentDirectoryPath
        if let tokenFile { return absolutePath(tokenFile, in: directory) }
        if let runtime = environment["XDG_RUNTIME_DIR"], runtime.hasPrefix("/") { return "\(runtime)/pki/token" }
        if let cache = environment["XDG_CACHE_HOME"], cache.hasPrefix("/") { return "\(cache)/pki/token" }
        return "\(homeDirectory(environment["HOME"]))/.cache/pki/token"
    }

    /// Whether the metadata service is served; aws_signing_helper serves nothing else.
    private var servesMetadata: Bool { imds || SigningHelper.isCalled(by: CommandLine.arguments) }

    /// The environment for programs, for a POSIX shell. SDKs do not support unix sockets.
    private func exports(_ listeners: [HTTPListener], _ keepers: [CredentialRefresher], _ token: TokenFile) -> String {
        guard let origin = listeners.first(where: { $0.path == nil })?.reachableOrigin, let keeper = keepers.first
        else {
            return ""
        }
        // Some clients join their paths without a slash.
        let metadata = servesMetadata ? [("AWS_EC2_METADATA_SERVICE_ENDPOINT", "\(origin)/")] : []
        let variables =
            [
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "\(origin)/credentials/\(PercentEncoding.encode(keeper.name))"),
                token.path.map { ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", $0) }
                    ?? ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token.token),
            ] + metadata
        return variables.map { "export \($0.0)=\(Quoting.shell($0.1))\n" }.joined()
    }
}
