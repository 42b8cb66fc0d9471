// SPDX-License-Identifier: Apache-2.0

package import AWSModel
import Certificates
public import FoundationEssentials
import SystemSupport

/// What the service gave: keys that sign requests to AWS until they expire.
///
/// The secret parts are shown by no description, mirror or dump.
public struct SessionCredentials: Hashable, Sendable {
    /// The public half of the key pair, beginning with `ASIA`.
    public let accessKeyID: String

    /// The secret half.
    public let secretAccessKey: String

    /// The token that goes with both, as secret as the key.
    public let sessionToken: String

    /// When they end, to the second.
    public let expiration: Date

    /// The role that was taken.
    public let roleARN: String

    /// The session's ARN: the role with the session's name; `nil` if the service did not say.
    public let assumedRoleARN: String?

    /// The subject that the service keeps for the certificate; `nil` if the service did not say.
    public let subjectARN: String?

    /// The source identity of the session, `CN=` and the certificate's common name as a rule.
    public let sourceIdentity: String?

    /// The account of the role, twelve digits.
    public let accountID: String

    package init(
        accessKeyID: String, secretAccessKey: String, sessionToken: String, expiration: Date, role: AmazonResourceName,
        assumedRoleARN: String? = nil, subjectARN: String? = nil, sourceIdentity: String? = nil
    ) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
        self.expiration = expiration
        roleARN = role.description
        accountID = role.account
        self.assumedRoleARN = assumedRoleARN
        self.subjectARN = subjectARN
        self.sourceIdentity = sourceIdentity
    }
}

extension SessionCredentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Everything that is not secret.
    public var description: String {
        "SessionCredentials(accessKeyID: \"\(accessKeyID)\", secretAccessKey: <redacted>, sessionToken: <redacted>, "
            + "expiration: \(CivilTime(expiration).extended), roleARN: \"\(roleARN)\")"
    }

    /// The same as the description.
    public var debugDescription: String { description }

    /// Everything that is not secret.
    public var customMirror: Mirror {
        Mirror(
            self,
            children: [
                "accessKeyID": accessKeyID, "secretAccessKey": "<redacted>", "sessionToken": "<redacted>",
                "expiration": CivilTime(expiration).extended, "roleARN": roleARN,
            ],
            displayStyle: .struct
        )
    }
}

/// The content of a successful answer, by its names on the wire.
private struct SessionAnswer: Decodable {
    struct CredentialSet: Decodable {
        struct AssumedRoleUser: Decodable {
            var arn: String?
        }
        struct Credentials: Decodable {
            var accessKeyId: String
            var secretAccessKey: String
            var sessionToken: String
            var expiration: String
        }
        var assumedRoleUser: AssumedRoleUser?
        var credentials: Credentials
        var roleArn: String?
        var sourceIdentity: String?
    }
    var credentialSet: [CredentialSet]
    var subjectArn: String?
}

