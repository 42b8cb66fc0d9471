// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import AWSModel
import Authority
import Certificates
import FoundationEssentials
import HTTPServer
import Lab
import SystemSupport
import TrustAnchors

struct LabCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab",
        _superCommandName: "pki",
        abstract: "Run IAM Roles Anywhere, IAM and STS on this machine, without an AWS account.",
        discussion: """
            Verifies requests as AWS does, and prints on standard error why one is denied; its web page and pki lab log show \
            every check. The CA in the directory becomes a trust anchor, with a profile and a role; their ARNs stay the same \
            as long as the CA does. The lab, and pki lab env, print variables for a shell: with them, pki, the AWS CLI, the SDKs and Terraform \
            use the lab instead of AWS. Ctrl-C or SIGTERM stops it; with --state it continues at the next start.

            For example, in one terminal:

              pki lab --port 9912

            and in another:

              eval "$(pki lab env)"
              pki creds --trust-anchor-arn "$PKI_LAB_TRUST_ANCHOR_ARN" \\
                --profile-arn "$PKI_LAB_PROFILE_ARN" --role-arn "$PKI_LAB_ROLE_ARN" \\
                --certificate credential-process-data/client-cert.pem \\
                --private-key credential-process-data/client-key.pem
              aws rolesanywhere list-trust-anchors
              pki lab log
            """,
        subcommands: [LabLogCommand.self, LabEnvCommand.self]
    )

    @OptionGroup var directory: DirectoryOption

    @Option(
        help: .value("file", "CA certificates for the trust anchor instead of the directory's."), completion: .file())
    var trustAnchor: String?

    @Option(
        help: .value(
            "file", "Create the trust anchors, roles and profiles in this JSON file (see templates/lab.json)."),
        completion: .file())
    var seed: String?

    @Option(help: .value("file", "Keep the state in this SQLite file. (default: in memory)"), completion: .file())
    var state: String?

    @Option(help: .value("port", "The port; 0 chooses a free one."))
    var port = 9_912

    @Option(
        help: .value(
            "address",
            "Listen on this address. If it is not loopback, the network can reach the lab, and its access key is random."
        ))
    var listen = "127.0.0.1"

    @Option(help: .value("name", "Also accept requests for this host: NAME or NAME:PORT; repeatable."))
    var allowHost: [String] = []

    @Flag(help: "Serve HTTPS with a temporary certificate.")
    var tls = false

    @Option(
        help: .value(
            "file", "With --tls: write the CA certificate for clients here. (default: a private temporary file)"),
        completion: .file())
    var tlsCAFile: String?

    @Option(help: .value("region", "The AWS region of the lab."))
    var region = "us-east-1"

    @Option(help: .value("id", "The AWS account of the lab."))
    var account = "123456789012"

    @Option(
        help: .value(
            "id",
            """
            The administrator's access key. (default: AKIAIOSFODNN7EXAMPLE with the secret from AWS's documentation; random \
            if --listen is not loopback)
            """)
    )
    var adminAccessKey: String?

    @Option(help: .value("file", "The file with the secret of --admin-access-key."), completion: .file())
    var adminSecretFile: String?

    @Option(
        help: .value("file", "Also write the variables for a shell to this file, readable by you alone."),
        completion: .file())
    var envFile: String?

    @OptionGroup var quiet: QuietOption

    @OptionGroup var faults: LabFaultOptions

    func validate() throws {
        guard (0...65_535).contains(port) else { throw ValidationError("--port must be 0 to 65535") }
        guard account.utf8.count == 12, account.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw ValidationError("--account must be twelve digits")
        }
        let parts = region.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 3,
            parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber) } })
        else { throw ValidationError("--region must be a region, such as us-east-1") }
        for name in allowHost where HTTPAuthority(name) == nil {
            throw ValidationError("--allow-host \"\(name)\" is not a host name or address, with or without a port")
        }
        guard tls || tlsCAFile == nil else { throw ValidationError("--tls-ca-file requires --tls") }
        guard (adminAccessKey == nil) == (adminSecretFile == nil) else {
            throw ValidationError("--admin-access-key and --admin-secret-file must be given together")
        }
        if let key = adminAccessKey {
            guard (16...128).contains(key.utf8.count),
                key.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }), !key.hasPrefix("ASIA")
            else {
                throw ValidationError(
                    "--admin-access-key must be 16 to 128 letters, digits and underscores, not beginning with ASIA")
            }
        }
    }

    func run() async throws {
        let offset = faults.clockOffset
        let environment = LabEnvironment(
            region: region,
            account: account,
            now: { Date.now.addingTimeInterval(offset) },
            randomBytes: randomBytes
        )
        let console = Console.standard.log
        let seed = try initialResources(in: environment)
        var options = LabService.Options()
        var listener = HTTPListener(address: listen, port: port)
        // The documented key is public, so it is used on loopback only.
        let chosen = try administrator()
        options.administrator = chosen ?? (listener.isLoopback ? .documented : .random(environment.randomBytes))
        options.hosts = Set(allowHost)
        options.stateFile = try state.map { try StateFile(path: $0) }
        options.faults = faults.faults
        options.version = Version.text
        let lab = try LabService(environment: environment, options: options) { console.note($0.summary) }
        try lab.plant(seed)
        let identity = try tls ? serverIdentity(in: environment) : nil
        listener.identity = identity?.identity
        if !listener.isLoopback {
            console.warning("listening on \(listen): everyone who can reach it can use the lab and get its credentials")
            if chosen == nil {
                console.note("the administrator's access key is random, and printed only once")
            }
        }
        // Signals are trapped before anything listens, so that the lab always shuts down cleanly.
        let signals = await CaughtSignal.stream(of: .interrupt, .terminate)
        let authorityFile = try identity.map { try LabAuthorityFile($0.certificateAuthority, at: tlsCAFile) }
        defer { authorityFile?.removeIfTemporary() }
        let server = try await HTTPServer.start([listener], configuration: lab.configuration, handler: lab) { hint }
        do {
            let endpoint = server.listeners.first?.reachableOrigin ?? ""
            // A user who chose the key has the secret.
            let exports = LabVariables(
                endpoint: endpoint, region: region, account: account,
                accessKeyIdentifier: options.administrator.accessKeyIdentifier,
                secret: chosen == nil ? options.administrator.secretAccessKey : nil,
                trustAnchor: seed.trustAnchors.first.map { "\($0.arn)" },
                profile: seed.profiles.first.map { "\($0.arn)" }, role: seed.roles.first.map { "\($0.arn)" },
                caBundle: authorityFile?.path
            ).exports
            if let envFile {
                let directory = try Directory(FilePath.parent(of: envFile), for: .output)
                let contents = SecretBytes(Array(exports.utf8))
                try NewFile.write(FilePath.name(of: envFile), in: directory, contents, replacing: .always)
            }
            try console.write(exactly: exports)
            console.note("the lab is listening; open \(endpoint)/ to watch it")
        } catch {
            await server.shutDown(within: .zero)
            throw error
        }
        for await _ in signals { break }
        await server.shutDown(within: .seconds(5))
    }

    /// What to do when the port is taken: by a lab, perhaps.
    private var hint: String {
        var options = RunningLabOptions()
        (options.endpoint, options.caBundle) = ("http://127.0.0.1:\(port)", nil)
        let state: LabState? = try? LabConnection(options, timeout: .seconds(2)).read("/lab/state")
        return state == nil
            ? "choose another with --port, or let the system choose: pki lab --port 0"
            : "a lab listens there already; use it: eval \"$(pki lab env --endpoint http://127.0.0.1:\(port))\""
    }

    /// The administrator that the user chose.
    private func administrator() throws -> Administrator? {
        guard let adminAccessKey, let adminSecretFile else { return nil }
        let text = String(decoding: try InputFile.read(adminSecretFile), as: UTF8.self)
        let secret = text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
        guard secret.utf8.count >= 8 else {
            throw InputError(
                message: "the secret in \(printable(adminSecretFile)) has fewer than eight characters",
                hint: "write the secret access key to the file, on one line")
        }
        return Administrator(accessKeyIdentifier: adminAccessKey, secretAccessKey: secret)
    }

    /// The resources of the seed file, or a trust anchor, a profile and a role for the CA.
    private func initialResources(in environment: LabEnvironment) throws -> LabSeed {
        guard let seed else { return try LabSeed(certificates: try certificates(), in: environment) }
        let directory = FilePath.parent(of: seed)
        return try LabSeed(reading: try InputFile.read(seed), name: seed, in: environment) { path in
            guard let path else { return try certificates() }
            return try certificates(at: path.utf8.first == 0x2f || directory == "." ? path : "\(directory)/\(path)")
        }
    }

    private func certificates() throws -> [Certificate] {
        let named = trustAnchor.map { [$0] } ?? []
        return try AuthorityCertificates.bundle(named, orIn: directory.path, option: "--trust-anchor").certificates
    }

    private func certificates(at path: String) throws -> [Certificate] {
        let contents = try InputFile.read(path)
        return try TrustAnchorBundle(reading: [.init(name: path, contents: contents)], at: .now).certificates
    }

    private func serverIdentity(in environment: LabEnvironment) throws -> LabServerIdentity {
        let template = try BuiltInTemplate.labServer.template
        var names: [GeneralName] = []
        if !["127.0.0.1", "::1"].contains(listen) || !allowHost.isEmpty {
            names = [.dns("localhost"), try .ipAddress("127.0.0.1"), try .ipAddress("::1")]
            for name in [listen] + allowHost.compactMap({ HTTPAuthority($0)?.host })
            where !["127.0.0.1", "::1", "localhost"].contains(name) {
                names.append((try? GeneralName.ipAddress(name)) ?? .dns(name))
            }
        }
        // Clients check the certificate by the real time, not by the lab's clock.
        var environment = environment
        environment.now = { Date.now }
        return try LabServerIdentity(
            authorityTemplate: try BuiltInTemplate.labAuthority.template, serverTemplate: template, names: names,
            in: environment)
    }
}

