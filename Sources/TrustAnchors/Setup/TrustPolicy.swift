// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// The trust policy of a role that IAM Roles Anywhere may take.
///
/// It always names where the request must come from: without, any certificate of any trust anchor in the account could take
/// the role (AWS, *IAM Roles Anywhere User Guide*, "Trust model").
public struct TrustPolicy: Hashable, Sendable {
    /// Where a request must come from.
    public enum Source: Hashable, Sendable {
        /// One of these trust anchors, by their ARNs.
        case trustAnchors([String])
        /// Any trust anchor of an account, by its twelve digits.
        case account(String)
    }

    /// Where a request must come from.
    public let source: Source

    /// What the certificate must say, all of it.
    public let conditions: [CertificateCondition]

    /// Makes a policy.
    ///
    /// - Parameters:
    ///   - source: Where a request must come from.
    ///   - conditions: What the certificate must say, all of it.
    ///   - allowsAnyCertificate: Whether there may be no condition.
    /// - Throws: ``TrustAnchorError`` when there is no condition and that was not asked for, or an ARN or account is none.
    public init(
        source: Source,
        conditions: [CertificateCondition],
        allowsAnyCertificate: Bool = false
    ) throws(TrustAnchorError) {
        switch source {
        case .trustAnchors(let arns):
            guard !arns.isEmpty else { throw TrustAnchorError(.condition, "the policy names no trust anchor") }
            for arn in arns { try Self.check(arn) }
        case .account(let account):
            guard account.utf8.count == 12, account.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw TrustAnchorError(.name, "\"\(account)\" is not an account: twelve digits")
            }
        }
        try Self.check(conditions, allowsAnyCertificate)
        self.source = source
        self.conditions = conditions
    }

    static func check(_ conditions: [CertificateCondition], _ allowsAnyCertificate: Bool) throws(TrustAnchorError) {
        guard !conditions.isEmpty || allowsAnyCertificate else {
            throw TrustAnchorError(
                .condition,
                "without a condition on the certificate, every certificate of the CA may take the role",
                hint: "name who may, for example --subject-cn web-1, or say --any-certificate if that is meant"
            )
        }
        for (index, condition) in conditions.enumerated()
        where conditions[..<index].contains(where: { $0.field == condition.field }) {
            throw TrustAnchorError(.condition, "there are two conditions on \(condition.field.rawValue)")
        }
    }

    private static func check(_ arn: String) throws(TrustAnchorError) {
        let parts = arn.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.last?.hasPrefix("alias/") != true else {
            throw TrustAnchorError(
                .name,
                "\"\(arn)\" is the ARN of an alias, which a policy never matches",
                hint: "use the trustAnchorArn that this prints: aws rolesanywhere list-trust-anchors"
            )
        }
        let isAnchor =
            parts.count == 6 && parts[0] == "arn" && parts[1].hasPrefix("aws") && parts[2] == "rolesanywhere"
            && parts[4].utf8.count == 12 && parts[5].hasPrefix("trust-anchor/")
        guard isAnchor,
            arn.utf8.allSatisfy({
                $0 > 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x27 && $0 != 0x5c && $0 != 0x2a && $0 != 0x3f
            })
        else {
            throw TrustAnchorError(
                .name,
                "\"\(arn)\" is not the ARN of a trust anchor",
                hint: "it looks like arn:aws:rolesanywhere:REGION:ACCOUNT:trust-anchor/ID; "
                    + "find it with: aws rolesanywhere list-trust-anchors"
            )
        }
    }

    /// The policy as JSON, indented, without a line end.
    public var jsonText: String { text.json }

    /// What IAM may complain of: a policy that is longer than the quota of an account where nobody had it raised.
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
