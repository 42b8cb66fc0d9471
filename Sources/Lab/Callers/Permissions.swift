// SPDX-License-Identifier: Apache-2.0

import AWSModel
import FoundationEssentials

/// Something that a caller must be allowed to do for a request to be answered.
struct RequiredPermission {
    /// What a resource's own policy says to the request.
    enum ResourcePolicy: Sendable {
        /// There is none, or it leaves the decision to the caller's account.
        case silent
        /// It names the caller, who then needs no policy of their own within the account. What denies still denies, and
        /// limits still limit (IAM User Guide, "Policy evaluation logic").
        case namesCaller
    }

    /// `rolesanywhere:GetProfile`
    var action: String
    /// The ARN of what it is done on; `*` where policies cannot name one.
    var resource: String
    /// What is known of the request besides the caller, the time and the address.
    var context = PolicyContext()
    var resourcePolicy = ResourcePolicy.silent
}

extension ResourceStore {
    /// Checks that a caller may do everything that a request needs: the administrator may, a session may what its role's
    /// policies allow and no limit takes away. What is needed is not asked for the administrator.
    func checkPermissions(
        of caller: Caller, _ required: @autoclosure () throws -> [RequiredPermission], context: PolicyContext,
        code: ServiceRefusal.Code
    ) throws -> String {
        guard let session = caller.session else { return "the lab's administrator may do everything" }
        var words: [String] = []
        for permission in try required() {
            let (action, resource) = (permission.action, permission.resource)
            let request = PolicyRequest(
                action: action, principal: caller.principal, resource: resource,
                context: context.adding(permission.context))
            if let reason = reasonAgainst(session, request, permission.resourcePolicy) {
                throw ServiceRefusal(
                    code: code,
                    message:
                        "User: \(caller.arn) is not authorized to perform: \(action) on resource: \(resource) \(reason)",
                    detail: "\(caller.arn) may not \(action) on \(resource): \(reason)",
                    hint: "use the lab's administrator, or give the role a policy that allows it")
            }
            words.append(
                permission.resourcePolicy == .namesCaller
                    ? "the resource's policy names \(session.roleName), and nothing denies \(action)"
                    : "the policies of \(session.roleName) allow \(action) on \(resource)")
        }
        return words.joined(separator: "; ")
    }

    /// Why a session may not do something, in AWS's words; `nil` if it may.
    ///
    /// Every kind of policy must allow it and none deny it: the role's own, its boundary, the session's.
    private func reasonAgainst(
        _ session: SessionClaims, _ request: PolicyRequest, _ resourcePolicy: RequiredPermission.ResourcePolicy
    ) -> String? {
        guard let role = snapshot.roles[session.roleName], role.identifier == session.roleIdentifier else {
            return "because the role \(session.roleName) is no more"
        }
        func documents(_ arns: [String]) -> [PolicyDocument] { arns.compactMap(ManagedPolicy.document) }
        let own = Array(role.inlinePolicies.values) + documents(role.attachedPolicyARNs)
        let limits = session.sessionPolicy.flatMap { try? PolicyDocument($0, kind: .identity) }.map { [$0] } ?? []
        let isLimited = session.sessionPolicy != nil || !session.sessionPolicyARNs.isEmpty
        let kinds: [(name: String, article: String, policies: [PolicyDocument]?)] = [
            ("identity-based policy", "an", own),
            ("permissions boundary", "a", role.permissionsBoundary.map { documents([$0]) }),
            ("session policy", "a", isLimited ? limits + documents(session.sessionPolicyARNs) : nil),
        ]
        for (index, kind) in kinds.enumerated() {
            guard let policies = kind.policies else { continue }
            let decisions = policies.map { $0.decision(for: request) }
            if decisions.contains(where: \.isExplicitDenial) {
                return "with an explicit deny in \(kind.article) \(kind.name)"
            }
            if index == 0, resourcePolicy == .namesCaller { continue }
            guard decisions.contains(where: \.isAllowed) else {
                return "because no \(kind.name) allows the \(request.action) action"
            }
        }
        return nil
    }
}

