// SPDX-License-Identifier: Apache-2.0

package import AWSModel
import Certificates
import SystemSupport

/// What to ask the service for.
public struct SessionRequest: Hashable, Sendable {
    package let trustAnchor: AmazonResourceName
    package let profile: AmazonResourceName
    package let role: AmazonResourceName

    /// How long the session shall last, in seconds. The profile may make it shorter.
    public let durationSeconds: Int

    /// The session's name; nothing leaves the choice to the service, which takes the certificate's serial number.
    public let roleSessionName: String?

    /// Properties of the machine that the service keeps with the subject.
    public let instanceProperties: [String: String]

    /// Creates a request without sending anything.
    ///
    /// - Parameters:
    ///   - trustAnchorARN: The trust anchor, by identifier or by alias.
    ///   - profileARN: The profile, by identifier or by alias; in the trust anchor's region.
    ///   - roleARN: The role to assume.
    ///   - durationSeconds: 900 to 43,200; 3,600 if `nil`.
    ///   - roleSessionName: 2 to 64 letters, digits and `_+=,.@-`. The profile must accept session names.
    ///   - instanceProperties: At most 50, each name and value at most 200 characters.
    /// - Throws: ``RolesAnywhereError`` with ``RolesAnywhereError/Code/invalidArgument`` naming the rule.
    public init(
        trustAnchorARN: String, profileARN: String, roleARN: String, durationSeconds: Int? = nil,
        roleSessionName: String? = nil, instanceProperties: [String: String] = [:]
    ) throws(RolesAnywhereError) {
        let trustAnchor = try Self.arn(trustAnchorARN, .trustAnchor)
        let profile = try Self.arn(profileARN, .profile)
        let role = try Self.arn(roleARN, .role)
        let durationSeconds = durationSeconds ?? AWSLimit.defaultSessionDuration
        guard trustAnchor.region == profile.region else {
            throw RolesAnywhereError(
                .invalidArgument,
                "the trust anchor is in \(trustAnchor.region) but the profile is in \(profile.region)",
                hint: "both must be in one region")
        }
        guard trustAnchor.partition == profile.partition, profile.partition == role.partition else {
            throw RolesAnywhereError(
                .invalidArgument,
                "the ARNs are of different partitions: trust anchor \(trustAnchor.partition), profile "
                    + "\(profile.partition), role \(role.partition)",
                hint: "all three are of one account, and so of one partition")
        }
        guard AWSLimit.sessionDuration.contains(durationSeconds) else {
            throw RolesAnywhereError(
                .invalidArgument, "a session cannot last \(durationSeconds) seconds",
                hint: "the service takes \(AWSLimit.sessionDuration.minimum) to \(AWSLimit.sessionDuration.maximum)")
        }
        if let roleSessionName { try Self.check(roleSessionName: roleSessionName) }
        try Self.check(instanceProperties)
        (self.trustAnchor, self.profile, self.role) = (trustAnchor, profile, role)
        self.durationSeconds = durationSeconds
        self.roleSessionName = roleSessionName
        self.instanceProperties = instanceProperties
    }

    private static func arn(
        _ text: String, _ kind: AmazonResourceName.Kind
    ) throws(RolesAnywhereError) -> AmazonResourceName {
        do {
            let arn = try AmazonResourceName(parsing: text)
            try arn.require(kind)
            return arn
        } catch {
            throw RolesAnywhereError(.invalidArgument, error.message, hint: error.hint)
        }
    }

    /// The region of trust anchor and profile.
    public var region: String { trustAnchor.region }

    /// The parameters of the query.
    var query: [HTTPURL.Parameter] {
        [
            HTTPURL.Parameter("profileArn", profile.description),
            HTTPURL.Parameter("roleArn", role.description),
            HTTPURL.Parameter("trustAnchorArn", trustAnchor.description),
        ]
    }

    /// The content.
    var body: [UInt8] {
        JSONValue.compact([
            "durationSeconds": .integer(durationSeconds),
            "instanceProperties": instanceProperties.isEmpty ? .null : JSONValue(sorted: instanceProperties),
            "roleSessionName": JSONValue(roleSessionName),
        ]).bytes
    }

    private static func check(roleSessionName name: String) throws(RolesAnywhereError) {
        guard AWSText.sessionName.allows(name), AWSLimit.roleSessionNameLength.contains(name.utf8.count) else {
            throw RolesAnywhereError(
                .invalidArgument, "\"\(printable(name))\" cannot be a session's name",
                hint: "a name has 2 to 64 letters, digits and characters of _ + = , . @ -")
        }
    }

    private static func check(_ properties: [String: String]) throws(RolesAnywhereError) {
        let count = AWSLimit.instancePropertyCount
        guard count.contains(properties.count) else {
            throw RolesAnywhereError(
                .invalidArgument, "\(properties.count) instance properties are more than \(count.maximum)")
        }
        let length = AWSLimit.instancePropertyLength
        for (name, value) in properties {
            guard length.contains(name.unicodeScalars.count), length.contains(value.unicodeScalars.count) else {
                throw RolesAnywhereError(
                    .invalidArgument, "the instance property \"\(printable(name, limit: 200))\" breaks a limit",
                    hint: "a name and a value have 1 to 200 characters")
            }
        }
    }
}
