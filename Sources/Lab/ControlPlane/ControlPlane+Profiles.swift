// SPDX-License-Identifier: Apache-2.0

import HTTPService

import FoundationEssentials

extension Profile: ControlledResource {
    static let member = "profile"
    static let listMember = "profiles"
    static let path = (prefix: "/profile", parameter: "profileId")
    static let operationNoun = "Profile"

    func detail(in environment: LabEnvironment) -> JSONValue {
        commonDetail([
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
        ])
    }
}

extension ControlPlane {
    static var profileOperations: [Operation] {
        commonOperations(Profile.self, listPath: "/profiles") + [
            Operation("CreateProfile", .post, "/profiles", .created) { call in
                let profile = try call.store.update { account in try Self.createProfile(call, in: &account) }
                return (call.output(profile), "\(profile.name) is \(profile.arn)")
            },
            Operation("UpdateProfile", .patch, "/profile/{profileId}") { call in
                let (output, profile) = try call.update(Profile.self) { profile, _ in
                    if let name = try call.members.string("name", 1...255, .resourceName) { profile.name = name }
                    try Self.apply(call.members, to: &profile)
                }
                return (output, "the profile \(profile.name) was changed")
            },
            Operation("PutAttributeMapping", .put, "/profiles/{profileId}/mappings") { call in
                let mapping = try Self.mapping(call.members)
                let profile = try call.change(Profile.self) { profile, _ in
                    profile.attributeMappings.add(mapping)
                }
                return (call.output(profile), "\(mapping.field.rawValue) \(mapping.specifiers.joined(separator: ", "))")
            },
            Operation("DeleteAttributeMapping", .delete, "/profiles/{profileId}/mappings") { call in
                let profile = try Self.deleteMapping(call)
                return (call.output(profile), "the attribute mappings of \(profile.name) were changed")
            },
        ]
    }

    private static func createProfile(_ call: Call, in account: inout Account) throws -> Profile {
        guard call.members.contains("roleArns") else { throw ServiceRefusal.validation("roleArns is missing") }
        var profile = Profile(
            identifier: call.newIdentifier(),
            name: try call.members.required("name", 1...255, .resourceName),
            roleARNs: [],
            in: call.environment
        )
        try apply(call.members, to: &profile)
        profile.isEnabled = try call.members.boolean("enabled") ?? false
        profile.requiresInstanceProperties = try call.members.boolean("requireInstanceProperties") ?? false
        profile.tags = try call.members.tags() ?? []
        profile.createdBy = call.caller.arn
        if let alias = try call.alias(for: profile, in: account) { profile.setAlias(alias) }
        guard account.profiles.count < Account.profileLimit else {
            throw ServiceRefusal.validation(
                "the account has \(Account.profileLimit) profiles, the most that it may have",
                hint: "delete one"
            )
        }
        account.profiles[profile.identifier] = profile
        return profile
    }

    /// Takes over the members that creating and updating have in common.
    static func apply(_ members: InputMembers, to profile: inout Profile) throws {
        if let roles = try members.strings("roleArns", 0...250, 1...1_011, .roleARN) { profile.roleARNs = roles }
        if let policies = try members.strings("managedPolicyArns", 0...50, 1...200) {
            for policy in policies where AmazonResourceName(managedPolicy: policy) == nil {
                throw ServiceRefusal.validation("managedPolicyArns holds \"\(policy)\", not the ARN of a policy")
            }
            profile.managedPolicyARNs = policies
        }
        if let policy = try members.policyText("sessionPolicy") { profile.sessionPolicy = policy }
        if let seconds = try members.integer("durationSeconds", 900...43_200) { profile.durationSeconds = seconds }
        if let accepts = try members.boolean("acceptRoleSessionName") { profile.acceptsRoleSessionName = accepts }
    }

    private static func mapping(_ members: InputMembers) throws -> AttributeMapping {
        guard let field = try members.word("certificateField", of: AttributeMapping.Field.self) else {
            throw ServiceRefusal.validation("certificateField is missing")
        }
        guard let rules = try members.objects("mappingRules", 0...200) else {
            throw ServiceRefusal.validation("mappingRules is missing")
        }
        return AttributeMapping(field: field, specifiers: try rules.map { try $0.required("specifier", 0...60) })
    }

    private static func deleteMapping(_ call: Call) throws -> Profile {
        guard let field = call.parameter("certificateField").flatMap(AttributeMapping.Field.init(rawValue:)) else {
            throw ServiceRefusal.validation(
                "certificateField is not \(AttributeMapping.Field.allCases.map(\.rawValue).joined(separator: ", "))"
            )
        }
        let specifiers = call.query.filter { $0.name == "specifiers" }.map(\.value)
        return try call.change(Profile.self) { profile, _ in
            guard let index = profile.attributeMappings.firstIndex(where: { $0.field == field }) else {
                throw ServiceRefusal.notFound("the profile \(profile.name) maps nothing of \(field.rawValue)")
            }
            guard !specifiers.isEmpty else {
                profile.attributeMappings.remove(at: index)
                return
            }
            for specifier in specifiers where !profile.attributeMappings[index].specifiers.contains(specifier) {
                throw ServiceRefusal.notFound(
                    "the profile \(profile.name) has no mapping \(field.rawValue)/\(specifier)"
                )
            }
            profile.attributeMappings[index].specifiers.removeAll(where: specifiers.contains)
            if profile.attributeMappings[index].specifiers.isEmpty { profile.attributeMappings.remove(at: index) }
        }
    }
}

extension [AttributeMapping] {
    /// Adds rules to those of their field.
    fileprivate mutating func add(_ mapping: AttributeMapping) {
        guard let index = firstIndex(where: { $0.field == mapping.field }) else { return append(mapping) }
        for specifier in mapping.specifiers where !self[index].specifiers.contains(specifier) {
            self[index].specifiers.append(specifier)
        }
    }
}

extension AmazonResourceName {
    /// Reads the ARN of a managed policy. Those of AWS itself have `aws` in the place of the account.
    init?(managedPolicy text: String) {
        let parts = text.split(separator: ":", maxSplits: 5, omittingEmptySubsequences: false)
        guard parts.count == 6, parts[5].hasPrefix("policy/"), parts[2] == "iam" else { return nil }
        let account = parts[4] == "aws" ? "000000000000" : String(parts[4])
        self.init("\(parts[0]):\(parts[1]):\(parts[2]):\(parts[3]):\(account):\(parts[5])")
    }
}