/// A managed policy of AWS's own: `arn:aws:iam::aws:policy/service-role/NAME`.
struct ManagedPolicy: Hashable, Sendable {
    /// What the lab knows of AWS's policies. Others allow nothing here.
    private static let documents: [String: PolicyDocument] = [
        "AdministratorAccess": #"{"Effect":"Allow","Action":"*","Resource":"*"}"#,
        "PowerUserAccess": #"{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"}"#,
        "ReadOnlyAccess":
            #"{"Effect":"Allow","Action":["rolesanywhere:Get*","rolesanywhere:List*","iam:Get*","iam:List*"],"Resource":"*"}"#,
        "IAMFullAccess": #"{"Effect":"Allow","Action":"iam:*","Resource":"*"}"#,
        "IAMReadOnlyAccess": #"{"Effect":"Allow","Action":["iam:Get*","iam:List*"],"Resource":"*"}"#,
    ].compactMapValues { try? PolicyDocument(#"{"Version":"2012-10-17","Statement":\#($0)}"#, kind: .identity) }

    /// The path in front of the name, beginning and ending with `/`.
    let path: String
    let name: String

    /// Reads an ARN; `nil` if it is not one of AWS's own policies.
    init?(_ arn: String) {
        let parts = arn.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0] == "arn", parts[1] == "aws" || parts[1].hasPrefix("aws-"), parts[2] == "iam",
            parts[3].isEmpty, parts[4] == "aws", parts[5].hasPrefix("policy/")
        else { return nil }
        let segments = parts[5].split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        guard let last = segments.last, AWSLimit.policyNameLength.contains(last.utf8.count),
            segments.allSatisfy({ segment in
                !segment.isEmpty && segment.unicodeScalars.allSatisfy(TextForm.isNameCharacter)
            })
        else { return nil }
        name = String(last)
        path = "/" + segments.dropLast().map { "\($0)/" }.joined()
    }

    /// The policy with an ARN; `nil` if the lab does not know what it says.
    static func document(_ arn: String) -> PolicyDocument? { ManagedPolicy(arn).flatMap { documents[$0.name] } }
}

// MARK: - What policies know of a request

extension PolicyContext {
    /// Adds what is known of every request (IAM User Guide, "AWS global condition context keys").
    ///
    /// AWS is reached over TLS alone; `aws:SecureTransport` is true here also where the lab speaks plain HTTP on loopback,
    /// so that a policy that wants it says the same in both.
    mutating func describeRequest(at now: Date, from remoteAddress: String, region: String) {
        self["aws:CurrentTime"] = [timestamp(now)]
        self["aws:EpochTime"] = ["\(Int(now.timeIntervalSince1970))"]
        self["aws:RequestedRegion"] = [region]
        self["aws:SecureTransport"] = ["true"]
        // `address:port`, with brackets in IPv6.
        let address = remoteAddress.lastIndex(of: ":").map { remoteAddress[..<$0].filter { $0 != "[" && $0 != "]" } }
        self["aws:SourceIp"] = [address ?? remoteAddress]
    }

    /// Adds the tags that the request is to put on something.
    mutating func describeRequestTags(_ tags: [Tag]) {
        for tag in tags { self["aws:RequestTag/\(tag.key)"] = [tag.value] }
        self["aws:TagKeys"] = tags.map(\.key).sorted()
    }

    /// Adds the tags of what the request is about; a service may have a key of its own for them besides.
    mutating func describeResourceTags(_ tags: [Tag], service: String? = nil) {
        for tag in tags {
            self["aws:ResourceTag/\(tag.key)"] = [tag.value]
            if let service { self["\(service):ResourceTag/\(tag.key)"] = [tag.value] }
        }
    }

    /// This and another context; of a key that both have, the other's values count.
    func adding(_ other: PolicyContext) -> PolicyContext {
        var all = self
        for key in other.keys { all[key] = other[key] }
        return all
    }
}
