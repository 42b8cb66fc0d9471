// SPDX-License-Identifier: Apache-2.0

import AWSModel
import FoundationEssentials
import HTTPServer

/// Whether a caller may assume a role, and the session that it gets.
///
/// Source: AWS, *AWS Security Token Service API Reference*, "AssumeRole"; IAM User Guide, "Pass session tags in AWS STS",
/// "Monitor and control actions taken with assumed roles".
struct AssumeRole {
    /// The space of which `PackedPolicySize` is a share; ours, because AWS's packing is not public.
    private static let packedPolicySpace = 8_192

    private let call: QueryService.Call
    private let arn: AmazonResourceName
    private let sessionName: String
    private let duration: Int?
    private let policy: String?
    private let policyARNs: [String]
    private let requestedTags: [Tag]
    private let transitiveKeys: [String]
    private let sourceIdentity: String?
    private let externalIdentifier: String?

    /// Reads a request within the limits of its parameters.
    init(_ call: QueryService.Call) throws {
        self.call = call
        let form = call.form
        let text = try form.required("RoleArn", AWSLimit.iamARNLength.range)
        sessionName = try form.required("RoleSessionName", AWSLimit.roleSessionNameLength.range, .name)
        duration = try form.integer("DurationSeconds", AWSLimit.assumedRoleDuration.range)
        sourceIdentity = try form.text("SourceIdentity", AWSLimit.sourceIdentityLength.range, .name)
        externalIdentifier = try form.text("ExternalId", AWSLimit.externalIDLength.range, .externalIdentifier)
        requestedTags = try form.checkedTags()
        transitiveKeys = try form.tagKeys("TransitiveTagKeys", .tag)
        policyARNs = try Self.policyARNs(form)
        policy = try form["Policy"] == nil ? nil : call.policy("Policy", kind: .identity).text
        guard let arn = AmazonResourceName(text), arn.service == "iam", arn.resource.hasPrefix("role/") else {
            throw ServiceRefusal.invalidInput("\(text.prefix(200)) is invalid", hint: "name a role by its ARN")
        }
        self.arn = arn
        try checkTransitiveKeys()
        let length = (policy?.unicodeScalars.count ?? 0) + policyARNs.reduce(0) { $0 + $1.unicodeScalars.count }
        let limit = AWSLimit.assumedRolePolicyLength.maximum
        guard length <= limit else {
            throw ServiceRefusal(
                code: .init("PackedPolicyTooLarge", .badRequest),
                message: "Packed size of session policies consumes \(length * 100 / limit)% of allotted space.",
                hint: "session policies may have \(limit) characters together")
        }
    }

    private static func policyARNs(_ form: QueryForm) throws -> [String] {
        var arns: [String] = []
        while let arn = form["PolicyArns.member.\(arns.count + 1).arn"] {
            guard ManagedPolicy(arn) != nil else {
                throw ServiceRefusal.invalidInput(
                    "\(arn.prefix(200)) is no policy of AWS's own",
                    hint: "the lab has AWS's managed policies only; send the policy itself as Policy")
            }
            arns.append(arn)
        }
        try QueryForm.check(count: arns.count, within: .assumedRolePolicyCount, "PolicyArns")
        return arns
    }

    /// A transitive tag of the calling session cannot be given another value, and only a tag that is there can be
    /// transitive.
    private func checkTransitiveKeys() throws {
        let inherited = Set(call.caller.session?.transitiveTagKeys.map { $0.lowercased() } ?? [])
        let code = ServiceRefusal.Code("InvalidParameterValue", .badRequest)
        for tag in requestedTags where inherited.contains(tag.key.lowercased()) {
            throw ServiceRefusal(
                code: code,
                message: "One of the specified transitive tag keys can't be set because it conflicts with a transitive "
                    + "tag key from the calling session.", detail: "the calling session hands on the tag \(tag.key)",
                hint: "leave it out")
        }
        for key in transitiveKeys where !requestedTags.contains(where: { $0.key == key }) {
            throw ServiceRefusal(
                code: code, message: "The specified transitive tag key must be included in the requested tags.",
                detail: "\(key) is to be transitive and is none of the tags")
        }
    }

    /// The tags that the calling session hands on.
    private var inheritedTags: [String: String] {
        guard let session = call.caller.session else { return [:] }
        return session.tags.filter { session.transitiveTagKeys.contains($0.key) }
    }

    /// Who is behind the session: what the chain has set already, or the request sets.
    private var effectiveIdentity: String? { call.caller.session?.sourceIdentity ?? sourceIdentity }

    /// Decides, and creates the session.
    func answer(_ trace: inout Trace) throws -> QueryService.Outcome {
        let role = try trace.run(.role) {
            guard let role = call.store.snapshot.role(arn) else {
                // STS does not tell who is absent.
                throw denied("sts:AssumeRole", nil, "there is no role \(arn)", hint: "see aws iam list-roles")
            }
            return (role, role.name)
        }
        let matches = try trace.run(.trustPolicy) { try trustDecision(role) }
        try trace.run(.permission) {
            let required = matches.map { action, match in
                RequiredPermission(
                    action: action, resource: arn.description,
                    resourcePolicy: match == .account ? .silent : .namesCaller)
            }
            return try call.store.checkPermissions(of: call.caller, required, context: context, code: .denied)
        }
        let seconds = try trace.run(.roleDuration) { try checkedDuration(role) }
        let session = claims(role, seconds)
        let credentials = SessionCredentials(session, key: call.store.sessionKey, in: call.environment)
        let user = session.assumedRole(in: call.environment)
        trace.assumedRole = user
        return (result(session, credentials, user), "\(user), until \(timestamp(credentials.expiration))")
    }

