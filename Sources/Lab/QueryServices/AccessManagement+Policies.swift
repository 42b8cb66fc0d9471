// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService

extension AccessManagement {
    /// How many bytes a role's own policies may have together.
    private static let inlinePolicyLimit = 10_240

    /// How many managed policies a role may have.
    private static let attachmentLimit = 10

    static let policyOperations: [String: QueryService.Operation] = [
        "PutRolePolicy": { call in
            let name = try name(call, "PolicyName", 1...128)
            let policy = try policy(call, "PolicyDocument", kind: .identity)
            let role = try change(call) { role in
                role.inlinePolicies[name] = policy
                let size = role.inlinePolicies.values.reduce(0) { sum, policy in
                    sum + policy.text.unicodeScalars.count { !$0.properties.isWhitespace }
                }
                guard size <= inlinePolicyLimit else {
                    throw limit("Maximum policy size of \(inlinePolicyLimit) bytes exceeded for role \(role.name)")
                }
            }
            return (nil, "the policy \(name) of \(role.name)")
        },
        "GetRolePolicy": { call in
            let name = try name(call, "PolicyName", 1...128)
            let role = try role(try roleName(call), in: call.store.snapshot)
            guard let policy = role.inlinePolicies[name] else { throw absentPolicy(name) }
            return (
                [
                    XMLElement("RoleName", text: role.name), XMLElement("PolicyName", text: name),
                    XMLElement("PolicyDocument", text: PercentEncoding.encode(policy.text)),
                ],
                "the policy \(name) of \(role.name)"
            )
        },
        "DeleteRolePolicy": { call in
            let name = try name(call, "PolicyName", 1...128)
            let role = try change(call) { role in
                guard role.inlinePolicies.removeValue(forKey: name) != nil else { throw absentPolicy(name) }
            }
            return (nil, "the policy \(name) of \(role.name) was deleted")
        },
        "ListRolePolicies": { call in
            let role = try role(try roleName(call), in: call.store.snapshot)
            let page = try page(role.inlinePolicies.keys.sorted(), call)
            return (
                [XMLElement("PolicyNames", members: Array(page.keys))] + page.members,
                "\(page.keys.count) of \(role.inlinePolicies.count)"
            )
        },
        "AttachRolePolicy": { call in
            let arn = try policyARN(call, "PolicyArn")
            let role = try change(call) { role in
                guard !role.attachedPolicyARNs.contains(arn) else { return }
                guard role.attachedPolicyARNs.count < attachmentLimit else {
                    throw limit("Cannot exceed quota for PoliciesPerRole: \(attachmentLimit)")
                }
                role.attachedPolicyARNs.append(arn)
            }
            return (nil, "\(arn) to \(role.name)")
        },
        "DetachRolePolicy": { call in
            let arn = try policyARN(call, "PolicyArn")
            let role = try change(call) { role in
                guard let index = role.attachedPolicyARNs.firstIndex(of: arn) else {
                    throw ServiceRefusal.noSuchEntity("policy \(arn) was not found.")
                }
                role.attachedPolicyARNs.remove(at: index)
            }
            return (nil, "\(arn) from \(role.name)")
        },
        "ListAttachedRolePolicies": { call in
            let role = try role(try roleName(call), in: call.store.snapshot)
            let page = try page(role.attachedPolicyARNs.sorted(), call)
            let members = page.keys.map { arn in
                [XMLElement("PolicyName", text: policyName(arn)), XMLElement("PolicyArn", text: arn)]
            }
            return (
                [XMLElement("AttachedPolicies", members: members)] + page.members,
                "\(page.keys.count) of \(role.attachedPolicyARNs.count)"
            )
        },
        "PutRolePermissionsBoundary": { call in
            let arn = try policyARN(call, "PermissionsBoundary")
            let role = try change(call) { $0.permissionsBoundary = arn }
            return (nil, "the permissions boundary of \(role.name)")
        },
        "DeleteRolePermissionsBoundary": { call in
            let role = try change(call) { $0.permissionsBoundary = nil }
            return (nil, "the permissions boundary of \(role.name)")
        },
        "GetPolicy": { call in
            let arn = try policyARN(call, "PolicyArn")
            guard arn.contains(":iam::aws:policy/") else {
                throw ServiceRefusal.noSuchEntity("policy \(arn) was not found.")
            }
            return ([XMLElement("Policy", managedPolicy(arn, call))], policyName(arn))
        },
    ]

    private static func absentPolicy(_ name: String) -> ServiceRefusal {
        .noSuchEntity("the role policy with name \(name) cannot be found.")
    }

    private static func policyARN(_ call: QueryService.Call, _ parameter: String) throws(ServiceRefusal) -> String {
        let text = try required(call, parameter, 20...2_048)
        guard AmazonResourceName(managedPolicy: text) != nil else {
            throw ServiceRefusal(code: .init("InvalidInput", .badRequest), message: "ARN \(text) is not valid.")
        }
        return text
    }

    private static func policyName(_ arn: String) -> String { arn.split(separator: "/").last.map(String.init) ?? arn }

    /// One of AWS's own policies, of which the lab knows no more than the name.
    private static func managedPolicy(_ arn: String, _ call: QueryService.Call) -> [XMLElement] {
        let path = arn.split(separator: "/").dropFirst().dropLast().map { "\($0)/" }.joined()
        let uses = call.store.snapshot.roles.values.count { $0.attachedPolicyARNs.contains(arn) }
        let date = timestamp(Date(timeIntervalSince1970: 1_423_180_800))
        return [
            XMLElement("PolicyName", text: policyName(arn)),
            XMLElement("PolicyId", text: "ANPA" + Base32.text(of: Array(arn.utf8), count: 17)),
            XMLElement("Arn", text: arn), XMLElement("Path", text: "/\(path)"),
            XMLElement("DefaultVersionId", text: "v1"), XMLElement("AttachmentCount", text: "\(uses)"),
            XMLElement("PermissionsBoundaryUsageCount", text: "0"), XMLElement("IsAttachable", text: "true"),
            XMLElement("CreateDate", text: date), XMLElement("UpdateDate", text: date),
        ]
    }
}
