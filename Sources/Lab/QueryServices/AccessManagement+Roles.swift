// SPDX-License-Identifier: Apache-2.0

import AWSModel
import HTTPServer
import SystemSupport

extension AccessManagement {
    static var roleOperations: [String: QueryService.Operation] {
        [
            "CreateRole": { call, _ in try create(call) },
            "GetRole": { call, _ in
                let role = try call.role(in: call.store.snapshot)
                let elements = detail(role, hasTags: true) + [lastUse(of: role, call)]
                return ([XMLElement("Role", elements)], role.arn.description)
            },
            "ListRoles": { call, _ in
                let prefix = try call.form.text("PathPrefix", AWSLimit.pathLength.range, .pathPrefix) ?? "/"
                let roles = call.store.snapshot.roles.values.filter { $0.path.hasPrefix(prefix) }
                    .map { (key: $0.name, element: $0) }.sorted { $0.key < $1.key }
                let page = try call.page("Roles", roles) { XMLElement("member", detail($0)) }
                return (page, "of \(roles.count) under \(prefix)")
            },
            "DeleteRole": { call, _ in try delete(call) },
            "UpdateRole": { call, _ in
                let description = try call.form.text("Description", AWSLimit.roleDescriptionLength.range, .description)
                let duration = try call.form.integer("MaxSessionDuration", AWSLimit.roleSessionDuration.range)
                // What is not sent stays.
                let role = try call.changeRole { role, _ in
                    role.explanation = description ?? role.explanation
                    role.maximumSessionDuration = duration ?? role.maximumSessionDuration
                }
                return ([], "updated \(role.name)")
            },
            "UpdateRoleDescription": { call, _ in
                let description = try call.form.required(
                    "Description", AWSLimit.roleDescriptionLength.range, .description)
                let role = try call.changeRole { role, _ in role.explanation = description }
                return ([XMLElement("Role", detail(role))], "updated \(role.name)")
            },
            "UpdateAssumeRolePolicy": { call, _ in
                let policy = try call.policy("PolicyDocument", kind: .trust)
                let role = try call.changeRole { role, account in
                    try check(trustPolicy: policy, account, call)
                    role.trustPolicy = policy
                }
                return (nil, "the trust policy of \(role.name)")
            },
            "ListInstanceProfilesForRole": { call, _ in
                let role = try call.role(in: call.store.snapshot)
                let none: [(key: String, element: String)] = []
                let page = try call.page("InstanceProfiles", none) { XMLElement("member", text: $0) }
                return (page, "\(role.name) is in no instance profile")
            },
        ]
    }

    static var tagOperations: [String: QueryService.Operation] {
        [
            "TagRole": { call, _ in
                let tags = try call.form.checkedTags()
                let role = try call.changeRole { role, _ in
                    for tag in tags {
                        // In keys case does not count, and the last spelling stays.
                        let index = role.tags.firstIndex { $0.key.lowercased() == tag.key.lowercased() }
                        if let index { role.tags[index] = tag } else { role.tags.append(tag) }
                    }
                    let limit = AWSLimit.roleTagCount.maximum
                    guard role.tags.count <= limit else {
                        throw ServiceRefusal.limitExceeded(
                            "The number of tags has reached the maximum limit.",
                            hint: "the role would have \(role.tags.count) tags, and may have \(limit)")
                    }
                }
                return (nil, "\(tags.count) tags on \(role.name)")
            },
            "UntagRole": { call, _ in
                let keys = try call.form.tagKeys("TagKeys", .roleTag).map { $0.lowercased() }
                let role = try call.changeRole { role, _ in
                    role.tags.removeAll { keys.contains($0.key.lowercased()) }
                }
                return (nil, "\(keys.count) tags off \(role.name)")
            },
            "ListRoleTags": { call, _ in
                let role = try call.role(in: call.store.snapshot)
                let tags = role.tags.map { (key: $0.key, element: $0) }.sorted { $0.key < $1.key }
                return (try call.page("Tags", tags, XMLElement.init(tag:)), "\(tags.count) tags on \(role.name)")
            },
        ]
    }

    private static func create(_ call: Call) throws -> Outcome {
        let form = call.form
        let name = try form.required("RoleName", AWSLimit.roleNameLength.range, .name)
        let path = try form.text("Path", AWSLimit.pathLength.range, .path) ?? "/"
        let policy = try call.policy("AssumeRolePolicyDocument", kind: .trust)
        var role = Role(
            name: name,
            path: path,
            // A role of the same name as one that is gone is another role: the sessions of the old are not its own.
            identifier: "AROA" + Base32.characters(call.environment.randomBytes(17)),
            trustPolicy: policy,
            in: call.environment
        )
        role.explanation = try form.text("Description", AWSLimit.roleDescriptionLength.range, .description)
        role.maximumSessionDuration =
            try form.integer("MaxSessionDuration", AWSLimit.roleSessionDuration.range) ?? role.maximumSessionDuration
        role.permissionsBoundary = try boundary(call)
        role.tags = try form.checkedTags()
        let created = role
        try call.store.update { account in
            let folded = name.lowercased()
            guard !account.roles.values.contains(where: { $0.name.lowercased() == folded }) else {
                throw ServiceRefusal(
                    code: .init("EntityAlreadyExists", .conflict), message: "Role with name \(name) already exists.")
            }
            let limit = AWSLimit.accountRoleCount.maximum
            guard account.roles.count < limit else {
                throw ServiceRefusal.limitExceeded("Cannot exceed quota for RolesPerAccount: \(limit)")
            }
            try check(trustPolicy: policy, account, call)
            account.roles[name] = created
        }
        return ([XMLElement("Role", detail(created, hasTags: true))], "made \(created.arn)")
    }

