// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
import SystemSupport

/// A file of the cache: a line `name value` for each value, between a heading and a last line `end`, without which the file is
/// incomplete. Values are percent-encoded, so that none ends its line or is taken for another.
struct CacheEntry {
    var parts: [CredentialCache.Key.Part]
    var credentials: Credentials

    /// Version 1, whose sessions were not compared with the request, is not read.
    private static let heading = "pki-credentials 2"
    private static let keyPrefix = "for."

    init(parts: [CredentialCache.Key.Part], credentials: Credentials) {
        self.parts = parts
        self.credentials = credentials
    }

    /// Reads a file; `nil` if it is not a complete entry.
    init?(_ bytes: [UInt8]) {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        var lines = text.utf8.split(separator: 0x0a, omittingEmptySubsequences: false).map(Substring.init)[...]
        guard lines.popFirst() == Self.heading[...], lines.popLast() == "", lines.popLast() == "end" else { return nil }
        var values: [Substring: String] = [:]
        parts = []
        for line in lines {
            let pair = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, let value = PercentEncoding.decode(pair[1]) else { return nil }
            if pair[0].hasPrefix(Self.keyPrefix) {
                parts.append(.init(name: String(pair[0].dropFirst(Self.keyPrefix.count)), value: value))
            } else {
                values[pair[0]] = value
            }
        }
        guard let accessKeyID = values["access-key-id"], let secretAccessKey = values["secret-access-key"],
            let sessionToken = values["session-token"], let accountID = values["account-id"],
            let roleARN = values["role-arn"], let issued = values["issued"].flatMap(CivilTime.date(fromISO8601:)),
            let expiration = values["expiration"].flatMap(CivilTime.date(fromISO8601:))
        else { return nil }
        credentials = Credentials(
            accessKeyID: accessKeyID, secretAccessKey: secretAccessKey, sessionToken: sessionToken, issued: issued,
            expiration: expiration, accountID: accountID, roleARN: roleARN, assumedRoleARN: values["assumed-role-arn"],
            subjectARN: values["subject-arn"], sourceIdentity: values["source-identity"])
    }

    var bytes: [UInt8] {
        let values: [(String, String?)] =
            parts.map { (Self.keyPrefix + $0.name, $0.value) } + [
                ("role-arn", credentials.roleARN), ("account-id", credentials.accountID),
                ("assumed-role-arn", credentials.assumedRoleARN), ("subject-arn", credentials.subjectARN),
                ("source-identity", credentials.sourceIdentity),
                ("access-key-id", credentials.accessKeyID), ("secret-access-key", credentials.secretAccessKey),
                ("session-token", credentials.sessionToken),
            ]
        let lines =
            values.compactMap { name, value in value.map { "\(name) \(PercentEncoding.encode($0))" } } + [
                "issued \(CivilTime(credentials.issued).extended)",
                "expiration \(CivilTime(credentials.expiration).extended)",
            ]
        return Array(([Self.heading] + lines + ["end", ""]).joined(separator: "\n").utf8)
    }
}

/// The failure of another process to obtain the same credentials, for which this one waited; the request is not repeated.
package struct SharedFailure: ExplainedError, Equatable {
    package let message: String
    package let hint: String?
    /// The exit status.
    package let status: Int32
    let date: Date

    init(_ error: any Error, status: Int32, at date: Date) {
        let explained = error as? any ExplainedError
        message = explained?.message ?? "\(error)"
        hint = explained?.hint
        self.status = status
        self.date = date
    }

    /// Reads ``text``.
    init?(_ text: String) {
        let lines = text.utf8.split(separator: 0x0a, omittingEmptySubsequences: false).map(Substring.init)
        guard lines.count == 5, lines[4].isEmpty, let microseconds = Int(lines[0]), let status = Int32(lines[1]) else {
            return nil
        }
        date = Date(timeIntervalSince1970: Double(microseconds) / 1_000_000)
        self.status = status
        message = String(lines[2])
        hint = lines[3].isEmpty ? nil : String(lines[3])
    }

    /// The time in microseconds since 1970, the status, the message and the hint, a line each.
    var text: String {
        let time = Int((date.timeIntervalSince1970 * 1_000_000).rounded(.up))
        return [
            String(time), String(status), printable(message, limit: 4096), printable(hint ?? "", limit: 4096), "",
        ]
        .joined(separator: "\n")
    }
}
