// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService

extension AccessManagement {
    /// How many characters a trust policy may have besides its blanks.
    private static let trustPolicyLimit = 2_048

    static let roleOperations: [String: QueryService.Operation] = [
        "CreateRole": { call in
            let role = try newRole(call)
            try call.store.update { account in
                let isTaken = account.roles.values.contains { $0.name.lowercased() == role.name.lowercased() }
                guard !isTaken else {
                    throw ServiceRefusal(
                        code: .init("EntityAlreadyExists", .conflict),
                        message: "Role with name \(role.name) already exists.",
                        remedy: "choose another name, or change the role: aws iam update-assume-role-policy"
                    )
                }
                account.roles[role.name] = role
            }
            return ([XMLElement("Role", members(role))], "\(role.name) is \(role.arn)")
        },
        "GetRole": { call in
            let role = try role(try roleName(call), in: call.store.snapshot)
            return ([XMLElement("Role", members(role))], role.name)
        },
        "ListRoles": { call in
            let prefix = try optional(call, "PathPrefix", 1...512) ?? "/"
            let roles = call.store.snapshot.roles
            let names = roles.values.filter { $0.path.hasPrefix(prefix) }.map(\.name).sorted()
            let page = try page(names, call)
            let listed = page.keys.compactMap { roles[$0] }.map { members($0, isListed: true) }
            return ([XMLElement("Roles", members: listed)] + page.members, "\(page.keys.count) of \(names.count)")
        },
        "DeleteRole": { call in
            let name = try roleName(call)
            try call.store.update { account in
                let role = try role(name, in: account)
                guard role.attachedPolicyARNs.isEmpty else {
                    throw conflict("Cannot delete entity, must detach all policies first.", role.attachedPolicyARNs)
                }
                guard role.inlinePolicies.isEmpty else {
                    throw conflict(
                        "Cannot delete entity, must delete policies first.",
                        role.inlinePolicies.keys.sorted()
                    )
                }
                account.roles[name] = nil
            }
            return (nil, "the role \(name) was deleted")
        },
        "UpdateRole": { call in
            let role = try change(call) { role in
                if let text = try description(call) { role.explanation = text }
                if let seconds = try duration(call) { role.maximumSessionDuration = seconds }
            }
            return ([], "the role \(role.name) was changed")
        },
        "UpdateRoleDescription": { call in
            let text = try description(call)
            let role = try change(call) { $0.explanation = text }
            return ([XMLElement("Role", members(role))], "the role \(role.name) was changed")
        },
        "UpdateAssumeRolePolicy": { call in
            let policy = try trustPolicy(call, "PolicyDocument")
            let role = try change(call) { $0.trustPolicy = policy }
            return (nil, "the trust policy of \(role.name) was changed")
        },
        "ListInstanceProfilesForRole": { call in
            let role = try role(try roleName(call), in: call.store.snapshot)
            return (
                [XMLElement("InstanceProfiles", members: [String]()), XMLElement("IsTruncated", text: "false")],
                "the lab has no instance profiles for \(role.name)"
            )
        },
    ]

    /// Makes the role that a request describes.
    private static func newRole(_ call: QueryService.Call) throws -> Role {
        let name = try roleName(call)
        let path = try optional(call, "Path", 1...512) ?? "/"
        guard path == "/" || path.hasPrefix("/") && path.hasSuffix("/") && path.count > 1,
            path.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else {
            throw ServiceRefusal.invalidInput(
                "the specified value for path is invalid. It must begin and end with / and contain only alphanumeric "
                    + "characters and/or / characters."
            )
        }
        var role = Role(
            name: name,
            path: path,
            trustPolicy: try trustPolicy(call, "AssumeRolePolicyDocument"),
            in: call.environment
        )
        role.explanation = try description(call)
        role.maximumSessionDuration = try duration(call) ?? 3_600
        role.tags = try tags(call)
        guard role.tags.count <= tagLimit else { throw limit("Cannot exceed quota for TagsPerRole: \(tagLimit)") }
        role.permissionsBoundary = try optional(call, "PermissionsBoundary", 20...2_048)
        return role
    }

    private static func trustPolicy(_ call: QueryService.Call, _ parameter: String) throws -> PolicyDocument {
        let policy = try policy(call, parameter, kind: .trust)
        guard policy.text.unicodeScalars.count(where: { !$0.properties.isWhitespace }) <= trustPolicyLimit else {
            throw limit(
                "Cannot exceed quota for ACLSizePerRole: \(trustPolicyLimit)",
                remedy: "shorten the trust policy"
            )
        }
        return policy
    }

    private static func description(_ call: QueryService.Call) throws(ServiceRefusal) -> String? {
        try optional(call, "Description", 0...1_000)
    }

    private static func duration(_ call: QueryService.Call) throws(ServiceRefusal) -> Int? {
        try integer(call, "MaxSessionDuration", 3_600...43_200)
    }

    private static func conflict(_ message: String, _ names: [String]) -> ServiceRefusal {
        ServiceRefusal(
            code: .init("DeleteConflict", .conflict),
            message: message,
            detail: "\(message) It has \(names.joined(separator: ", "))"
        )
    }

    /// The members of a role in answers. Lists leave out what IAM leaves out of them.
    static func members(_ role: Role, isListed: Bool = false) -> [XMLElement] {
        var members = [
            XMLElement("Path", text: role.path), XMLElement("RoleName", text: role.name),
            XMLElement("RoleId", text: role.identifier), XMLElement("Arn", text: role.arn.description),
            XMLElement("CreateDate", text: timestamp(role.createdAt)),
            XMLElement("AssumeRolePolicyDocument", text: PercentEncoding.encode(role.trustPolicy.text)),
            XMLElement("MaxSessionDuration", text: "\(role.maximumSessionDuration)"),
        ]
        if let text = role.explanation { members.append(XMLElement("Description", text: text)) }
        guard !isListed else { return members }
        if let boundary = role.permissionsBoundary {
            members.append(
                XMLElement(
                    "PermissionsBoundary",
                    [
                        XMLElement("PermissionsBoundaryType", text: "Policy"),
                        XMLElement("PermissionsBoundaryArn", text: boundary),
                    ]
                )
            )
        }
        if !role.tags.isEmpty { members.append(XMLElement("Tags", members: role.tags.map(tagMembers))) }
        members.append(XMLElement("RoleLastUsed", [XMLElement]()))
        return members
    }
}
