// SPDX-License-Identifier: Apache-2.0

import AWSModel
public import Certificates
public import SystemSupport

/// The trust policy of a role for IAM Roles Anywhere.
///
/// It always has a condition on the source; without, any certificate of any trust anchor in the account could assume
/// the role (AWS, *IAM Roles Anywhere User Guide*, "Trust model").
public struct TrustPolicy: Hashable, Sendable {
    /// The allowed source of requests.
    public enum Source: Hashable, Sendable {
        /// One of these trust anchors, by their ARNs.
        case trustAnchors([String])
        /// Any trust anchor of an account.
        case account(String)
    }

    /// The allowed source of requests.
    public let source: Source
    /// The conditions on the certificate, all of which must hold.
    public let conditions: [CertificateCondition]

    /// Creates a policy. The conditions may be empty only with `allowsAnyCertificate`.
    public init(
        source: Source, conditions: [CertificateCondition], allowsAnyCertificate: Bool = false
    ) throws(TrustAnchorError) {
        switch source {
        case .trustAnchors(let arns):
            guard !arns.isEmpty else { throw TrustAnchorError(.condition, "the policy has no trust anchor") }
            for arn in arns { try Self.check(arn) }
        case .account(let account):
            guard account.utf8.count == 12, account.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw TrustAnchorError(.name, "\"\(account)\" is not an account ID of twelve digits")
            }
        }
        try Self.check(conditions, allowsAnyCertificate)
        self.source = source
        self.conditions = conditions
    }

    static func check(_ conditions: [CertificateCondition], _ allowsAnyCertificate: Bool) throws(TrustAnchorError) {
        guard !conditions.isEmpty || allowsAnyCertificate else {
            throw TrustAnchorError(
                .condition, "without a condition, every certificate of the CA could assume the role",
                hint: "add a condition such as --subject-cn web-1, or allow it: --any-certificate")
        }
        for (index, condition) in conditions.enumerated()
        where conditions[..<index].contains(where: { $0.field == condition.field }) {
            throw TrustAnchorError(.condition, "there are two conditions on \(condition.field.rawValue)")
        }
    }

    static func check(_ arn: String) throws(TrustAnchorError) {
        let name = AmazonResourceName(arn)
        guard name?.rolesAnywhereResource?.isAlias != true else {
            throw TrustAnchorError(
                .name, "\"\(arn)\" is the ARN of an alias, which a policy never matches",
                hint: "use the trustAnchorArn of: aws rolesanywhere list-trust-anchors")
        }
        guard name?.isA(.trustAnchor) == true, !arn.utf8.contains(where: "\"'\\*?".utf8.contains) else {
            throw TrustAnchorError(
                .name, "\"\(arn)\" is not the ARN of a trust anchor",
                hint: "find it: aws rolesanywhere list-trust-anchors")
        }
    }

    /// The policy as JSON, indented, without a line end.
    public var jsonText: String { text.json }

    /// A warning if the policy is longer than IAM's default quota.
    public var warnings: [String] { text.warnings }

    private var text: PolicyText {
        switch source {
        case .trustAnchors(let arns):
            PolicyText(source: ("ArnEquals", "aws:SourceArn", .texts(arns)), conditions: conditions)
        case .account(let account):
            PolicyText(source: ("StringEquals", "aws:SourceAccount", .texts([account])), conditions: conditions)
        }
    }
}

/// A condition on the certificate in a trust policy.
///
/// IAM Roles Anywhere turns attributes of the certificate into session tags, `aws:PrincipalTag/…` in a policy (AWS,
/// *IAM Roles Anywhere User Guide*, "Trust model").
public struct CertificateCondition: Hashable, Sendable {
    /// An attribute of a certificate.
    public enum Field: String, CaseIterable, Sendable {
        /// The subject's common name.
        case subjectCommonName = "x509Subject/CN"
        /// The subject's organizational unit; several are joined with `/`.
        case subjectOrganizationalUnit = "x509Subject/OU"
        /// The subject's organization.
        case subjectOrganization = "x509Subject/O"
        /// The issuer's common name.
        case issuerCommonName = "x509Issuer/CN"
        /// The first alternative name that is a DNS name.
        case dnsName = "x509SAN/DNS"
        /// The first alternative name that is a URI.
        case uniformResourceIdentifier = "x509SAN/URI"
    }

