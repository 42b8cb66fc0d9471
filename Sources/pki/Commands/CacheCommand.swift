// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import Delivery
import FoundationEssentials
import SystemSupport

/// `pki cache`
struct CacheCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache",
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

/// `pki cache list`
struct CacheListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the cached credentials, without secrets.")

    @OptionGroup var format: FormatOption

    func run() throws {
        let cache = CredentialCache.standard
        try Console.standard.print(CacheReport(try cache.entries(), at: .now), as: format.value)
    }
}

/// `pki cache clear`
struct CacheClearCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clear", abstract: "Remove credentials from the cache.",
        discussion: "Exit status: 0 also when there were none.")

    @Flag(name: .long, help: "Remove only expired credentials.")
    var expired = false

    func run() throws {
        let count = try CredentialCache.standard.clear(onlyExpired: expired)
        Console.standard.note(count == 1 ? "1 entry removed" : "\(count) entries removed")
    }
}

struct CacheReport: Report {
    struct Entry: Encodable {
        var roleArn: String
        var assumedRoleArn: String?
        var accessKeyId: String
        var issued: Date
        var expiration: Date
        var isFresh: Bool
        var path: String
        var parameters: [String: String]
    }

    var entries: [Entry]
    private let now: Date

    init(_ entries: [CredentialCache.Entry], at date: Date) {
        now = date
        self.entries = entries.map { entry in
            Entry(
                roleArn: entry.credentials.roleARN,
                assumedRoleArn: entry.credentials.assumedRoleARN,
                accessKeyId: entry.credentials.accessKeyID,
                issued: entry.credentials.issued,
                expiration: entry.credentials.expiration,
                isFresh: entry.isFresh,
                path: entry.path,
                parameters: Dictionary(entry.parts.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
            )
        }
    }

    func encode(to encoder: any Encoder) throws { try entries.encode(to: encoder) }

    var text: String {
        guard !entries.isEmpty else { return "the cache is empty" }
        return entries.map { entry in
            let left = Int(entry.expiration.timeIntervalSince(now))
            let state =
                left <= 0
                ? "expired"
                : "\(left / 60) min \(left % 60) s left\(entry.isFresh ? "" : ", to be replaced at the next use")"
            return """
                role         \(printable(entry.roleArn))
                session      \(printable(entry.assumedRoleArn ?? "unknown"))
                access key   \(printable(entry.accessKeyId))
                valid until  \(CivilTime(entry.expiration).extended) (\(state))
                endpoint     \(printable(entry.parameters["endpoint"] ?? "unknown"))
                file         \(printable(entry.path))
                """
        }.joined(separator: "\n\n")
    }
}
