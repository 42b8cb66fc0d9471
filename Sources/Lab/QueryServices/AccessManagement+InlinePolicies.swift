// SPDX-License-Identifier: Apache-2.0

import HTTPService
import SystemSupport

extension AccessManagement {
    /// How many characters, blanks aside, a role's inline policies may have together.
    private static let inlineLimit = 10_240

    static var inlinePolicyOperations: [String: QueryService.Operation] {
        [
            "PutRolePolicy": { call, _ in
                let name = try policyName(call)
                let policy = try call.policy("PolicyDocument", kind: .identity)
                let role = try call.changeRole { role, _ in
                    role.inlinePolicies[name] = policy
                    let total = role.inlinePolicies.values.reduce(0) { $0 + size($1) }
                    guard total <= inlineLimit else {
                        throw ServiceRefusal.limitExceeded(
                            "Maximum policy size of \(inlineLimit) bytes exceeded for role \(role.name)",
                            hint: "together they would have \(total) characters without blanks"
                        )
                    }
                }
                return (nil, "\(name) in \(role.name)")
            },
            "GetRolePolicy": { call, _ in
                let name = try policyName(call)
                let role = try call.role(in: call.store.snapshot)
                guard let policy = role.inlinePolicies[name] else { throw absent(name) }
                return (
                    [
                        XMLElement("RoleName", text: role.name), XMLElement("PolicyName", text: name),
                        XMLElement("PolicyDocument", text: PercentEncoding.encode(policy.text)),
                    ],
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
        try call.form.required("PolicyName", 1...128, .name)
    }

    private static func absent(_ name: String) -> ServiceRefusal {
        .noSuchEntity("the role policy with name \(name) cannot be found.")
    }
}
