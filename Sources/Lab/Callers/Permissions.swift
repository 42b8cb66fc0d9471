// SPDX-License-Identifier: Apache-2.0

/// What a caller may do: the administrator everything, a session what its role's policies allow and its profile's do not
/// take away.
struct Permissions {
    /// What the lab knows of AWS's managed policies: enough for the road. Others allow nothing here.
    private static let managed: [String: String] = [
        "AdministratorAccess": #"{"Effect":"Allow","Action":"*","Resource":"*"}"#,
        "PowerUserAccess": #"{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"}"#,
        "ReadOnlyAccess":
            #"{"Effect":"Allow","Action":["rolesanywhere:Get*","rolesanywhere:List*","iam:Get*","iam:List*"],"Resource":"*"}"#,
        "IAMFullAccess": #"{"Effect":"Allow","Action":"iam:*","Resource":"*"}"#,
        "IAMReadOnlyAccess": #"{"Effect":"Allow","Action":["iam:Get*","iam:List*"],"Resource":"*"}"#,
    ]

    private static let managedDocuments: [String: PolicyDocument] = managed.compactMapValues { statement in
        try? PolicyDocument(#"{"Version":"2012-10-17","Statement":\#(statement)}"#, kind: .identity)
    }

    var store: ResourceStore
    var environment: LabEnvironment

    /// Checks that a caller may do everything that a request needs.
    ///
    /// - Parameters:
    ///   - caller: Who wants to.
    ///   - required: What is needed; not asked for where the caller may do everything.
    ///   - context: What is known of the request and of whose it is.
    ///   - code: The service's code for a refusal.
    /// - Returns: What allowed it, for the trace.
    /// - Throws: ``ServiceRefusal``, and what finding out what is needed throws.
    func check(
        _ caller: Caller,
        _ required: @autoclosure () throws -> [RequiredPermission],
        context: PolicyContext,
        code: ServiceRefusal.Code
    ) throws -> String {
        guard let session = caller.session else { return "the lab's administrator may do everything" }
        var words: [String] = []
        for permission in try required() {
            let (action, resource) = (permission.action, permission.resource)
            let request = PolicyRequest(
                action: action,
                principal: caller.principal,
                resource: resource,
                context: context.adding(permission.context)
            )
            if let reason = reasonAgainst(session, request, permission.resourcePolicy) {
                throw ServiceRefusal(
                    code: code,
                    message:
                        "User: \(caller.arn) is not authorized to perform: \(action) on resource: \(resource) \(reason)",
                    detail: "\(caller.arn) may not \(action) on \(resource): \(reason)",
                    hint: "use the lab's administrator, or give the role a policy that allows it"
                )
            }
            words.append(
                permission.resourcePolicy == .namesCaller
                    ? "the resource's policy names \(session.roleName), and nothing denies \(action)"
                    : "the policies of \(session.roleName) allow \(action) on \(resource)"
            )
        }
        return words.joined(separator: "; ")
    }

    /// Why a session may not do something, in AWS's words; nothing when it may.
    ///
    /// Every kind of policy must allow it, and none deny it: the role's own, its boundary, the session's.
    private func reasonAgainst(
        _ session: SessionClaims,
        _ request: PolicyRequest,
        _ resourcePolicy: RequiredPermission.ResourcePolicy
    ) -> String? {
        let account = store.snapshot
        guard let role = account.roles[session.roleName], role.identifier == session.roleIdentifier else {
            return "because the role \(session.roleName) is no more"
        }
        let kinds: [(name: String, policies: [PolicyDocument]?)] = [
            ("identity-based policy", Array(role.inlinePolicies.values) + Self.documents(role.attachedPolicyARNs)),
            ("permissions boundary", role.permissionsBoundary.map { Self.documents([$0]) }),
            ("session policy", Self.limits(session.sessionPolicy, session.sessionPolicyARNs)),
        ]
        for (index, kind) in kinds.enumerated() {
            guard let policies = kind.policies else { continue }
            let decisions = policies.map { $0.decision(for: request) }
            if decisions.contains(where: \.isExplicitDenial) {
                return "with an explicit deny in \(kind.name.hasPrefix("i") ? "an" : "a") \(kind.name)"
            }
            if index == 0, resourcePolicy == .namesCaller { continue }
            guard decisions.contains(where: \.isAllowed) else {
                return "because no \(kind.name) allows the \(request.action) action"
            }
        }
        return nil
    }

    /// The policies that limit a session; nothing when there are none, which limits nothing.
    private static func limits(_ text: String?, _ arns: [String]) -> [PolicyDocument]? {
        guard text != nil || !arns.isEmpty else { return nil }
        return [text.flatMap { try? PolicyDocument($0, kind: .identity) }].compactMap(\.self) + documents(arns)
    }

    private static func documents(_ arns: [String]) -> [PolicyDocument] { arns.compactMap(document) }

    /// What an AWS-managed policy says; nothing when the lab does not know it.
    static func document(_ arn: String) -> PolicyDocument? {
        ManagedPolicyName(arn).flatMap { managedDocuments[$0.name] }
    }
}

extension PolicyDecision {
    /// Whether a statement denies it, which outweighs every one that allows.
    var isExplicitDenial: Bool {
        if case .explicitlyDenied = outcome { return true }
        return false
    }
}
