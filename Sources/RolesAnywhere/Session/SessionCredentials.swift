// SPDX-License-Identifier: Apache-2.0

import Certificates
public import struct FoundationEssentials.Date

/// What the service gave: keys that sign requests to AWS until they expire.
///
/// The secret parts are shown by no description, mirror or dump. The texts for programs that need them are asked for by
/// name: ``credentialProcessText``, ``environmentText``, ``jsonText``.
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

    /// The session's ARN: the role with the session's name; nothing when the service did not say.
    public let assumedRoleARN: String?

    /// The subject that the service keeps for the certificate; nothing when the service did not say.
    public let subjectARN: String?

    /// The source identity of the session, `CN=` and the certificate's common name as a rule.
    public let sourceIdentity: String?

    /// The account of the role, twelve digits.
    public let accountID: String

    /// Makes credentials, as a cache that read them back has to.
    ///
    /// - Parameters:
    ///   - accessKeyID: The public half of the key pair.
    ///   - secretAccessKey: The secret half.
    ///   - sessionToken: The token that goes with both.
    ///   - expiration: When they end.
    ///   - role: The role that was taken.
    ///   - assumedRoleARN: The session's ARN.
    ///   - subjectARN: The subject that the service keeps for the certificate.
    ///   - sourceIdentity: The source identity of the session.
    public init(
        accessKeyID: String,
        secretAccessKey: String,
        sessionToken: String,
        expiration: Date,
        role: AmazonResourceName,
        assumedRoleARN: String? = nil,
        subjectARN: String? = nil,
        sourceIdentity: String? = nil
    ) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
        self.expiration = expiration
        roleARN = role.description
        accountID = role.accountID
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

extension SessionCredentials {
    /// What the `credential_process` of a profile has to print: one JSON object of version 1, with the account
    /// (AWS SDKs and Tools Reference Guide, "Process credential provider").
    public var credentialProcessText: String {
        JSONText.object([
            ("Version", .number(1)),
            ("AccessKeyId", .string(accessKeyID)),
            ("SecretAccessKey", .string(secretAccessKey)),
            ("SessionToken", .string(sessionToken)),
            ("Expiration", .string(CivilTime(expiration).extended)),
            ("AccountId", .string(accountID)),
        ]).encoded
    }

    /// Lines for a POSIX shell to evaluate, which set the variables that the AWS CLI and the SDKs read.
    public var environmentText: String {
        [
            ("AWS_ACCESS_KEY_ID", accessKeyID),
            ("AWS_SECRET_ACCESS_KEY", secretAccessKey),
            ("AWS_SESSION_TOKEN", sessionToken),
            ("AWS_CREDENTIAL_EXPIRATION", CivilTime(expiration).extended),
            ("AWS_ACCOUNT_ID", accountID),
        ]
        .map { "export \($0.0)='\(shellQuoted($0.1))'" }.joined(separator: "\n")
    }

    /// One JSON object with everything that the service said.
    public var jsonText: String {
        let optional = [
            ("assumedRoleArn", assumedRoleARN), ("subjectArn", subjectARN), ("sourceIdentity", sourceIdentity),
        ]
        return JSONText.object(
            [
                ("accessKeyId", .string(accessKeyID)),
                ("secretAccessKey", .string(secretAccessKey)),
                ("sessionToken", .string(sessionToken)),
                ("expiration", .string(CivilTime(expiration).extended)),
                ("accountId", .string(accountID)),
                ("roleArn", .string(roleARN)),
            ] + optional.compactMap { name, value in value.map { (name, .string($0)) } }
        ).encoded
    }

    /// A text that can stand between single quotes in a shell.
    private func shellQuoted(_ text: String) -> String {
        text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
    }
}
