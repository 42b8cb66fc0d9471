// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import HTTPService
import Lab
import SystemSupport
import TrustAnchors
import UnixSignals

/// `pki lab`
struct LabCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab",
        abstract: "Run IAM Roles Anywhere, IAM and STS on this machine, to try the whole road without an AWS account.",
        discussion: """
            Verifies requests as AWS does and says on standard error why one is refused; the page at its address shows the \
            same as it happens, and pki lab log prints it with every check. The CA in the directory becomes a trust anchor, \
            with a profile and a role beside it; their ARNs stay the same as long as the CA does. Once the lab listens, it \
            prints what a shell has to export: pki, the AWS CLI, the SDKs and Terraform then find the lab in the place of \
            AWS. Ctrl-C or SIGTERM ends it; with --state it goes on the next time where it was.

            For example, in one terminal:

              pki lab --port 9912

            and in another, with the lines that it printed:

              pki creds --trust-anchor-arn "$PKI_LAB_TRUST_ANCHOR_ARN" \\
                --profile-arn "$PKI_LAB_PROFILE_ARN" --role-arn "$PKI_LAB_ROLE_ARN" \\
                --certificate credential-process-data/client-cert.pem \\
                --private-key credential-process-data/client-key.pem
              aws rolesanywhere list-trust-anchors
              pki lab log
            """,
        subcommands: [LabLogCommand.self]
    )

    @Option(name: .long, help: ArgumentHelp("The CA's directory.", valueName: "directory"))
    var directory = CADirectoryArgument.standard

    @Option(
        name: .long,
        help: ArgumentHelp("CA certificates for the trust anchor, instead of the directory's.", valueName: "file")
    )
    var trustAnchor: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Trust anchors, roles and profiles to begin with, as JSON: see templates/lab.json.",
            valueName: "file"
        )
    )
    var seed: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Remember in this file (SQLite) what was set up. (default: in memory only)",
            valueName: "file"
        )
    )
    var state: String?

    @Option(name: .long, help: ArgumentHelp("The port; 0 lets the system choose one.", valueName: "port"))
    var port = 9_912

    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            The address to listen on. Others than loopback open the lab to the network; its access key is then a random one.
            """,
            valueName: "address"
        )
    )
    var listen = "127.0.0.1"

    @Option(
        name: .long,
        help: ArgumentHelp(
            "A host name that requests may be for, beside localhost and the address: NAME or NAME:PORT; again for more.",
            valueName: "name"
        )
    )
    var allowHost: [String] = []

    @Flag(name: .long, help: "Serve HTTPS, with a certificate that is made for this run.")
    var tls = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            "With --tls: where to write the CA certificate that clients must trust. (default: a private temporary file)",
            valueName: "file"
        )
    )
    var tlsCAFile: String?

    @Option(name: .long, help: ArgumentHelp("The AWS region to play.", valueName: "region"))
    var region = "us-east-1"

    @Option(name: .long, help: ArgumentHelp("The AWS account to play.", valueName: "id"))
    var account = "123456789012"

    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            The access key that may do everything. (default: AKIAIOSFODNN7EXAMPLE with the secret of AWS's documentation; \
            a random one where --listen is not a loopback address)
            """,
            valueName: "id"
        )
    )
    var adminAccessKey: String?

    @Option(
        name: .long,
        help: ArgumentHelp("With --admin-access-key: the file that holds its secret.", valueName: "file")
    )
    var adminSecretFile: String?

    @OptionGroup var faults: LabFaultOptions

    func validate() throws {
        guard (0...65_535).contains(port) else { throw ValidationError("--port is 0 to 65535") }
        guard account.utf8.count == 12, account.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw ValidationError("--account is twelve digits")
        }
        let parts = region.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 3,
            parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber) } })
        else { throw ValidationError("--region is a region's name, such as us-east-1") }
        for name in allowHost where HTTPAuthority(name) == nil {
            throw ValidationError(
                "--allow-host is a host name or an address, with or without a port: \"\(name)\" is not"
            )
        }
        guard tls || tlsCAFile == nil else { throw ValidationError("--tls-ca-file goes with --tls") }
        guard (adminAccessKey == nil) == (adminSecretFile == nil) else {
            throw ValidationError("--admin-access-key and --admin-secret-file go together")
        }
        if let key = adminAccessKey {
            guard (16...128).contains(key.utf8.count),
                key.utf8.allSatisfy({ byte in
                    (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                        || byte == 0x5f
                }), !key.hasPrefix("ASIA")
            else {
                throw ValidationError(
                    "--admin-access-key is 16 to 128 letters, digits and underscores, and begins not with ASIA"
                )
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
        let console = Console.standard
        let seed = try planned(in: environment)
        var options = LabService.Options()
        var listener = HTTPListener(address: listen, port: port)
        // Every client that reaches the lab knows the published key.
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
            console.warning(
                "listening on \(listen): whoever reaches it can use the lab, and what it hands out looks like credentials"
            )
            if chosen == nil {
                console.note("the access key that may do everything is a random one, and stands here once")
            }
        }
        // Trapped before anything listens, so that no signal can find the lab half open.
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let authorityFile = try identity.map { try LabAuthorityFile($0.certificateAuthority, at: tlsCAFile) }
        defer { authorityFile?.removeIfTemporary() }
        let server = try await HTTPServer.start([listener], configuration: lab.configuration, handler: lab)
        do {
            let endpoint = server.listeners.first?.reachableOrigin ?? ""
            let exports = LabExports(
                endpoint: endpoint,
                environment: environment,
                administrator: options.administrator,
                printsSecret: chosen == nil,
                seed: seed,
                authorityFile: authorityFile
            )
            try console.write(exactly: exports.text)
            console.note("the lab listens; what happens is shown at \(endpoint)/")
        } catch {
            await server.shutDown(within: .zero)
            throw error
        }
        for await _ in signals { break }
        await server.shutDown(within: .seconds(5))
    }

    /// The administrator that the user chose.
    private func administrator() throws -> Administrator? {
        guard let adminAccessKey, let adminSecretFile else { return nil }
        let text = String(decoding: try InputFile.read(adminSecretFile), as: UTF8.self)
        let secret = text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
        guard secret.utf8.count >= 8 else {
            throw InputError(
                message: "\(printable(adminSecretFile)) holds no secret of eight characters or more",
                hint: "write the secret access key into it, on one line"
            )
        }
        return Administrator(accessKeyIdentifier: adminAccessKey, secretAccessKey: secret)
    }

    /// What the lab begins with: what the seed file says, or one of each for the CA.
    private func planned(in environment: LabEnvironment) throws -> LabSeed {
        guard let seed else { return try LabSeed(certificates: try certificates(), in: environment) }
        let directory = FilePath.parent(of: seed)
        return try LabSeed(reading: try InputFile.read(seed), name: seed, in: environment) { path in
            guard let path else { return try certificates() }
            return try certificates(at: path.utf8.first == 0x2f || directory == "." ? path : "\(directory)/\(path)")
        }
    }

    private func certificates() throws -> [Certificate] {
        let named = trustAnchor.map { [$0] } ?? []
        let files = try AuthorityCertificates.files(named, orIn: directory, option: "--trust-anchor")
        return try TrustAnchorBundle(reading: files, at: .now).certificates
    }

    private func certificates(at path: String) throws -> [Certificate] {
        let contents = try InputFile.read(path)
        return try TrustAnchorBundle(reading: [.init(name: path, contents: contents)], at: .now).certificates
    }

    private func serverIdentity(in environment: LabEnvironment) throws -> LabServerIdentity {
        let template = try BuiltInTemplates.labServer()
        var names: [GeneralName] = []
        if !["127.0.0.1", "::1"].contains(listen) || !allowHost.isEmpty {
            names = [.dns("localhost"), try .ipAddress("127.0.0.1"), try .ipAddress("::1")]
            for name in [listen] + allowHost.compactMap({ HTTPAuthority($0)?.host })
            where !["127.0.0.1", "::1", "localhost"].contains(name) {
                names.append((try? GeneralName.ipAddress(name)) ?? .dns(name))
            }
        }
        // Clients look at the certificate by their own clock, whatever the lab's says.
        var environment = environment
        environment.now = { Date.now }
        return try LabServerIdentity(
            authorityTemplate: try BuiltInTemplates.labAuthority(),
            serverTemplate: template,
            names: names,
            in: environment
        )
    }
}
