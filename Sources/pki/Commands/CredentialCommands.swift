// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import Delivery
import FoundationEssentials
import RolesAnywhere
import SystemSupport

struct CredsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "creds",
        _superCommandName: "pki",
        abstract: "Exchange a client certificate for AWS session credentials.",
        discussion: """
            Signs a CreateSession request of IAM Roles Anywhere with the certificate's key and prints the credentials. \
            Certificate, chain, key and ARNs are checked first; \
            what the service would refuse is not sent.

            For example, in a shell:

              anchor=arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/ID
              profile=arn:aws:rolesanywhere:us-east-1:123456789012:profile/ID
              role=arn:aws:iam::123456789012:role/web
              eval "$(pki creds --format env \\
                --certificate web-1-cert.pem --private-key web-1-key.pem \\
                --trust-anchor-arn $anchor --profile-arn $profile --role-arn $role)"

            For the AWS CLI and every SDK, write the same options into a profile once; they then call pki:

              pki configure --profile web \\
                --certificate web-1-cert.pem --private-key web-1-key.pem \\
                --trust-anchor-arn $anchor --profile-arn $profile --role-arn $role
              aws sts get-caller-identity --profile web

            Exit status: 0 done, 2 refused by a local check, 64 wrong usage, 69 service unavailable, 77 denied by the service.
            """
    )

    @OptionGroup var profile: ProfileOption
    @OptionGroup var access: AccessOptions
    @OptionGroup var cache: CacheOption

    @Option(
        name: .format,
        help: .value(
            "format",
            """
            Output format. process: JSON for credential_process; env (POSIX), fish, powershell: lines for a shell that set \
            credentials and region and unset what names others, AWS_PROFILE too; ini: a section of ~/.aws/credentials; json: \
            the service's whole answer.
            """)
    )
    var format = CredentialsFormat.process

    @OptionGroup var quiet: QuietOption

    func run() throws {
        let console = Console.standard
        let access = try Access(access, profile: profile.profile)
        let credentials = try access.credentials(usesCache: cache.cache, console)
        let inherited = ProcessInfo.processInfo.environment
        let text = try credentials.text(
            as: format, section: access.name,
            region: CredentialEnvironment.region(in: inherited, standard: access.region(inherited)))
        try console.write(text + "\n")
    }
}

extension CredentialsFormat: ExpressibleByArgument {}

struct WhoamiCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "whoami",
        _superCommandName: "pki",
        abstract: "Show the AWS identity that a certificate gives you.",
        discussion: """
            Exchanges the certificate for credentials and calls sts:GetCallerIdentity, which needs no permission. When this prints the role, everything works: trust anchor, profile, role, trust policy, \
            certificate and clock. The STS endpoint is that of the trust anchor's region, unless AWS_ENDPOINT_URL_STS or \
            AWS_ENDPOINT_URL is set.

            For example:

              pki whoami --profile web

            Exit status: that of pki creds.
            """
    )

    @OptionGroup var profile: ProfileOption
    @OptionGroup var access: AccessOptions
    @OptionGroup var cache: CacheOption

    @OptionGroup var format: FormatOption

    func run() throws {
        let console = Console.standard
        let access = try Access(access, profile: profile.profile)
        let credentials = try access.credentials(usesCache: cache.cache, console)
        let session = SessionCredentials(
            accessKeyID: credentials.accessKeyID, secretAccessKey: credentials.secretAccessKey,
            sessionToken: credentials.sessionToken, expiration: credentials.expiration, role: access.request.role)
        let identity = try access.identityClient(console).callerIdentity(of: session)
        switch format.value {
        case .text:
            try console.write(
                """
                account  \(printable(identity.account))
                session  \(printable(identity.arn))
                user id  \(printable(identity.userID))

                """
            )
        case .json:
            let members = [("UserId", identity.userID), ("Account", identity.account), ("Arn", identity.arn)]
            let lines = members.map { "    \"\($0)\": \(Quoting.json($1))" }
            try console.write("{\n\(lines.joined(separator: ",\n"))\n}\n")
        }
    }
}

struct CacheCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache",
        _superCommandName: "pki",
        abstract: "List or remove cached credentials.",
        discussion: """
            pki creds --cache, exec --cache and whoami --cache keep credentials in $XDG_CACHE_HOME/pki/credentials, or in \
            ~/.cache/pki/credentials: one file for each endpoint, trust anchor, profile, role, duration, session name and \
            certificate, readable by you alone. They are used while 20 minutes are left, or half of a shorter lifetime. \
            Removing them does not revoke them: a copy works until they expire.

            For example:

              pki cache list
              pki cache clear --expired
            """,
        subcommands: [CacheListCommand.self, CacheClearCommand.self],
        defaultSubcommand: CacheListCommand.self
    )
}

struct CacheListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the cached credentials, without secrets.")

    @OptionGroup var format: FormatOption

    func run() throws {
        let cache = CredentialCache.standard
        try Console.standard.print(CacheReport(entries: try cache.entries(), now: .now), as: format.value)
    }
}

struct CacheClearCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clear", abstract: "Remove credentials from the cache.",
        discussion: "Exit status: 0 also when there were none.")

    @Flag(help: "Remove only expired credentials.")
    var expired = false

    @OptionGroup var quiet: QuietOption

    func run() throws {
        let count = try CredentialCache.standard.clear(onlyExpired: expired)
        Console.standard.note(count == 1 ? "1 entry removed" : "\(count) entries removed")
    }
}

struct CacheReport: Report {
    let entries: [CredentialCache.Entry]
    let now: Date

    func encode(to encoder: any Encoder) throws { try entries.map(Self.members).encode(to: encoder) }

    private static func members(of entry: CredentialCache.Entry) -> JSONMembers {
        let credentials = entry.credentials
        return [
            "roleArn": credentials.roleARN, "assumedRoleArn": credentials.assumedRoleARN,
            "accessKeyId": credentials.accessKeyID, "issued": credentials.issued,
            "expiration": credentials.expiration, "isFresh": entry.isFresh, "path": entry.path,
            "parameters": parameters(of: entry),
        ]
    }

    private static func parameters(of entry: CredentialCache.Entry) -> [String: String] {
        Dictionary(entry.parts.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
    }

    var text: String {
        guard !entries.isEmpty else { return "the cache is empty" }
        return entries.map { entry in
            let credentials = entry.credentials
            let left = Int(credentials.expiration.timeIntervalSince(now))
            let state =
                left <= 0
                ? "expired"
                : "\(left / 60) min \(left % 60) s left\(entry.isFresh ? "" : ", to be replaced at the next use")"
            return """
                role         \(printable(credentials.roleARN))
                session      \(printable(credentials.assumedRoleARN ?? "unknown"))
                access key   \(printable(credentials.accessKeyID))
                valid until  \(CivilTime(credentials.expiration).extended) (\(state))
                endpoint     \(printable(Self.parameters(of: entry)["endpoint"] ?? "unknown"))
                file         \(printable(entry.path))
                """
        }.joined(separator: "\n\n")
    }
}
