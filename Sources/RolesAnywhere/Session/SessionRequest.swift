// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// What to ask the service for.
public struct SessionRequest: Hashable, Sendable {
    /// The trust anchor that the certificate is under.
    public let trustAnchor: AmazonResourceName

    /// The profile that allows the role.
    public let profile: AmazonResourceName

    /// The role to take.
    public let role: AmazonResourceName

    /// How long the session shall last, in seconds. The profile may make it shorter.
    public let durationSeconds: Int

    /// The session's name; nothing leaves the choice to the service, which takes the certificate's serial number.
    public let roleSessionName: String?

    /// Properties of the machine that the service keeps with the subject.
    public let instanceProperties: [String: String]

    /// The seconds that a session lasts unless asked otherwise.
    public static let defaultDuration = 3600

    /// The seconds that a session may be asked to last.
    public static let durations = 900...43_200

    /// Makes a request. Nothing is sent.
    ///
    /// - Parameters:
    ///   - trustAnchor: The ARN of the trust anchor, by identifier or by alias.
    ///   - profile: The ARN of the profile, by identifier or by alias; in the trust anchor's region.
    ///   - role: The ARN of the role.
    ///   - durationSeconds: 900 to 43,200.
    ///   - roleSessionName: 2 to 64 letters, digits and `_+=,.@-`. The profile must accept session names.
    ///   - instanceProperties: At most 50, each name and value at most 200 characters.
    /// - Throws: ``RolesAnywhereError`` with ``RolesAnywhereError/Code/invalidArgument`` naming the rule.
    public init(
        trustAnchor: AmazonResourceName,
        profile: AmazonResourceName,
        role: AmazonResourceName,
        durationSeconds: Int = defaultDuration,
        roleSessionName: String? = nil,
        instanceProperties: [String: String] = [:]
    ) throws(RolesAnywhereError) {
        try trustAnchor.require(.trustAnchor)
        try profile.require(.profile)
        try role.require(.role)
        guard trustAnchor.region == profile.region else {
            throw RolesAnywhereError(
                .invalidArgument,
                "the trust anchor is in \(trustAnchor.region) but the profile is in \(profile.region)",
                hint: "both must be in one region"
            )
        }
        guard trustAnchor.partition == profile.partition, profile.partition == role.partition else {
            throw RolesAnywhereError(
                .invalidArgument,
                "the ARNs are of different partitions: trust anchor \(trustAnchor.partition), profile "
                    + "\(profile.partition), role \(role.partition)",
                hint: "all three are of one account, and so of one partition"
            )
        }
        guard Self.durations.contains(durationSeconds) else {
            throw RolesAnywhereError(
                .invalidArgument,
                "a session cannot last \(durationSeconds) seconds",
                hint: "the service takes \(Self.durations.lowerBound) to \(Self.durations.upperBound)"
            )
        }
        if let roleSessionName { try Self.check(roleSessionName: roleSessionName) }
        try Self.check(instanceProperties)
        (self.trustAnchor, self.profile, self.role) = (trustAnchor, profile, role)
        self.durationSeconds = durationSeconds
        self.roleSessionName = roleSessionName
        self.instanceProperties = instanceProperties
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
        var members: [(String, JSONText)] = [("durationSeconds", .number(durationSeconds))]
        if !instanceProperties.isEmpty {
            let properties = instanceProperties.sorted { utf8Precedes($0.key, $1.key) }
            members.append(("instanceProperties", .object(properties.map { ($0.key, .string($0.value)) })))
        }
        if let roleSessionName { members.append(("roleSessionName", .string(roleSessionName))) }
        return Array(JSONText.object(members).encoded.utf8)
    }

    private static func check(roleSessionName name: String) throws(RolesAnywhereError) {
        let allowed = name.utf8.allSatisfy { octet in
            (PercentEncoding.isUnreserved(octet) && octet != UInt8(ascii: "~")) || "+=,@".utf8.contains(octet)
        }
        guard allowed, (2...64).contains(name.utf8.count) else {
            throw RolesAnywhereError(
                .invalidArgument,
                "\"\(printable(name))\" cannot be a session's name",
                hint: "a name has 2 to 64 letters, digits and characters of _ + = , . @ -"
            )
        }
    }

    private static func check(_ properties: [String: String]) throws(RolesAnywhereError) {
        guard properties.count <= 50 else {
            throw RolesAnywhereError(.invalidArgument, "\(properties.count) instance properties are more than 50")
        }
        for (name, value) in properties {
            guard (1...200).contains(name.unicodeScalars.count), (1...200).contains(value.unicodeScalars.count) else {
                throw RolesAnywhereError(
                    .invalidArgument,
                    "the instance property \"\(printable(name, limit: 200))\" breaks a limit",
                    hint: "a name and a value have 1 to 200 characters"
                )
            }
        }
    }
}