extension SessionCredentials {
    /// Reads a successful answer, which must be one to the request: a session of the role that was asked for, in its account,
    /// which expires after now and not later than a session can.
    init(answer body: [UInt8], to request: SessionRequest, at now: Date) throws(RolesAnywhereError) {
        let answer: SessionAnswer
        do {
            answer = try JSONDecoder().decode(SessionAnswer.self, from: Data(body))
        } catch {
            throw Self.malformed(Self.place(of: error))
        }
        guard let set = answer.credentialSet.first else { throw Self.malformed("has an empty credentialSet") }
        let credentials = set.credentials
        for (name, value) in [
            ("accessKeyId", credentials.accessKeyId), ("secretAccessKey", credentials.secretAccessKey),
            ("sessionToken", credentials.sessionToken),
        ] {
            guard !value.isEmpty, value.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
                throw Self.malformed("has no usable \(name)")
            }
        }
        guard let expiration = CivilTime.date(fromISO8601: credentials.expiration) else {
            throw Self.malformed("has an expiration that is not a time of ISO 8601")
        }
        try Self.check(expiration, at: now)
        try Self.check(role: set.roleArn, session: set.assumedRoleUser?.arn, subject: answer.subjectArn, for: request)
        self.init(
            accessKeyID: credentials.accessKeyId, secretAccessKey: credentials.secretAccessKey,
            sessionToken: credentials.sessionToken, expiration: expiration, role: request.role,
            assumedRoleARN: set.assumedRoleUser?.arn, subjectARN: answer.subjectArn, sourceIdentity: set.sourceIdentity
        )
    }

    /// Refuses a session that is over, or lasts longer than any session can: it would be kept and handed out until then.
    private static func check(_ expiration: Date, at now: Date) throws(RolesAnywhereError) {
        let longest = Double(AWSLimit.sessionDuration.range.upperBound) + SignedExchange.toleratedClockDifference
        let left = expiration.timeIntervalSince(now)
        guard left <= 0 || left > longest else { return }
        let rule = left <= 0 ? "it is over" : "no session lasts longer than 12 hours"
        throw malformed(
            "has the expiration \(CivilTime(expiration).extended), and by \(CivilTime(now).extended) \(rule)",
            hint: "check this machine's clock, and that --endpoint leads to IAM Roles Anywhere")
    }

    /// Refuses a session of another role or account than the one that was asked for. An alias cannot be compared, so trust
    /// anchor and profile count by their account alone, which is the subject's.
    private static func check(
        role: String?, session: String?, subject: String?, for request: SessionRequest
    ) throws(RolesAnywhereError) {
        let asked = request.role
        let anchor = request.trustAnchor
        guard role != nil || session != nil else {
            throw malformed("names neither the role nor the session that its credentials are for")
        }
        let name = FilePath.name(of: asked.resource)
        if let role, role != asked.description { throw wrong("is for the role", role, insteadOf: "\(asked)") }
        if let session {
            let own = "arn:\(asked.partition):sts::\(asked.account):assumed-role/\(name)/"
            guard isName(session, below: own) else {
                throw wrong("is the session", session, insteadOf: "one of \(asked)")
            }
        }
        if let subject {
            let own = "arn:\(anchor.partition):rolesanywhere:\(anchor.region):\(anchor.account):subject/"
            guard isName(subject, below: own) else {
                throw wrong("is for the subject", subject, insteadOf: "one of the account \(anchor.account)")
            }
        }
    }

    private static func isName(_ text: String, below prefix: String) -> Bool {
        guard text.utf8.starts(with: prefix.utf8) else { return false }
        let name = text.utf8.dropFirst(prefix.utf8.count)
        return !name.isEmpty && name.allSatisfy { (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "/") }
    }

    private static func wrong(_ verb: String, _ found: String, insteadOf wanted: String) -> RolesAnywhereError {
        malformed("\(verb) \"\(printable(found, limit: 200))\", not \(wanted)")
    }

    private static func malformed(
        _ what: String,
        hint: String = "check that --endpoint leads to IAM Roles Anywhere and that no proxy answers in its place"
    ) -> RolesAnywhereError {
        RolesAnywhereError(.malformedAnswer, "the service's answer \(what)", hint: hint)
    }

    /// Where in the answer decoding failed. The decoder's own words are not repeated: they may quote the answer.
    private static func place(of error: any Error) -> String {
        func text(_ path: [any CodingKey]) -> String {
            path.reduce(into: "") { text, key in
                if let index = key.intValue {
                    text += "[\(index)]"
                } else {
                    text += (text.isEmpty ? "" : ".") + key.stringValue
                }
            }
        }
        switch error {
        case DecodingError.keyNotFound(let key, let context): return "lacks \(text(context.codingPath + [key]))"
        case DecodingError.valueNotFound(_, let context): return "has nothing for \(text(context.codingPath))"
        case DecodingError.typeMismatch(_, let context) where !context.codingPath.isEmpty:
            return "has the wrong kind of value for \(text(context.codingPath))"
        default: return "is not the JSON object that it should be"
        }
    }
}