/// The file with the CA certificate for TLS clients of the lab.
private struct LabAuthorityFile {
    private static let name = "ca.pem"

    let path: String

    /// The directory that was created for the file; `nil` if the user chose the path.
    private let temporary: Directory?

    /// Writes the certificate to the path that the user chose, where it replaces only a regular file, or to a new directory that
    /// only this user can read.
    init(_ text: String, at chosenPath: String?) throws {
        let contents = SecretBytes(Array(text.utf8))
        if let chosenPath {
            (path, temporary) = (chosenPath, nil)
            let directory = try Directory(FilePath.parent(of: chosenPath), for: .output)
            let name = FilePath.name(of: chosenPath)
            try NewFile.write(name, in: directory, contents, mode: 0o644, replacing: .always)
            return
        }
        let parent = ProcessInfo.processInfo.environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
        let directory = try Directory.makeTemporary("pki-lab-", in: parent)
        (path, temporary) = (directory.path(of: Self.name), directory)
        do {
            try directory.create(Self.name, contents, mode: 0o644)
        } catch {
            removeIfTemporary()
            throw error
        }
    }

    func removeIfTemporary() {
        temporary?.unlink(Self.name)
        temporary?.remove()
    }
}

/// How the lab behaves differently from AWS.
struct LabFaultOptions: ParsableArguments {
    @Option(help: .value("seconds", "Delay every response."))
    var delay = 0.0

