// SPDX-License-Identifier: Apache-2.0

package import AWSModel
import FoundationEssentials
import SystemSupport

/// Which roles can be assumed, and what limits a session with them.
package struct Profile: Codable, Hashable, Sendable {
    let identifier: String
    var name: String
    package let arn: AmazonResourceName
    var roleARNs: [String]
    /// The managed policies that limit sessions.
    var managedPolicyARNs: [String] = []
    /// The policy that limits sessions, as JSON.
    var sessionPolicy: String?
    var durationSeconds = AWSLimit.defaultSessionDuration
    /// Whether a request may name its session.
    var acceptsRoleSessionName = false
    /// Stored and shown. AWS: "unused, saved for future use".
    var requiresInstanceProperties = false
    var isEnabled = true
    let createdAt: Date
    var updatedAt: Date
    var createdBy: String?
    var attributeMappings = AttributeMapping.defaults
    var aliasName: String?
    var tags: [Tag] = []

    init(identifier: String, name: String, roleARNs: [String], in environment: LabEnvironment) {
        self.identifier = identifier
        self.name = name
        self.roleARNs = roleARNs
        arn = environment.arn(Self.kind, identifier)
        createdAt = environment.now()
        updatedAt = createdAt
    }
}

extension Profile: AnywhereResource {
    static let kind = "profile"
    static let noun = "profile"
    static let member = "profile"
    static let accountLimit: Int? = AWSLimit.accountProfileCount.maximum
    static let table: any WritableKeyPath<Account, Table<Profile>> & Sendable = \.profiles

    init(_ call: ControlPlane.Call, in account: Account) throws {
        let members = call.members
        guard members.contains("roleArns") else { throw ServiceRefusal.validation("roleArns is missing") }
        self.init(
            identifier: call.environment.newIdentifier(), name: try members.resourceName(), roleARNs: [],
            in: call.environment
        )
        try update(members, in: account)
        isEnabled = try members.boolean("enabled") ?? false
        requiresInstanceProperties = try members.boolean("requireInstanceProperties") ?? false
        createdBy = call.caller.arn
    }

    mutating func update(_ members: InputMembers, in account: Account) throws {
        roleARNs = try Self.roleARNs(in: members) ?? roleARNs
        if let policies = try members.strings(
            "managedPolicyArns", AWSLimit.profilePolicyCount.range, AWSLimit.profilePolicyARNLength.range)
        {
            for policy in policies where AmazonResourceName(managedPolicy: policy) == nil {
                throw ServiceRefusal.validation("managedPolicyArns holds \"\(policy)\", not the ARN of a policy")
            }
            managedPolicyARNs = policies
        }
        sessionPolicy = try members.policyText("sessionPolicy") ?? sessionPolicy
        durationSeconds = try members.integer("durationSeconds", AWSLimit.sessionDuration.range) ?? durationSeconds
        acceptsRoleSessionName = try members.boolean("acceptRoleSessionName") ?? acceptsRoleSessionName
    }

    /// The `roleArns` of a request; `nil` if it names none.
    static func roleARNs(in members: InputMembers) throws -> [String]? {
        try members.strings("roleArns", AWSLimit.profileRoleCount.range, AWSLimit.arnLength.range, .roleARN)
    }

    func ownMembers(in environment: LabEnvironment) -> KeyValuePairs<String, JSONValue> {
        [
            "profileId": .string(identifier), "profileArn": .string(arn.description),
            "createdBy": JSONValue(createdBy), "sessionPolicy": JSONValue(sessionPolicy),
            "roleArns": JSONValue(roleARNs), "managedPolicyArns": JSONValue(managedPolicyARNs),
            "durationSeconds": .integer(durationSeconds), "acceptRoleSessionName": .boolean(acceptsRoleSessionName),
            "requireInstanceProperties": .boolean(requiresInstanceProperties),
            "attributeMappings": .array(
                attributeMappings.map { mapping in
                    [
                        "certificateField": .string(mapping.field.rawValue),
                        "mappingRules": .array(mapping.specifiers.map { ["specifier": .string($0)] }),
                    ]
                }
            ),
        ]
    }
}

extension [AttributeMapping] {
    /// Adds the rules of a mapping to those of its field.
    mutating func add(_ mapping: AttributeMapping) {
        guard let index = firstIndex(where: { $0.field == mapping.field }) else { return append(mapping) }
        for specifier in mapping.specifiers where !self[index].specifiers.contains(specifier) {
            self[index].specifiers.append(specifier)
        }
    }

    /// Removes rules of a field, or all of them when none is named.
    mutating func remove(_ specifiers: [String], of field: AttributeMapping.Field, from profile: String) throws {
        guard let index = firstIndex(where: { $0.field == field }) else {
            throw ServiceRefusal.notFound("the profile \(profile) maps nothing of \(field.rawValue)")
        }
        for specifier in specifiers where !self[index].specifiers.contains(specifier) {
            throw ServiceRefusal.notFound("the profile \(profile) has no mapping \(field.rawValue)/\(specifier)")
        }
        self[index].specifiers.removeAll(where: specifiers.contains)
        if specifiers.isEmpty || self[index].specifiers.isEmpty { remove(at: index) }
    }
}
