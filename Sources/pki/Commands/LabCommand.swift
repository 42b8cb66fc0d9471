// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
public import Certificates
import FoundationEssentials
public import HTTPService
import Lab
import TrustAnchors
import UnixSignals

/// `pki lab`
struct LabCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab",
        abstract: "Run IAM Roles Anywhere on this machine, to try the whole road without an AWS account.",
        discussion: """
            Verifies requests as AWS does and says on standard error why one is refused. The CA in the folder becomes a trust \
            anchor, with a profile and a role beside it; their ARNs stay the same as long as the CA does. Once the lab \
            listens, it prints what a shell has to export. Ctrl-C or SIGTERM ends it.

            For example, in one terminal:

              pki lab --port 9912

            and in another, with the lines that it printed:

              pki creds --endpoint "$PKI_LAB_ENDPOINT" \\
                --trust-anchor-arn "$PKI_LAB_TRUST_ANCHOR_ARN" \\
                --profile-arn "$PKI_LAB_PROFILE_ARN" --role-arn "$PKI_LAB_ROLE_ARN" \\
                --certificate credential-process-data/client-cert.pem \\
                --private-key credential-process-data/client-key.pem
            """
    )

    @Option(name: .long, help: ArgumentHelp("The CA's folder.", valueName: "folder"))
    var directory = "credential-process-data"

    @Option(
        name: .long,
        help: ArgumentHelp("CA certificates for the trust anchor, instead of the folder's.", valueName: "file")
    )
    var trustAnchor: String?

    @Option(name: .long, help: ArgumentHelp("The port; 0 lets the system choose one.", valueName: "port"))
    var port = 9_912

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The address to listen on. Others than loopback open the lab to the network.",
            valueName: "address"
        )
    )
    var listen = "127.0.0.1"

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

    func validate() throws {
        guard (0...65_535).contains(port) else { throw ValidationError("--port is 0 to 65535") }
        guard account.utf8.count == 12, account.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw ValidationError("--account is twelve digits")
        }
        let parts = region.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 3,
            parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber) } })
        else { throw ValidationError("--region is a region's name, such as us-east-1") }
        guard tls || tlsCAFile == nil else { throw ValidationError("--tls-ca-file goes with --tls") }
    }

    func run() async throws {
        let environment = LabEnvironment(
            region: region,
            account: account,
            now: { .now },
            randomBytes: Self.randomBytes
        )
        let console = Console.standard
        let seed = try LabSeed(certificates: try certificates(), in: environment)
        let lab = try LabService(environment: environment) { console.note($0.summary) }
        lab.plant(seed)
        let identity = try tls ? serverIdentity(in: environment) : nil
        let listener = HTTPListener(address: listen, port: port, identity: identity?.identity)
        if !listener.isLoopback {
            console.warning("listening on \(listen): the lab hands out what looks like credentials to the network")
        }
        // Trapped before anything listens, so that no signal can find the lab half open.
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let authorityFile = try identity.map { try LabAuthorityFile($0.certificateAuthority, at: tlsCAFile) }
        defer { authorityFile?.removeIfTemporary() }
        let server = try await HTTPServer.start([listener], configuration: lab.configuration, handler: lab)
        do {
            try console.write(exports(server, seed, authorityFile))
        } catch {
            await server.shutDown(within: .zero)
            throw error
        }
        for await _ in signals { break }
        await server.shutDown(within: .seconds(5))
    }

    /// Draws eight bytes at a time: each draw is a call of the kernel.
    @Sendable private static func randomBytes(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 7)
        while bytes.count < count {
            var word = generator.next()
            for _ in 0..<8 {
                bytes.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    private func certificates() throws -> [Certificate] {
        let path = trustAnchor ?? "\(directory)/root-cert.pem"
        let contents: [UInt8]
        do {
            contents = try InputFile.read(path)
        } catch let error as InputError {
            throw InputError(
                message: error.message,
                remedy:
                    "make a CA with: pki init-ca --directory \(directory), or name its certificate with --trust-anchor"
            )
        }
        return try TrustAnchorBundle(reading: [.init(name: path, contents: contents)], at: .now).certificates
    }

    private func serverIdentity(in environment: LabEnvironment) throws -> LabServerIdentity {
        let template = try BuiltInTemplates.labServer()
        var names: [GeneralName] = []
        if !["127.0.0.1", "::1"].contains(listen) {
            names = [.dns("localhost"), try .ipAddress("127.0.0.1"), try .ipAddress("::1"), try .ipAddress(listen)]
        }
        return try LabServerIdentity(
            authorityTemplate: try BuiltInTemplates.labAuthority(),
            serverTemplate: template,
            names: names,
            in: environment
        )
    }

    private func exports(_ server: HTTPServer, _ seed: LabSeed, _ authorityFile: LabAuthorityFile?) -> String {
        var lines = [
            "PKI_LAB_ENDPOINT=\(server.listeners.first?.origin ?? "")",
            "PKI_LAB_TRUST_ANCHOR_ARN=\(seed.trustAnchor.arn)",
            "PKI_LAB_PROFILE_ARN=\(seed.profile.arn)",
            "PKI_LAB_ROLE_ARN=\(seed.role.arn)",
        ]
        if let authorityFile { lines.append("PKI_LAB_CA_BUNDLE=\(authorityFile.quotedPath)") }
        return lines.map { "export \($0)\n" }.joined()
    }
}

// Both already say what is wrong and what to do about it.
extension HTTPServiceError: ExplainedError {}