    private static func delete(_ call: Call) throws -> Outcome {
        func conflict(_ what: String, _ has: String, hint: String) -> ServiceRefusal {
            ServiceRefusal(
                code: .init("DeleteConflict", .conflict), message: "Cannot delete entity, must \(what) first.",
                detail: has, hint: hint)
        }
        let name = try call.store.update { account in
            let role = try call.role(in: account)
            guard role.attachedPolicyARNs.isEmpty else {
                let policies = role.attachedPolicyARNs.joined(separator: ", ")
                throw conflict(
                    "detach all policies", "\(role.name) has \(policies)", hint: "aws iam detach-role-policy")
            }
            guard role.inlinePolicies.isEmpty else {
                let policies = role.inlinePolicies.keys.sorted().joined(separator: ", ")
                throw conflict("delete policies", "\(role.name) has \(policies)", hint: "aws iam delete-role-policy")
            }
            account.roles[role.name] = nil
            return role.name
        }
        return (nil, "deleted \(name)")
    }

    /// Checks what only the account can tell of a trust policy: how long it may be, and that the roles that it names
    /// exist. Of other accounts nothing is known.
    private static func check(trustPolicy policy: PolicyDocument, _ account: Account, _ call: Call) throws {
        let limit = AWSLimit.trustPolicyLength.maximum
        guard size(policy) <= limit else {
            throw ServiceRefusal.limitExceeded(
                "Cannot exceed quota for ACLSizePerRole: \(limit)",
                hint: "the policy has \(size(policy)) characters without blanks: shorten it")
        }
        for text in policy.statements.flatMap({ $0.principal?.elements.flatMap(\.texts) ?? [] }) {
            guard let arn = AmazonResourceName(text), arn.service == "iam", arn.account == call.environment.account
            else { continue }
            let isKnown =
                arn.resource.hasPrefix("role/")
                ? account.role(arn) != nil
                : arn.resource == "root" || arn.resource == "user/lab-admin"
            guard isKnown else {
                throw ServiceRefusal.malformedPolicy(
                    .invalidPrincipal("AWS", text, "there is no \(text) in this account", hint: "make it first"))
            }
        }
    }

    /// How long a policy is for the quotas: IAM does not count blanks.
    static func size(_ policy: PolicyDocument) -> Int {
        policy.text.unicodeScalars.count { !$0.properties.isWhitespace }
    }

    /// The members of a `Role`. Lists leave out tags and boundary.
    private static func detail(_ role: Role, hasTags: Bool = false) -> [XMLElement] {
        var elements = [
            XMLElement("Path", text: role.path), XMLElement("RoleName", text: role.name),
            XMLElement("RoleId", text: role.identifier), XMLElement("Arn", text: role.arn.description),
            XMLElement("CreateDate", text: timestamp(role.createdAt)),
            XMLElement("AssumeRolePolicyDocument", text: PercentEncoding.encode(role.trustPolicy.text)),
            XMLElement("MaxSessionDuration", text: "\(role.maximumSessionDuration)"),
        ]
        if let description = role.explanation, !description.isEmpty {
            elements.append(XMLElement("Description", text: description))
        }
        if hasTags, let boundary = role.permissionsBoundary {
            let type = XMLElement("PermissionsBoundaryType", text: "PermissionsBoundaryPolicy")
            let arn = XMLElement("PermissionsBoundaryArn", text: boundary)
            elements.append(XMLElement("PermissionsBoundary", [type, arn]))
        }
        if hasTags, !role.tags.isEmpty { elements.append(XMLElement("Tags", role.tags.map(XMLElement.init(tag:)))) }
        return elements
    }

    /// When a session was last created for a certificate; AWS looks at what sessions do, too.
    private static func lastUse(of role: Role, _ call: Call) -> XMLElement {
        let last = call.store.sessions.last { $0.roleARN == role.arn.description && $0.issuedAt >= role.createdAt }
        guard let last else { return XMLElement("RoleLastUsed", []) }
        let date = XMLElement("LastUsedDate", text: timestamp(last.issuedAt))
        return XMLElement("RoleLastUsed", [date, XMLElement("Region", text: call.environment.region)])
    }
}
