// SPDX-License-Identifier: Apache-2.0

import AWSModel
import SystemSupport

extension AccessManagement {
    static var inlinePolicyOperations: [String: QueryService.Operation] {
        [
            "PutRolePolicy": { call, _ in
                let name = try policyName(call)
                let policy = try call.policy("PolicyDocument", kind: .identity)
                let role = try call.changeRole { role, _ in
                    role.inlinePolicies[name] = policy
                    let total = role.inlinePolicies.values.reduce(0) { $0 + size($1) }
                    let limit = AWSLimit.inlinePolicyLength.maximum
                    guard total <= limit else {
                        throw ServiceRefusal.limitExceeded(
                            "Maximum policy size of \(limit) bytes exceeded for role \(role.name)",
                            hint: "together they would have \(total) characters without blanks")
                    }
                }
                return (nil, "\(name) in \(role.name)")
            },
            "GetRolePolicy": { call, _ in
                let name = try policyName(call)
                let role = try call.role(in: call.store.snapshot)
                guard let policy = role.inlinePolicies[name] else { throw absent(name) }
                let document = XMLElement("PolicyDocument", text: PercentEncoding.encode(policy.text))
                return (
                    [XMLElement("RoleName", text: role.name), XMLElement("PolicyName", text: name), document],
                    "\(name) of \(role.name)"
                )
            },
            "ListRolePolicies": { call, _ in
                let role = try call.role(in: call.store.snapshot)
                let names = role.inlinePolicies.keys.sorted().map { (key: $0, element: $0) }
                return (
                    try call.page("PolicyNames", names) { XMLElement("member", text: $0) },
                    "\(names.count) inline policies of \(role.name)"
                )
            },
            "DeleteRolePolicy": { call, _ in
                let name = try policyName(call)
                let role = try call.changeRole { role, _ in
                    guard role.inlinePolicies.removeValue(forKey: name) != nil else { throw absent(name) }
                }
                return (nil, "\(name) out of \(role.name)")
            },
        ]
    }

    private static func policyName(_ call: Call) throws -> String {
        try call.form.required("PolicyName", AWSLimit.policyNameLength.range, .name)
    }

    private static func absent(_ name: String) -> ServiceRefusal {
        .noSuchEntity("the role policy with name \(name) cannot be found.")
    }

    /// The date that the lab gives all of AWS's policies: that of the first ones.
    private static let policyDate = "2015-02-06T18:39:46Z"

    static var managedPolicyOperations: [String: QueryService.Operation] {
        [
            "AttachRolePolicy": { call, _ in
                let (arn, _) = try managedPolicy(call, "PolicyArn")
                let role = try call.changeRole { role, _ in
                    guard !role.attachedPolicyARNs.contains(arn) else { return }
                    role.attachedPolicyARNs.append(arn)
                    let limit = AWSLimit.rolePolicyCount.maximum
                    guard role.attachedPolicyARNs.count <= limit else {
                        throw ServiceRefusal.limitExceeded("Cannot exceed quota for PoliciesPerRole: \(limit)")
                    }
                }
                return (nil, "\(arn) on \(role.name)")
            },
            "DetachRolePolicy": { call, _ in
                let arn = try call.form.required("PolicyArn", AWSLimit.iamARNLength.range)
                let role = try call.changeRole { role, _ in
                    guard let index = role.attachedPolicyARNs.firstIndex(of: arn) else {
                        throw ServiceRefusal.noSuchEntity("Policy \(arn) was not found.")
                    }
                    role.attachedPolicyARNs.remove(at: index)
                }
                return (nil, "\(arn) off \(role.name)")
            },
            "ListAttachedRolePolicies": { call, _ in
                let role = try call.role(in: call.store.snapshot)
                let prefix = try call.form.text("PathPrefix", AWSLimit.pathLength.range, .pathPrefix) ?? "/"
                let arns = role.attachedPolicyARNs.sorted()
                    .filter { ManagedPolicy($0)?.path.hasPrefix(prefix) ?? true }
                    .map { (key: $0, element: $0) }
                let page = try call.page("AttachedPolicies", arns) { arn in
                    let name = XMLElement("PolicyName", text: String(arn.split(separator: "/").last ?? ""))
                    return XMLElement("member", [name, XMLElement("PolicyArn", text: arn)])
                }
                return (page, "\(arns.count) managed policies on \(role.name)")
            },
            "PutRolePermissionsBoundary": { call, _ in
                guard let boundary = try boundary(call) else {
                    throw ServiceRefusal.constraint(nil, "permissionsBoundary", "not be null")
                }
                let role = try call.changeRole { role, _ in role.permissionsBoundary = boundary }
                return (nil, "\(boundary) bounds \(role.name)")
            },
            "DeleteRolePermissionsBoundary": { call, _ in
                let role = try call.changeRole { role, _ in
                    guard role.permissionsBoundary != nil else {
                        throw ServiceRefusal.noSuchEntity("role \(role.name) does not have a permissions boundary.")
                    }
                    role.permissionsBoundary = nil
                }
                return (nil, "nothing bounds \(role.name)")
            },
            "GetPolicy": { call, _ in
                let (arn, name) = try managedPolicy(call, "PolicyArn")
                return ([XMLElement("Policy", detail(arn, name, call))], arn)
            },
            "GetPolicyVersion": { call, _ in try version(call) },
        ]
    }

