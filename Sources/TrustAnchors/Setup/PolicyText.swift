// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// A trust policy in the languages of set-up texts. The source may be an expression of the language: the ARN of a trust
/// anchor that is made beside the role.
struct PolicyText {
    /// The value of a condition.
    enum Value {
        case texts([String])
        /// Goes into the text as it is.
        case expression(String)
    }

    private static let actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]

    private typealias Entry = (key: String, value: Value)

    /// The operators in their order, each with its keys.
    private let operators: [(name: String, entries: [Entry])]

    init(source: (comparison: String, key: String, value: Value), conditions: [CertificateCondition]) {
        var operators: [(name: String, entries: [Entry])] = [(source.comparison, [(source.key, source.value)])]
        for condition in conditions {
            let entry: Entry = ("aws:PrincipalTag/\(condition.field.rawValue)", .texts(condition.values))
            if let index = operators.firstIndex(where: { $0.name == condition.comparison }) {
                operators[index].entries.append(entry)
            } else {
                operators.append((condition.comparison, [entry]))
            }
        }
        self.operators = operators
    }

    /// What IAM will complain of unless its quota was raised; it does not count blanks.
    ///
    /// Source: AWS, *IAM User Guide*, "IAM and AWS STS quotas": a role's trust policy has 2,048 characters, on request 4,096.
    var warnings: [String] {
        let length = json.unicodeScalars.count { !$0.properties.isWhitespace }
        guard length > 2_048 else { return [] }
        return [
            "the trust policy has \(length) characters without blanks; IAM takes 2048, or up to 4096 where that quota was "
                + "raised: join values by a pattern (--subject-cn 'web-*'), or name what the certificates have in common"
        ]
    }

    /// JSON, indented by two blanks.
    var json: String {
        let conditions = operators.map { name, entries in
            let lines = entries.map { "          \(Quoting.json($0.key)): \(Self.json($0.value))" }
            return "        \(Quoting.json(name)): {\n\(lines.joined(separator: ",\n"))\n        }"
        }
        return """
            {
              "Version": "2012-10-17",
              "Statement": [
                {
                  "Sid": "RolesAnywhere",
                  "Effect": "Allow",
                  "Principal": {
                    "Service": "rolesanywhere.amazonaws.com"
                  },
                  "Action": [
            \(Self.actions.map { "        \"\($0)\"" }.joined(separator: ",\n"))
                  ],
                  "Condition": {
            \(conditions.joined(separator: ",\n"))
                  }
                }
              ]
            }
            """
    }

    private static func json(_ value: Value) -> String {
        switch value {
        case .expression(let text): text
        case .texts(let texts) where texts.count == 1: Quoting.json(texts[0])
        case .texts(let texts): "[\(texts.map(Quoting.json).joined(separator: ", "))]"
        }
    }

    /// The `Condition` of the policy as an expression of Terraform, laid out as `terraform fmt` does.
    var terraformCondition: String {
        let blocks = operators.map { name, entries in
            let keys = entries.map { Quoting.hcl($0.key) }
            let width = keys.map(\.count).max() ?? 0
            let lines = zip(keys, entries).map { key, entry in
                let value =
                    switch entry.value {
                    case .expression(let text): text
                    case .texts(let texts): "[\(texts.map(Quoting.hcl).joined(separator: ", "))]"
                    }
                return "    \(key)\(String(repeating: " ", count: width - key.count)) = \(value)"
            }
            return "  \(name) = {\n\(lines.joined(separator: "\n"))\n  }"
        }
        return "{\n\(blocks.joined(separator: "\n"))\n}"
    }
}
