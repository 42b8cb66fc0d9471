// SPDX-License-Identifier: Apache-2.0

import Certificates
public import struct FoundationEssentials.Date
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