    @Option(help: .value("n", "Fail the next n requests with --fail-status."))
    var failNext = 0

    @Option(help: .value("status", "HTTP status for --fail-next, 400 to 599."))
    var failStatus = 503

    @Option(help: .value("n", "Throttle CreateSession to n a second. AWS: 10."))
    var throttle: Int?

    @Option(parsing: .unconditional, help: .value("seconds", "Set the lab's clock ahead, or behind if negative."))
    var clockOffset = 0.0

    @Option(help: .value("seconds", "Expire sessions after this time, whatever was requested."))
    var expiresIn: Int?

    func validate() throws {
        guard (0...3_600).contains(delay) else { throw ValidationError("--delay must be 0 to 3600 seconds") }
        guard failNext >= 0 else { throw ValidationError("--fail-next must be 0 or more") }
        guard (400...599).contains(failStatus) else { throw ValidationError("--fail-status must be 400 to 599") }
        if let throttle, throttle < 1 { throw ValidationError("--throttle must be 1 or more") }
        guard abs(clockOffset) <= 3_153_600_000 else {
            throw ValidationError("--clock-offset must be at most 100 years")
        }
        if let expiresIn, !(1...AWSLimit.sessionDuration.maximum).contains(expiresIn) {
            throw ValidationError("--expires-in must be 1 to \(AWSLimit.sessionDuration.maximum) seconds")
        }
    }

    var faults: LabFaults {
        var faults = LabFaults()
        faults.delay = .seconds(delay)
        faults.failureCount = failNext
        faults.failureStatus = failStatus
        faults.expiresIn = expiresIn
        faults.sessionsPerSecond = throttle
        return faults
    }
}
