// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import Enrolment
import FoundationEssentials
import SystemSupport

struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        _superCommandName: "pki",
        abstract: "Create, list and revoke join tokens, with which hosts get certificates from pki serve-ca.",
        discussion: """
            With a token a host gets certificates for some names, a number of times, until a time. It is one line, \
            KID.SECRET.FINGERPRINT: KID is EST's user name and ACME's EAB key identifier, SECRET is EST's password and ACME's \
            HMAC key (base64url), FINGERPRINT is the SHA-256 of the root certificate. The secret is printed once and stored \
            nowhere.

            For example:

              pki token create --name 'web-*' --san 'dns:{name}.example.com'
              pki token list
              pki token revoke Zq3v0kTB9hXk
            """,
        subcommands: [TokenCreateCommand.self, TokenListCommand.self, TokenRevokeCommand.self]
    )
}

struct TokenCreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        _superCommandName: "pki",
        abstract: "Create a join token, and print it.",
        discussion: """
            The name of a certificate is the common name that a request asks for, or without one its first DNS name, IP \
            address or email address. In --name and --san, * stands for one or more letters, digits, - and _, so never for a \
            dot; {name} in --san is the certificate's name. A DNS name, address or mailbox that is the name itself is \
            always allowed.

            For example:

              pki token create --name web-1
              pki token create --name '*.example.com' --uses 20 --expires 1d
              pki token create --name 'cart-*' --san 'uri:spiffe://example.com/cart/{name}'
              pki token create --name db-1 --replace
              pki token create --name 'laptop-*' --approve --uses 50 --expires 30d
              pki token create --name '*.example.com' --challenge http-01 --profile server
            """
    )

    @Option(
        help: .value("pattern", "A name that may be asked for; repeatable."),
        transform: { text in try explaining { try NamePattern(text) } })
    var name: [NamePattern]

    @Option(
        help: .value(
            "kind:pattern", "An alternative name that may be asked for: dns:, ip:, uri: or email:; repeatable."),
        transform: { text in try explaining { try AlternativeNamePattern(text) } })
    var san: [AlternativeNamePattern] = []

    @Option(help: .value("name", "The profile of the certificates."))
    var profile = Profile.client

    @OptionGroup var template: TemplateOptions

    @Option(help: .value("n", "Longest lifetime of the certificates, in days."))
    var days = 7

    @Option(help: .value("n", "How many certificates may be issued."))
    var uses = 1

    @Option(
        help: .value("time", "How long the token is valid: 30m, 12h, 7d. (default: 1h)"), transform: Duration.argument)
    var expires: Duration = .seconds(3600)

    @Flag(help: "A name that has a valid certificate may get another, which replaces it.")
    var replace = false

    @Flag(help: "Each request waits until you approve it: pki pending, pki approve.")
    var approve = false

    @Option(help: .value("kind", "Each name must be proven to pki serve-ca --http-01-network as well: http-01."))
    var challenge: JoinToken.Challenge?

    @OptionGroup var directory: InventoryOptions

    @OptionGroup var format: FormatOption

    func validate() throws {
        guard (1...8000 * 366).contains(days) else { throw ValidationError("--days must be at least 1") }
        guard (1...1_000_000_000).contains(uses) else { throw ValidationError("--uses must be at least 1") }
        guard expires > .zero else { throw ValidationError("--expires must be at least 1m") }
        guard name.count <= 100, san.count <= 100 else {
            throw ValidationError("at most 100 --name and 100 --san can be given")
        }
    }

    func run() throws {
        let now = Date.now
        let inventory = try directory.inventory()
        let root = try inventory.rootCertificate(at: now)
        var generator = SystemRandomNumberGenerator()
        let secrets = TokenSecrets(key: try inventory.tokenKey(orMaking: randomBytes(32), now: now))
        var token = JoinToken(
            identifier: secrets.newToken(using: &generator), names: name, alternativeNames: san,
            template: try template.read() ?? profile.template, lifetime: Double(days) * 86_400, uses: uses,
            createdAt: now, createdBy: Operator.name, expiresAt: now + expires.timeInterval)
        token.replaces = replace
        token.needsApproval = approve
        token.challenge = challenge
        try inventory.add(token, now: now)
        let text = TokenText(
            identifier: token.identifier, secret: secrets.secret(of: token.identifier),
            fingerprint: Digest.sha256.hash(root.derEncoded)
        ).text
        try Console.standard.print(NewTokenReport(token: token, line: text), as: format.value)
        Console.standard.note(
            "token \(token.identifier) for \(token.names.map(\.description).joined(separator: ", ")): \(uses) "
                + "\(uses == 1 ? "certificate" : "certificates") until \(CivilTime(token.expiresAt).extended)")
    }
}

