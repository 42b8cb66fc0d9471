// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
import SystemSupport

/// A file of the cache: a line for each value, `name value`, between a first line that names the form and a last one, `end`,
/// without which it is half a file. Values are percent-encoded, so that none ends its line or is taken for another.
struct CacheEntry {
    var parts: [CredentialCache.Key.Part]
    var credentials: Credentials

    /// Entries of the first form, whose sessions were not held against what was asked for, are not read.
    private static let heading = "pki-credentials 2"
    private static let keyPrefix = "for."

    init(parts: [CredentialCache.Key.Part], credentials: Credentials) {
        self.parts = parts
        self.credentials = credentials
    }

    /// Reads a file; nothing when it is none.
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
            accessKeyID: accessKeyID,
            secretAccessKey: secretAccessKey,
            sessionToken: sessionToken,
            issued: issued,
            expiration: expiration,
            accountID: accountID,
            roleARN: roleARN,
            assumedRoleARN: values["assumed-role-arn"],
            subjectARN: values["subject-arn"],
            sourceIdentity: values["source-identity"]
        )
    }

    /// The file.
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