    /// The boundary that a request gives.
    static func boundary(_ call: Call) throws -> String? {
        guard call.form["PermissionsBoundary"] != nil else { return nil }
        return try managedPolicy(call, "PermissionsBoundary").arn
    }

    /// A managed policy that a request names. The lab has all of AWS's own, by name, and no others.
    private static func managedPolicy(_ call: Call, _ parameter: String) throws -> (arn: String, name: ManagedPolicy) {
        let arn = try call.form.required(parameter, AWSLimit.iamARNLength.range)
        guard arn.hasPrefix("arn:"), arn.split(separator: ":", omittingEmptySubsequences: false).count == 6 else {
            throw ServiceRefusal.unacceptable("ARN \(arn.prefix(200)) is not valid.")
        }
        guard let name = ManagedPolicy(arn) else {
            throw ServiceRefusal.noSuchEntity(
                "Policy \(arn) does not exist or is not attachable.",
                hint: "the lab has AWS's managed policies only; give the role an inline policy: aws iam put-role-policy"
            )
        }
        return (arn, name)
    }

    private static func detail(_ arn: String, _ name: ManagedPolicy, _ call: Call) -> [XMLElement] {
        let roles = call.store.snapshot.roles.values
        return [
            XMLElement("PolicyName", text: name.name),
            XMLElement("PolicyId", text: "ANPA" + Base32.characters(derivedFrom: arn, count: 17)),
            XMLElement("Arn", text: arn), XMLElement("Path", text: name.path),
            XMLElement("DefaultVersionId", text: "v1"),
            XMLElement("AttachmentCount", text: "\(roles.count { $0.attachedPolicyARNs.contains(arn) })"),
            XMLElement("PermissionsBoundaryUsageCount", text: "\(roles.count { $0.permissionsBoundary == arn })"),
            XMLElement("IsAttachable", text: "true"), XMLElement("CreateDate", text: policyDate),
            XMLElement("UpdateDate", text: policyDate),
        ]
    }

    private static func version(_ call: Call) throws -> Outcome {
        let (arn, _) = try managedPolicy(call, "PolicyArn")
        let version = try call.form.required("VersionId", 1...Int.max, .policyVersion)
        guard version == "v1", let policy = ManagedPolicy.document(arn) else {
            throw ServiceRefusal.noSuchEntity(
                "policy \(arn) version \(version.prefix(64)) does not exist or is not attachable.",
                hint: "the lab knows what only few of AWS's policies say")
        }
        let elements = [
            XMLElement("Document", text: PercentEncoding.encode(policy.text)),
            XMLElement("VersionId", text: version), XMLElement("IsDefaultVersion", text: "true"),
            XMLElement("CreateDate", text: policyDate),
        ]
        return ([XMLElement("PolicyVersion", elements)], arn)
    }
}