    /// The attribute.
    public let field: Field
    /// The accepted values. `*` matches any characters, `?` one.
    public let values: [String]

    /// Creates a condition. `*` and `?` are always wildcards, because AWS creates no tags with these characters. Throws
    /// ``TrustAnchorError`` for a value that no tag can have.
    public init(_ field: Field, _ values: [String]) throws(TrustAnchorError) {
        guard !values.isEmpty else {
            throw TrustAnchorError(.condition, "the condition on \(field.rawValue) has no value")
        }
        for value in values { try Self.check(value, field) }
        self.field = field
        self.values = values
    }

    /// Creates a condition for certificates with the same common name as a client's certificate, or if it has none, the
    /// same first DNS name or URI. Throws ``TrustAnchorError`` if the certificate has no such name.
    public init(naming certificate: Certificate) throws(TrustAnchorError) {
        // AWS joins several common names in order.
        let names = certificate.subject.relativeNames.joined().filter { $0.type == "CN" }.map(\.value)
        if !names.isEmpty {
            try self.init(exactly: names.joined(separator: "/"), .subjectCommonName)
            return
        }
        for name in certificate.subjectAlternativeNames {
            switch name {
            case .dns(let text):
                try self.init(exactly: text, .dnsName)
                return
            case .uri(let text):
                try self.init(exactly: text, .uniformResourceIdentifier)
                return
            default: continue
            }
        }
        throw TrustAnchorError(
            .condition, "\(certificate.subject) has no common name, DNS name or URI for a condition",
            hint: "issue another: pki issue-client --name NAME")
    }

    private init(exactly value: String, _ field: Field) throws(TrustAnchorError) {
        guard !value.contains("*"), !value.contains("?") else {
            throw TrustAnchorError(
                .condition, "AWS creates no session tag with \"*\" or \"?\", as in \"\(value)\"",
                hint: "use a condition on another attribute")
        }
        try self.init(field, [value])
    }

    /// The operator of the condition: `StringLike` if a value has a wildcard.
    var comparison: String { values.contains { $0.contains("*") || $0.contains("?") } ? "StringLike" : "StringEquals" }

    private static func check(_ value: String, _ field: Field) throws(TrustAnchorError) {
        guard !value.isEmpty else { throw TrustAnchorError(.condition, "a value of \(field.rawValue) is empty") }
        guard !value.allSatisfy({ $0 == "*" || $0 == "?" }) else {
            throw TrustAnchorError(
                .condition, "\"\(value)\" for \(field.rawValue) matches every certificate",
                hint: "give a part of the name, or allow it: --any-certificate")
        }
        guard value.unicodeScalars.allSatisfy({ CertificateAttribute.isTaggable($0) || $0 == "*" || $0 == "?" }) else {
            throw TrustAnchorError(
                .condition,
                "AWS creates no session tag from \"\(value)\": only letters, digits, blanks and _.:/=+-@ are allowed",
                hint: "use a condition on another attribute")
        }
    }
}

/// A trust policy in the languages of set-up texts. The source may be an expression of the language, for the ARN of a
/// trust anchor that is created together with the role.
struct PolicyText {
    /// The value of a condition.
    enum Value {
        case texts([String])
        /// Not quoted.
        case expression(String)
    }

    private typealias Entry = (key: String, value: Value)

    /// The operators in order, each with its keys.
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

    /// A warning if the policy exceeds IAM's default quota, without blanks.
    ///
    /// Source: AWS, *IAM User Guide*, "IAM and AWS STS quotas": a role's trust policy has 2,048 characters, on request
    /// 4,096.
    var warnings: [String] {
        let length = json.unicodeScalars.count { !$0.properties.isWhitespace }
        guard length > AWSLimit.trustPolicyLength.maximum else { return [] }
        return [
            "the trust policy has \(length) characters without blanks; IAM allows \(AWSLimit.trustPolicyLength.maximum), or "
                + "up to 4096 with a raised quota: use patterns such as --subject-cn 'web-*'"
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
                    "Service": "\(RolesAnywhereService.principal)"
                  },
                  "Action": [
            \(RolesAnywhereService.trustPolicyActions.map { "        \"\($0)\"" }.joined(separator: ",\n"))
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
