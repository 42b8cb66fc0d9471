// SPDX-License-Identifier: Apache-2.0

import HTTPService
import SystemSupport

extension AccessManagement {
    /// How many roles an account may have.
    private static let roleLimit = 1_000

    static var roleOperations: [String: QueryService.Operation] {
        [
            "CreateRole": { call, _ in try create(call) },
            "GetRole": { call, _ in
                let role = try call.role(in: call.store.snapshot)
                return ([XMLElement("Role", detail(role, call, isWhole: true))], role.arn.description)
            },
            "ListRoles": { call, _ in try list(call) },
            "DeleteRole": { call, _ in try delete(call) },
            "UpdateRole": { call, _ in
                let description = try call.form.text("Description", 0...1_000, .description)
                let duration = try call.form.integer("MaxSessionDuration", 3_600...43_200)
                // What is not sent stays.
                let role = try call.changeRole { role, _ in
                    role.explanation = description ?? role.explanation
                    role.maximumSessionDuration = duration ?? role.maximumSessionDuration
                }
                return ([], "updated \(role.name)")
            },
            "UpdateRoleDescription": { call, _ in
                let description = try call.form.required("Description", 0...1_000, .description)
                let role = try call.changeRole { role, _ in role.explanation = description }
                return ([XMLElement("Role", detail(role, call, isWhole: false))], "updated \(role.name)")
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
                return (
                    try call.page("InstanceProfiles", none) { XMLElement("member", text: $0) },
                    "\(role.name) is in no instance profile"
                )
            },
        ]
    }

    private static func create(_ call: Call) throws -> Outcome {
        let form = call.form
        let name = try form.required("RoleName", 1...64, .name)
        let path = try form.text("Path", 1...512, .path) ?? "/"
        let policy = try call.policy("AssumeRolePolicyDocument", kind: .trust)
        let description = try form.text("Description", 0...1_000, .description)
        let duration = try form.integer("MaxSessionDuration", 3_600...43_200)
        let boundary = try boundary(call)
        let tags = try form.checkedTags()
        var role = Role(
            name: name,
            path: path,
            // A role of the same name as one that is gone is another role: the sessions of the old are not its own.
            identifier: "AROA" + Base32.characters(call.environment.randomBytes(17)),
            trustPolicy: policy,
            in: call.environment
        )
        role.explanation = description
        role.maximumSessionDuration = duration ?? role.maximumSessionDuration
        role.permissionsBoundary = boundary
        role.tags = tags
        try call.store.update { account in
            let folded = name.lowercased()
            guard !account.roles.values.contains(where: { $0.name.lowercased() == folded }) else {
                throw ServiceRefusal(
                    code: .init("EntityAlreadyExists", .conflict),
                    message: "Role with name \(name) already exists."
                )
            }
            guard account.roles.count < roleLimit else {
                throw ServiceRefusal.limitExceeded("Cannot exceed quota for RolesPerAccount: \(roleLimit)")
            }
            try check(trustPolicy: policy, account, call)
            account.roles[name] = role
        }
        return ([XMLElement("Role", detail(role, call, isWhole: false, hasTags: true))], "made \(role.arn)")
    }

    private static func list(_ call: Call) throws -> Outcome {
        let prefix = try call.form.text("PathPrefix", 1...512, .pathPrefix) ?? "/"
        let roles = call.store.snapshot.roles.values.filter { $0.path.hasPrefix(prefix) }
            .map { (key: $0.name, element: $0) }.sorted { $0.key < $1.key }
        let page = try call.page("Roles", roles) { XMLElement("member", detail($0, call, isWhole: false)) }
        return (page, "of \(roles.count) under \(prefix)")
    }

    private static func delete(_ call: Call) throws -> Outcome {
        let name = try call.store.update { account in
            let role = try call.role(in: account)
            let conflict = ServiceRefusal.Code("DeleteConflict", .conflict)
            guard role.attachedPolicyARNs.isEmpty else {
                throw ServiceRefusal(
                    code: conflict,
                    message: "Cannot delete entity, must detach all policies first.",
                    detail: "\(role.name) has \(role.attachedPolicyARNs.joined(separator: ", "))",
                    hint: "aws iam detach-role-policy"
                )
            }
            guard role.inlinePolicies.isEmpty else {
                throw ServiceRefusal(
                    code: conflict,
                    message: "Cannot delete entity, must delete policies first.",
                    detail: "\(role.name) has \(role.inlinePolicies.keys.sorted().joined(separator: ", "))",
                    hint: "aws iam delete-role-policy"
                )
            }
            account.roles[role.name] = nil
            return role.name
        }
        return (nil, "deleted \(name)")
    }

    /// Checks what only the account can tell of a trust policy: how long it may be, and that the roles that it names
    /// exist. Of other accounts nothing is known.
    private static func check(trustPolicy policy: PolicyDocument, _ account: Account, _ call: Call) throws {
        guard size(policy) <= 2_048 else {
            throw ServiceRefusal.limitExceeded(
                "Cannot exceed quota for ACLSizePerRole: 2048",
                hint: "the policy has \(size(policy)) characters without blanks: shorten it"
            )
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
                    .invalidPrincipal("AWS", text, "there is no \(text) in this account", hint: "make it first")
                )
            }
        }
    }

    /// How long a policy is for the quotas: IAM does not count blanks.
    static func size(_ policy: PolicyDocument) -> Int {
        policy.text.unicodeScalars.count { !$0.properties.isWhitespace }
    }

    /// What is shown of a role.
    ///
    /// - Parameters:
    ///   - role: The role.
    ///   - call: The request.
    ///   - isWhole: Whether tags, boundary and last use are shown, which lists leave out.
    ///   - hasTags: Whether tags and boundary are shown even so, as by CreateRole.
    /// - Returns: The members of a `Role`.
    private static func detail(_ role: Role, _ call: Call, isWhole: Bool, hasTags: Bool = false) -> [XMLElement] {
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
        if isWhole || hasTags, let boundary = role.permissionsBoundary {
            elements.append(
                XMLElement(
                    "PermissionsBoundary",
                    [
                        XMLElement("PermissionsBoundaryType", text: "PermissionsBoundaryPolicy"),
                        XMLElement("PermissionsBoundaryArn", text: boundary),
                    ]
                )
            )
        }
        if isWhole || hasTags, !role.tags.isEmpty {
            elements.append(XMLElement("Tags", role.tags.map(XMLElement.init(tag:))))
        }
        if isWhole { elements.append(lastUse(of: role, call)) }
        return elements
    }

    /// When a session was last created for a certificate; AWS looks at what sessions do, too.
    private static func lastUse(of role: Role, _ call: Call) -> XMLElement {
        let last = call.store.sessions.last { $0.roleARN == role.arn.description && $0.issuedAt >= role.createdAt }
        guard let last else { return XMLElement("RoleLastUsed", []) }
        return XMLElement(
            "RoleLastUsed",
            [
                XMLElement("LastUsedDate", text: timestamp(last.issuedAt)),
                XMLElement("Region", text: call.environment.region),
            ]
        )
    }
}

extension XMLElement {
    /// A tag as a member of a list.
    init(tag: Tag) {
        self.init("member", [XMLElement("Key", text: tag.key), XMLElement("Value", text: tag.value)])
    }
}
