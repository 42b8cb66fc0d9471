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

    /// Checks that a caller may do something.
    ///
    /// - Parameters:
    ///   - caller: Who wants to.
    ///   - action: What: `rolesanywhere:ListProfiles`.
    ///   - resource: On what.
    ///   - code: The service's code for a refusal.
    /// - Returns: What allowed it, for the trace.
    /// - Throws: ``ServiceRefusal``.
    func check(
        _ caller: Caller,
        _ action: String,
        on resource: String = "*",
        code: ServiceRefusal.Code
    ) throws(ServiceRefusal) -> String {
        guard let session = caller.session else { return "the lab's administrator may do everything" }
        if let reason = reasonAgainst(session, action, resource) {
            throw ServiceRefusal(
                code: code,
                message: "User: \(caller.arn) is not authorized to perform: \(action) on resource: \(resource) "
                    + "because \(reason)",
                detail: "\(caller.arn) may not \(action): \(reason)",
                remedy: "use the lab's administrator, or give the role a policy that allows it"
            )
        }
        return "the policies of \(session.roleName) allow \(action)"
    }

    /// Why a session may not do something; nothing when it may.
    func reasonAgainst(_ session: SessionClaims, _ action: String, _ resource: String) -> String? {
        let account = store.snapshot
        var context = PolicyContext()
        for (key, value) in session.tags { context["aws:PrincipalTag/\(key)"] = [value] }
        let request = PolicyRequest(
            action: action,
            principal: .aws(
                arn: session.assumedRole(in: environment).description,
                role: session.roleARN,
                account: environment.account
            ),
            resource: resource,
            context: context
        )
        guard let role = account.roles[session.roleName], role.identifier == session.roleIdentifier else {
            return "the role \(session.roleName) is no more"
        }
        let own = Array(role.inlinePolicies.values) + Self.documents(role.attachedPolicyARNs)
        guard Self.allow(own, request) else { return "no identity-based policy allows the \(action) action" }
        let profile = session.profileIdentifier.flatMap { account.profiles[$0] }
        for (text, arns) in [
            (profile?.sessionPolicy, profile?.managedPolicyARNs ?? []), (session.policy, session.policyARNs),
        ] where text != nil || !arns.isEmpty {
            let inline = text.flatMap { try? PolicyDocument($0, kind: .identity) }
            let limits = [inline].compactMap(\.self) + Self.documents(arns)
            guard Self.allow(limits, request) else { return "no session policy allows the \(action) action" }
        }
        return nil
    }

    private static func documents(_ arns: [String]) -> [PolicyDocument] {
        arns.compactMap { arn in
            arn.contains(":aws:policy/") ? arn.split(separator: "/").last.flatMap { managedDocuments[String($0)] } : nil
        }
    }

    private static func allow(_ policies: [PolicyDocument], _ request: PolicyRequest) -> Bool {
        let decisions = policies.map { $0.decision(for: request) }
        return decisions.contains(where: \.isAllowed) && !decisions.contains(where: \.isExplicitDenial)
    }
}

extension PolicyDecision {
    fileprivate var isExplicitDenial: Bool {
        if case .explicitlyDenied = outcome { return true }
        return false
    }
}
