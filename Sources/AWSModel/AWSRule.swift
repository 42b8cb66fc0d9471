// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import struct FoundationEssentials.Date

/// A rule of AWS with its check: the name, severity, page, text and hint are those of a ``ValidationRule``.
package struct AWSRule<Subject>: Sendable {
    package let rule: ValidationRule

    /// The general rules that say the same. Where one of them is broken, `pki lint` does not report this one too.
    package let coveredBy: Set<String>

    /// What is wrong, in words that follow the thing's name: `is of X.509 version 1, not 3`; `nil` if the rule is kept.
    package let check: @Sendable (Subject) -> (words: String, hint: String?)?

    init(
        _ name: String, _ page: AWSPage, _ summary: String, hint: String, severity: ValidationRule.Severity = .error,
        scope: ValidationRule.Scope = .certificate, coveredBy: Set<String> = [],
        check: @escaping @Sendable (Subject) -> (words: String, hint: String?)?
    ) {
        rule = ValidationRule(name, severity, page.rawValue, summary, hint: hint, scopes: [scope])
        self.coveredBy = coveredBy
        self.check = check
    }

    /// A rule whose hint is always the same.
    init(
        _ name: String, _ page: AWSPage, _ summary: String, hint: String, severity: ValidationRule.Severity = .error,
        scope: ValidationRule.Scope = .certificate, coveredBy: Set<String> = [],
        finding: @escaping @Sendable (Subject) -> String?
    ) {
        self.init(
            name,
            page,
            summary,
            hint: hint,
            severity: severity,
            scope: scope,
            coveredBy: coveredBy,
            check: { subject in finding(subject).map { ($0, nil) } }
        )
    }
}

extension Array {
    /// Checks every rule of the list.
    ///
    /// - Parameter known: What the general rules found; an AWS rule that one of them covers is left out.
    /// - Returns: The broken rules, in the order of the list.
    package func findings<Subject>(
        in subject: Subject, beside known: [RuleViolation] = []
    ) -> [RuleViolation] where Element == AWSRule<Subject> {
        let names = Set(known.map(\.rule.name))
        return compactMap { rule in
            guard let (words, hint) = rule.check(subject), names.isDisjoint(with: rule.coveredBy) else { return nil }
            return RuleViolation(rule.rule, words, hint: hint)
        }
    }
}

/// A certificate and the time at which it must be valid; without a time its validity is not checked.
package struct DatedCertificate: Sendable {
    package var certificate: Certificate
    package var date: Date?

    package init(_ certificate: Certificate, at date: Date?) {
        self.certificate = certificate
        self.date = date
    }
}

/// A client's path with the trust anchor and the CRLs imported for it.
package struct AnchoredPath: Sendable {
    /// The client's certificate first, the trust anchor's last.
    package var path: [Certificate]
    package var anchors: [Certificate]
    package var lists: [CertificateRevocationList]

    package init(path: [Certificate], anchors: [Certificate], lists: [CertificateRevocationList]) {
        (self.path, self.anchors, self.lists) = (path, anchors, lists)
    }
}

/// The parts of a profile that AWS limits.
package struct ProfileValues: Sendable {
    package var name: String
    package var roleCount: Int
    package var managedPolicies: [String]
    package var durationSeconds: Int
    package var sessionPolicyLength: Int?

    package init(
        name: String, roleCount: Int, managedPolicies: [String], durationSeconds: Int, sessionPolicyLength: Int? = nil
    ) {
        self.name = name
        self.roleCount = roleCount
        self.managedPolicies = managedPolicies
        self.durationSeconds = durationSeconds
        self.sessionPolicyLength = sessionPolicyLength
    }
}

/// The signature algorithms of requests.
package enum RequestSignature {
    /// The name of the signatures that a kind of key makes, `AWS4-X509-RSA-SHA256`; `nil` for keys that IAM Roles Anywhere
    /// does not know. It follows the key, not the signature on the certificate.
    ///
    /// Source: IAM Roles Anywhere User Guide, "Signing process".
    package static func name(for key: KeyAlgorithm) -> String? {
        switch key {
        case .rsa: "AWS4-X509-RSA-SHA256"
        case .ec: "AWS4-X509-ECDSA-SHA256"
        case .mlDSA: "AWS4-X509-MLDSA"
        case .other: nil
        }
    }
}

/// What IAM Roles Anywhere makes of a certificate: the one answer of `pki lab`, `inspect`, `print-bundle` and `doctor`.
///
/// Errors are the rules of AWS, and the rules of RFC 5280 without which no path validates. The rules of RFC 5280 that AWS
/// does not ask for, such as key identifiers, are warnings.
package enum CertificateJudge {
    /// The certificate's part in a session.
    package enum Part: Sendable {
        case client, intermediate, anchor

        fileprivate var rules: [AWSRule<DatedCertificate>] {
            switch self {
            case .client: AWSRules.client
            case .intermediate: AWSRules.intermediate
            case .anchor: AWSRules.anchor
            }
        }
    }

    /// General rules without which path validation fails (RFC 5280 §4.2 and §6.1, and what libcrypto can read).
    private static let fatal: Set<String> = [
        "extension-unknown-critical", "extension-malformed", "extension-duplicate", "key-curve-explicit",
        "time-seconds", "time-zone", "time-fraction", "signature-wrong-key",
    ]

    /// General rules that strict software enforces, and that AWS does not ask for.
    private static let advised: Set<String> = [
        "basic-constraints-critical", "ca-key-usage", "ca-subject-key-identifier", "authority-key-identifier-absent",
        "authority-key-identifier-keyid", "path-length-without-ca", "key-usage-cert-sign", "alternative-names-empty",
        "extension-must-not-be-critical", "signature-algorithms-differ", "serial-negative", "serial-length",
    ]

    /// Judges a certificate.
    ///
    /// - Parameters:
    ///   - certificate: The certificate.
    ///   - part: Its part in a session.
    ///   - date: The time at which it must be valid; `nil` leaves its validity out.
    ///   - known: What ``generalFindings(in:as:)`` returned for it, which does not depend on the time.
    /// - Returns: AWS's rules first, then the general ones.
    package static func findings(
        in certificate: Certificate, as part: Part, at date: Date?, beside known: [RuleViolation]? = nil
    ) -> [RuleViolation] {
        let found = known ?? generalFindings(in: certificate, as: part)
        let broken = found.filter { fatal.contains($0.rule.name) }
        // What cannot be read is reported as that, not as absent.
        let own = part.rules.findings(in: DatedCertificate(certificate, at: date), beside: broken)
        let covered = Set(part.rules.filter { rule in own.contains { $0.rule == rule.rule } }.flatMap(\.coveredBy))
        let advice = found.filter { advised.contains($0.rule.name) && !covered.contains($0.rule.name) }
        return own + broken + advice.map(\.asWarning)
    }

    /// Judges a certificate by the general rules alone.
    package static func generalFindings(in certificate: Certificate, as part: Part) -> [RuleViolation] {
        let role: CertificateRole =
            switch part {
            case .client: .client
            case .intermediate: .intermediate
            case .anchor: certificate.isSelfIssued ? .root : .intermediate
            }
        return CertificateLinter.findings(in: certificate, as: role)
    }
}