private struct NewTokenReport: Report, EncodableMembers {
    var token: JoinToken
    var line: String
    var text: String { line }

    var members: JSONMembers {
        ["token": line, "kid": token.identifier, "expiresAt": token.expiresAt]
    }

    func encode(to encoder: any Encoder) throws { try members.encode(to: encoder) }
}

struct TokenListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        _superCommandName: "pki",
        abstract: "List the join tokens, the newest first, without their secrets.",
        discussion: """
            The status is valid, used, expired or revoked.

            For example:

              pki token list
              pki token list --valid -o json
            """
    )

    @Flag(help: "Only tokens that can be used.")
    var valid = false

    @OptionGroup var directory: InventoryOptions

    @Option(name: .format, help: .format)
    var format = ListCommand.Format.table

    @OptionGroup var quiet: QuietOption

    func run() throws {
        let now = Date.now
        let tokens = try directory.readInventory(now: now).tokens().filter { !valid || $0.status(at: now) == .valid }
        func fields(_ token: JoinToken) -> [String] {
            [
                token.identifier,
                (token.names.map(\.description) + token.alternativeNames.map(\.description)).joined(separator: " "),
                token.template.profile, "\(token.used)", "\(token.uses)", token.status(at: now).rawValue,
                CivilTime(token.expiresAt).extended, token.createdBy,
            ]
        }
        switch format {
        case .table:
            var table = Table([
                .init("KID"), .init("NAMES", canBeShortened: true), .init("PROFILE", omission: 1),
                .init("USED", isRightAligned: true), .init("OF", isRightAligned: true), .init("STATUS"),
                .init("EXPIRES"), .init("BY", canBeShortened: true, omission: 0),
            ])
            for field in tokens.lazy.flatMap(fields) { table.add(field) }
            try Console.standard.write(table.encoded(for: TerminalFeatures(of: StandardStream.output)))
        case .csv:
            var csv = CSVWriter(["kid", "names", "profile", "used", "uses", "status", "expires_at", "created_by"])
            for field in tokens.lazy.flatMap(fields) { csv.add(field) }
            try Console.standard.write(csv.encoded())
        case .json:
            try Console.standard.print(TokenListReport(tokens: tokens, now: now), as: .json)
        }
    }
}

private struct TokenListReport: Report {
    var tokens: [JoinToken]
    var now: Date
    var text: String { "" }

    func encode(to encoder: any Encoder) throws {
        let rows = tokens.map { token in
            [
                "kid": token.identifier, "names": token.names.map(\.description),
                "alternativeNames": token.alternativeNames.map(\.description), "profile": token.template.profile,
                "lifetimeSeconds": Int(token.lifetime), "uses": token.uses, "used": token.used,
                "replaces": token.replaces, "needsApproval": token.needsApproval,
                "challenge": token.challenge?.rawValue,
                "status": token.status(at: now).rawValue, "createdAt": token.createdAt, "createdBy": token.createdBy,
                "expiresAt": token.expiresAt, "revokedAt": token.revokedAt,
            ] as JSONMembers
        }
        try rows.encode(to: encoder)
    }
}

struct TokenRevokeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        _superCommandName: "pki",
        abstract: "Revoke join tokens. Certificates that were issued by them stay valid.",
        discussion: """
            A running pki serve-ca refuses the token from then on, and the ACME accounts that were made with it: they renew no \
            more.

            For example:

              pki token revoke Zq3v0kTB9hXk
            """
    )

    @Argument(help: .value("kid", "Identifiers, as pki token list shows them."))
    var identifiers: [String]

    @OptionGroup var directory: InventoryOptions

    @OptionGroup var quiet: QuietOption

    func run() throws {
        let inventory = try directory.inventory()
        // All are looked up before anything is changed.
        let tokens = try identifiers.map { identifier in
            guard let token = try inventory.token(identifier) else {
                throw InputError(
                    message: "there is no token \(printable(identifier, limit: 80))",
                    hint: "list the tokens: pki token list\(directory.argument)")
            }
            return token
        }
        for token in tokens {
            let isNew = try inventory.revoke(token, now: .now)
            Console.standard.note(
                isNew ? "token \(token.identifier) is revoked" : "token \(token.identifier) was already revoked")
        }
    }
}

extension JoinToken.Challenge: ExpressibleByArgument {}
