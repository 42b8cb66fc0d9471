// SPDX-License-Identifier: Apache-2.0

package import struct FoundationEssentials.Date
import SystemSupport

/// Keys that sign requests to AWS until they expire, and what is known of the session behind them.
///
/// The secret parts are shown by no description, mirror or dump. The texts for programs that need them are asked for by
/// form: ``text(as:section:)``.
package struct Credentials: Hashable, Sendable {
    /// The public half of the key pair, beginning with `ASIA`.
    package var accessKeyID: String

    /// The secret half.
    package var secretAccessKey: String

    /// The token that goes with both, as secret as the key.
    package var sessionToken: String

    /// When they were obtained, by this machine's clock.
    package var issued: Date

    /// When they end, to the second.
    package var expiration: Date

    /// The account of the role, twelve digits.
    package var accountID: String

    /// The role that was taken.
    package var roleARN: String

    /// The session's ARN: the role with the session's name; nothing when the service did not say.
    package var assumedRoleARN: String?

    /// The subject that the service keeps for the certificate; nothing when the service did not say.
    package var subjectARN: String?

    /// The source identity of the session, `CN=` and the certificate's common name as a rule.
    package var sourceIdentity: String?

    /// Makes credentials.
    ///
    /// - Parameters:
    ///   - accessKeyID: The public half of the key pair.
    ///   - secretAccessKey: The secret half.
    ///   - sessionToken: The token that goes with both.
    ///   - issued: When they were obtained, by this machine's clock.
    ///   - expiration: When they end.
    ///   - accountID: The account of the role.
    ///   - roleARN: The role that was taken.
    ///   - assumedRoleARN: The session's ARN.
    ///   - subjectARN: The subject that the service keeps for the certificate.
    ///   - sourceIdentity: The source identity of the session.
    package init(
        accessKeyID: String,
        secretAccessKey: String,
        sessionToken: String,
        issued: Date,
        expiration: Date,
        accountID: String,
        roleARN: String,
        assumedRoleARN: String? = nil,
        subjectARN: String? = nil,
        sourceIdentity: String? = nil
    ) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
        self.issued = issued
        self.expiration = expiration
        self.accountID = accountID
        self.roleARN = roleARN
        self.assumedRoleARN = assumedRoleARN
        self.subjectARN = subjectARN
        self.sourceIdentity = sourceIdentity
    }

    /// The name of the role: the last part of its ARN, behind its path.
    package var roleName: String { roleARN.split(separator: "/").last.map(String.init) ?? roleARN }
}

extension Credentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Everything that is not secret.
    package var description: String {
        "Credentials(accessKeyID: \"\(accessKeyID)\", secretAccessKey: <redacted>, sessionToken: <redacted>, "
            + "expiration: \(CivilTime(expiration).extended), roleARN: \"\(roleARN)\")"
    }

    /// The same as the description.
    package var debugDescription: String { description }

    /// Everything that is not secret.
    package var customMirror: Mirror {
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