    /// What the caller does, each of which the trust policy must allow.
    private var actions: [String] {
        var actions = ["sts:AssumeRole"]
        if !requestedTags.isEmpty || !inheritedTags.isEmpty { actions.append("sts:TagSession") }
        if effectiveIdentity != nil { actions.append("sts:SetSourceIdentity") }
        return actions
    }

    private func trustDecision(
        _ role: Role
    ) throws -> (finding: [(action: String, match: PolicyPrincipalMatch?)], detail: String) {
        if let known = call.caller.session?.sourceIdentity, let sourceIdentity, known != sourceIdentity {
            throw denied(
                "sts:SetSourceIdentity", "because the source identity of the calling session cannot be changed",
                "the calling session's source identity is \(known), the request's \(sourceIdentity)",
                hint: "leave SourceIdentity out: it is handed on")
        }
        var matches: [(action: String, match: PolicyPrincipalMatch?)] = []
        var statements: [String] = []
        for action in actions {
            let request = PolicyRequest(
                action: action, principal: call.caller.principal, resource: arn.description, context: context)
            let decision = role.trustPolicy.decision(for: request)
            guard decision.isAllowed else {
                let findings = decision.explanation
                throw denied(
                    action, decision.isExplicitDenial ? "with an explicit deny in a resource-based policy" : nil,
                    "the trust policy of \(role.name) does not allow \(action): "
                        + findings.map(\.text).joined(separator: "; "),
                    hint: findings.compactMap(\.hint).first
                        ?? "let it trust \(call.caller.session?.roleARN ?? call.caller.arn) with \(action)")
            }
            matches.append((action, decision.principalMatch))
            if let statement = decision.statement, !statements.contains(statement) { statements.append(statement) }
        }
        return (
            matches, "\(statements.joined(separator: ", ")) of \(role.name) allows \(actions.joined(separator: ", "))"
        )
    }

    private func denied(_ action: String, _ reason: String?, _ detail: String, hint: String?) -> ServiceRefusal {
        ServiceRefusal(
            code: .denied,
            message: "User: \(call.caller.arn) is not authorized to perform: \(action) on resource: \(arn)"
                + (reason.map { " \($0)" } ?? ""),
            detail: detail,
            hint: hint
        )
    }

    private var context: PolicyContext {
        var context = call.context
        context["sts:RoleSessionName"] = [sessionName]
        context.set(duration.map(String.init), for: "sts:DurationSeconds")
        context.set(effectiveIdentity, for: "sts:SourceIdentity")
        context.set(externalIdentifier, for: "sts:ExternalId")
        context["sts:TransitiveTagKeys"] = transitiveKeys
        let tags = inheritedTags.map { Tag(key: $0.key, value: $0.value) } + requestedTags
        context.describeRequestTags(tags)
        return context
    }

    private func checkedDuration(_ role: Role) throws -> (finding: Int, detail: String) {
        let seconds = duration ?? AWSLimit.defaultSessionDuration
        guard call.caller.session == nil || seconds <= AWSLimit.chainedRoleDuration.maximum else {
            throw ServiceRefusal.invalidInput(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
                hint: "ask for 3600 s at most")
        }
        guard seconds <= role.maximumSessionDuration else {
            throw ServiceRefusal.invalidInput(
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
                hint: "ask for \(role.maximumSessionDuration) s at most, or raise the role's MaxSessionDuration")
        }
        return (seconds, "\(seconds) s")
    }

    private func claims(_ role: Role, _ seconds: Int) -> SessionClaims {
        let issuedAt = Int(call.now.timeIntervalSince1970)
        let inherited = inheritedTags
        var tags = inherited
        for tag in requestedTags { tags[tag.key] = tag.value }
        return SessionClaims(
            roleARN: role.arn.description, roleName: role.name, roleIdentifier: role.identifier,
            sessionName: sessionName, issuedAt: issuedAt, expiration: issuedAt + (call.faults.expiresIn ?? seconds),
            sourceIdentity: effectiveIdentity, tags: tags,
            transitiveTagKeys: (inherited.keys + transitiveKeys).sorted(), sessionPolicy: policy,
            sessionPolicyARNs: policyARNs)
    }

    private func result(_ session: SessionClaims, _ credentials: SessionCredentials, _ user: String) -> [XMLElement] {
        let identifier = XMLElement("AssumedRoleId", text: "\(session.roleIdentifier):\(session.sessionName)")
        let keys = [
            XMLElement("AccessKeyId", text: credentials.accessKeyIdentifier),
            XMLElement("SecretAccessKey", text: credentials.secretAccessKey),
            XMLElement("SessionToken", text: credentials.sessionToken),
            XMLElement("Expiration", text: timestamp(credentials.expiration)),
        ]
        var elements = [
            XMLElement("AssumedRoleUser", [identifier, XMLElement("Arn", text: user)]),
            XMLElement("Credentials", keys),
        ]
        let tagLength = session.tags.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        let packed = (policy?.utf8.count ?? 0) + policyARNs.reduce(0) { $0 + $1.utf8.count } + tagLength
        if packed > 0 {
            let share = min(100, 1 + packed * 100 / Self.packedPolicySpace)
            elements.append(XMLElement("PackedPolicySize", text: "\(share)"))
        }
        if let identity = session.sourceIdentity { elements.append(XMLElement("SourceIdentity", text: identity)) }
        return elements
    }
}
