// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService

/// STS's AssumeRole: a caller takes a role, a session perhaps a further one (role chaining).
///
/// Source: AWS, *AWS STS API Reference*, "AssumeRole"; *IAM User Guide*, "Policy evaluation logic".
struct RoleAssumption {
    /// The longest session that begins in another, in seconds.
    private static let chainedLimit = 3_600

    private let call: QueryService.Call
    private let role: Role
    private let sessionName: String
    private let seconds: Int
    private let tags: [Tag]
    private let sourceIdentity: String?
    private let policy: String?
    private let policyARNs: [String]

    /// Reads a request.
    ///
    /// - Parameter call: The request.
    /// - Throws: ``ServiceRefusal`` naming the parameter that is missing or outside its limits.
    init(_ call: QueryService.Call) throws {
        self.call = call
        let arn = try AccessManagement.required(call, "RoleArn", 20...2_048)
        sessionName = try AccessManagement.name(call, "RoleSessionName", 2...64)
        seconds = try AccessManagement.integer(call, "DurationSeconds", 900...43_200) ?? Self.chainedLimit
        tags = try AccessManagement.tags(call)
        policy = try call.form["Policy"].map { _ in
            try AccessManagement.policy(call, "Policy", kind: .identity).text
        }
        policyARNs = Self.policyARNs(call.form)
        let wanted = try call.form["SourceIdentity"].map { _ in
            try AccessManagement.name(call, "SourceIdentity", 2...64)
        }
        if let own = call.caller.session?.sourceIdentity {
            guard wanted == nil || wanted == own else {
                throw Self.denied(
                    call,
                    "sts:SetSourceIdentity",
                    arn,
                    "the source identity \(own) is set and cannot be changed"
                )
            }
            sourceIdentity = own
        } else {
            sourceIdentity = wanted
        }
        guard call.caller.session == nil || seconds <= Self.chainedLimit else {
            throw ServiceRefusal(
                code: .init("ValidationError", .badRequest),
                message:
                    "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
            )
        }
        guard let name = AmazonResourceName(arn), let role = call.store.snapshot.role(name) else {
            // STS does not tell whether a role exists.
            throw Self.denied(call, "sts:AssumeRole", arn, "there is no role \(arn)")
        }
        self.role = role
    }

    private static func policyARNs(_ form: QueryForm) -> [String] {
        var arns: [String] = []
        while let arn = form["PolicyArns.member.\(arns.count + 1).arn"] { arns.append(arn) }
        return arns
    }

    /// Decides, and makes the session.
    func answer() throws -> (result: [XMLElement]?, words: String) {
        try checkTrust("sts:AssumeRole")
        if !tags.isEmpty { try checkTrust("sts:TagSession") }
        if call.form["SourceIdentity"] != nil { try checkTrust("sts:SetSourceIdentity") }
        guard seconds <= role.maximumSessionDuration else {
            throw ServiceRefusal(
                code: .init("ValidationError", .badRequest),
                message: "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
                detail: "\(seconds) s were asked for, the role allows \(role.maximumSessionDuration) s"
            )
        }
        let issuedAt = Int(call.now.timeIntervalSince1970)
        let claims = SessionClaims(
            roleARN: role.arn.description,
            roleName: role.name,
            roleIdentifier: role.identifier,
            sessionName: sessionName,
            issuedAt: issuedAt,
            expiration: issuedAt + seconds,
            sourceIdentity: sourceIdentity,
            tags: Dictionary(tags.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first }),
            profileIdentifier: nil,
            policy: policy,
            policyARNs: policyARNs
        )
        let credentials = SessionCredentials(claims, key: call.store.sessionKey, in: call.environment)
        let user = claims.assumedRole(in: call.environment)
        let result = [
            XMLElement(
                "Credentials",
                [
                    XMLElement("AccessKeyId", text: credentials.accessKeyIdentifier),
                    XMLElement("SecretAccessKey", text: credentials.secretAccessKey),
                    XMLElement("SessionToken", text: credentials.sessionToken),
                    XMLElement("Expiration", text: timestamp(credentials.expiration)),
                ]
            ),
            XMLElement(
                "AssumedRoleUser",
                [
                    XMLElement("Arn", text: user.description),
                    XMLElement("AssumedRoleId", text: "\(role.identifier):\(sessionName)"),
                ]
            ),
            XMLElement("PackedPolicySize", text: "\((policy?.utf8.count ?? 0) * 100 / 2_048 + tags.count)"),
        ]
        return (result + (sourceIdentity.map { [XMLElement("SourceIdentity", text: $0)] } ?? []), user.description)
    }

    /// Asks the role's trust policy, and the caller's own policies where the trust is in the whole account.
    private func checkTrust(_ action: String) throws {
        let decision = role.trustPolicy.decision(
            for: PolicyRequest(
                action: action,
                principal: .aws(
                    arn: call.caller.arn,
                    role: call.caller.session?.roleARN,
                    account: call.caller.account
                ),
                resource: role.arn.description,
                context: context
            )
        )
        guard decision.isAllowed else {
            throw Self.denied(
                call,
                action,
                role.arn.description,
                "the trust policy of \(role.name) does not allow \(action): "
                    + decision.explanation.map(\.text).joined(separator: "; "),
                remedy: decision.explanation.compactMap(\.remedy).first
                    ?? "name \(call.caller.arn) or its account as a principal in the role's trust policy"
            )
        }
        guard decision.principalMatch != .direct, let session = call.caller.session else { return }
        let permissions = Permissions(store: call.store, environment: call.environment)
        if let reason = permissions.reasonAgainst(session, action, role.arn.description) {
            throw Self.denied(
                call,
                action,
                role.arn.description,
                "the trust policy of \(role.name) trusts the account, and \(reason)",
                remedy:
                    "give \(session.roleName) a policy that allows \(action) on \(role.arn), or name it in the trust policy"
            )
        }
    }

    private var context: PolicyContext {
        var context = PolicyContext()
        context["aws:PrincipalArn"] = [call.caller.session?.roleARN ?? call.caller.arn]
        context["aws:PrincipalAccount"] = [call.caller.account]
        context["aws:PrincipalType"] = [call.caller.session == nil ? "User" : "AssumedRole"]
        context["aws:userid"] = [call.caller.userIdentifier]
        context["aws:RequestedRegion"] = [call.environment.region]
        context["aws:CurrentTime"] = [timestamp(call.now)]
        context["aws:EpochTime"] = ["\(Int(call.now.timeIntervalSince1970))"]
        context["aws:SourceIp"] = [TrustDecision.address(call.remoteAddress)]
        context["sts:RoleSessionName"] = [sessionName]
        context["sts:DurationSeconds"] = ["\(seconds)"]
        context.set(sourceIdentity, for: "sts:SourceIdentity")
        context.set(call.caller.session?.sourceIdentity, for: "aws:SourceIdentity")
        context.set(call.form["ExternalId"], for: "sts:ExternalId")
        for (key, value) in call.caller.session?.tags ?? [:] { context["aws:PrincipalTag/\(key)"] = [value] }
        for tag in tags { context["aws:RequestTag/\(tag.key)"] = [tag.value] }
        context["aws:TagKeys"] = tags.map(\.key)
        return context
    }

    private static func denied(
        _ call: QueryService.Call,
        _ action: String,
        _ resource: String,
        _ detail: String,
        remedy: String? = nil
    ) -> ServiceRefusal {
        ServiceRefusal(
            code: .init("AccessDenied", .forbidden),
            message: "User: \(call.caller.arn) is not authorized to perform: \(action) on resource: \(resource)",
            detail: detail,
            remedy: remedy
        )
    }
}
