// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Lab
import RolesAnywhere
import SystemSupport
import TrustAnchors

/// The rules of IAM Roles Anywhere in the form of all the others. What breaks them, the modules that know AWS find out.
struct AnywhereRules {
    /// A rule of AWS, and the names of general rules that say the same: where one of them is broken, this one need not be
    /// told too.
    private struct Line {
        var rule: ValidationRule
        var sameAs: Set<String>

        init(
            _ name: String,
            _ summary: String,
            hint: String,
            source: String = "IAM Roles Anywhere User Guide, Trust model",
            severity: ValidationRule.Severity = .error,
            scope: ValidationRule.Scope = .certificate,
            sameAs: Set<String> = []
        ) {
            rule = ValidationRule(name, severity, source, summary, hint: hint, scopes: [scope])
            self.sameAs = sameAs
        }
    }

    /// The general rules that make an extension as good as absent.
    private static let unreadable: Set<String> = [
        "version", "extension-malformed", "extension-duplicate", "extensions-empty",
    ]

    private static let client: [String: Line] = [
        "keyAlgorithm": Line(
            "aws-client-key",
            "A client's key is for RSA, an elliptic curve or ML-DSA.",
            hint: "use a certificate with an RSA, EC or ML-DSA key",
            source: "IAM Roles Anywhere User Guide, Signing process",
            sameAs: ["key-algorithm"]
        ),
        "version": Line(
            "aws-client-version",
            "A client's certificate is of version 3.",
            hint: "issue one of version 3",
            sameAs: ["version"]
        ),
        "subject": Line(
            "aws-client-subject",
            "A client's certificate has a subject.",
            hint: "issue one with a common name",
            sameAs: ["subject-unnamed", "subject-empty"]
        ),
        "basicConstraints": Line(
            "aws-client-ca",
            "A client's certificate is not a CA's.",
            hint: "issue a client certificate from it",
            sameAs: ["leaf-basic-constraints"]
        ),
        "keyUsage": Line(
            "aws-client-key-usage",
            "The key usage of a client has digitalSignature.",
            hint: "issue one with keyUsage = critical, digitalSignature",
            sameAs: unreadable.union(["key-usage-empty"])
        ),
        "signatureAlgorithm": Line(
            "aws-client-signature",
            "A client's certificate is signed with SHA-256 or stronger.",
            hint: "have it issued again with SHA-256 or stronger",
            sameAs: ["signature-weak"]
        ),
        "validity": Line(
            "aws-client-validity",
            "A client's certificate is valid now.",
            hint: "have it renewed",
            sameAs: ["validity-order", "validity-expired", "validity-not-yet"]
        ),
    ]

    private static let anchor: [String: Line] = [
        "version": Line(
            "aws-anchor-version",
            "A trust anchor's certificate is of version 3.",
            hint: "make a CA of version 3: pki init-ca",
            sameAs: ["version"]
        ),
        "basicConstraints": Line(
            "aws-anchor-ca",
            "A trust anchor's certificate is a CA's.",
            hint: "a trust anchor is made from the CA's certificate, not from the client's",
            sameAs: unreadable.union(["ca-basic-constraints"])
        ),
        "keyUsage": Line(
            "aws-anchor-key-usage",
            "The key usage of a trust anchor has keyCertSign.",
            hint: "make a CA with keyUsage = critical, keyCertSign, cRLSign: pki init-ca",
            sameAs: unreadable.union(["ca-key-usage", "ca-cert-sign", "key-usage-empty", "ca-basic-constraints"])
        ),
        "signatureAlgorithm": Line(
            "aws-anchor-signature",
            "A trust anchor's certificate is signed with SHA-256 or stronger.",
            hint: "make a CA with SHA-256 or stronger: pki init-ca",
            sameAs: ["signature-weak"]
        ),
        "validity": Line(
            "aws-anchor-validity",
            "A trust anchor's certificate is valid now.",
            hint: "make a new CA, and put both into the trust anchor while clients change over",
            sameAs: ["validity-order", "validity-expired", "validity-not-yet"]
        ),
    ]

    private static let list: [String: Line] = [
        "length": Line(
            "aws-crl-length",
            "A list that is imported has at most \(RevocationListRules.lengthLimit) bytes of PEM.",
            hint: "leave out what has expired, or let another CA issue",
            source: "IAM Roles Anywhere User Guide, Quotas",
            scope: .revocationList
        ),
        "version": Line(
            "aws-crl-version",
            "A list that is imported is of version 2.",
            hint: "issue one of version 2",
            scope: .revocationList,
            sameAs: ["crl-version"]
        ),
        "criticalExtensions": Line(
            "aws-crl-extensions",
            "A list that is imported is complete, with no critical extension that is not known.",
            hint: "import a complete list that speaks of every certificate of its issuer",
            scope: .revocationList,
            sameAs: ["extension-unknown-critical", "crl-issuing-distribution-point", "crl-delta"]
        ),
        "signatureAlgorithm": Line(
            "aws-crl-signature",
            "A list that is imported is signed with SHA-256 or stronger.",
            hint: "issue it again with SHA-256 or stronger",
            scope: .revocationList,
            sameAs: ["signature-weak"]
        ),
    ]

    private static let doubt = Line(
        "aws-client-doubt",
        "A client's certificate has nothing that AWS leaves open: keys of RSA 2048 to 4096, P-256 and P-384 are known to do.",
        hint: "use a key of EC P-256 or RSA 2048, certified by a CA",
        severity: .notice,
        sameAs: ["key-rsa-short", "key-curve", "key-curve-explicit"]
    )

    private static let chain = Line(
        "aws-chain-length",
        "At most 5 certificates stand between a client's and the trust anchor.",
        hint: "have the client's certificate issued nearer to the trust anchor",
        source: "IAM Roles Anywhere API, CreateSession",
        scope: .path
    )

    private static let bundle = Line(
        "aws-anchor-count",
        "A trust anchor has at most \(TrustAnchorBundle.maximumCertificateCount) certificates.",
        hint: "put in root CAs only; more roots need more trust anchors",
        source: "IAM Roles Anywhere User Guide, Quotas",
        scope: .path
    )

    private static let listIssuer = Line(
        "aws-crl-issuer",
        "A list that is imported is issued by a CA of the trust anchor.",
        hint: "make a trust anchor of the list's issuer, or revoke with the root's own list",
        scope: .path
    )

    private static let listCount = Line(
        "aws-crl-count",
        "A trust anchor has at most 2 lists.",
        hint: "give one list for each CA of the trust anchor",
        source: "IAM Roles Anywhere User Guide, Quotas",
        scope: .path
    )

    /// Every rule.
    static let all: [ValidationRule] =
        [client, anchor, list].flatMap { $0.values.map(\.rule).sorted { $0.name < $1.name } }
        + [doubt, chain, bundle, listIssuer, listCount].map(\.rule)

    /// What has been found already.
    private var known: Set<String>

    /// Findings that the general rules do not say.
    private(set) var findings: [ValidationFinding] = []

    /// Begins.
    ///
    /// - Parameter general: What the general rules found.
    private init(beside general: [ValidationFinding]) { known = Set(general.map(\.rule.name)) }

    private mutating func add(_ line: Line, _ finding: String, hint: String? = nil) {
        guard known.isDisjoint(with: line.sameAs) else { return }
        findings.append(ValidationFinding(line.rule, finding, hint: hint))
    }

    private mutating func add(_ broken: [BrokenRule], _ lines: [String: Line]) {
        for rule in broken {
            let line = lines[rule.name] ?? Line("aws-\(rule.name)", rule.finding, hint: rule.hint ?? "")
            add(line, rule.finding, hint: rule.hint)
        }
    }

    /// Judges a certificate: a client's, or one that a trust anchor is to be made from.
    ///
    /// - Parameters:
    ///   - certificate: The certificate.
    ///   - role: What it is for.
    ///   - general: What the general rules found; what they say already is not said again.
    ///   - now: The moment at which it must be valid.
    /// - Returns: What AWS would refuse beyond that; nothing for roles that AWS does not see.
    static func findings(
        in certificate: Certificate,
        as role: CertificateRole,
        beside general: [ValidationFinding],
        at now: Date
    ) -> [ValidationFinding] {
        var rules = AnywhereRules(beside: general)
        switch role {
        case .client:
            rules.add(ClientCertificateRules.broken(by: certificate, at: now), client)
            for words in ClientCertificateRules.doubts(about: certificate) { rules.add(doubt, words) }
        case .root: rules.add(TrustAnchorBundle.rulesBroken(by: certificate, at: now), anchor)
        case .intermediate, .server, .other: break
        }
        return rules.findings
    }

    /// Judges a list.
    ///
    /// - Parameters:
    ///   - list: The list.
    ///   - general: What the general rules found.
    /// - Returns: What AWS would refuse beyond that.
    static func findings(
        in list: CertificateRevocationList,
        beside general: [ValidationFinding]
    ) -> [ValidationFinding] {
        var rules = AnywhereRules(beside: general)
        rules.add(RevocationListRules.broken(by: list), Self.list)
        return rules.findings
    }

    /// Judges what only a whole path shows.
    ///
    /// - Parameters:
    ///   - path: The path, the client's certificate first, the trust anchor's last.
    ///   - anchors: The certificates of the trust anchor.
    ///   - lists: The lists that are to be imported for it.
    /// - Returns: The limits of AWS that are passed.
    static func findings(
        inPath path: [Certificate],
        anchors: [Certificate],
        lists: [CertificateRevocationList]
    ) -> [ValidationFinding] {
        var rules = AnywhereRules(beside: [])
        if path.count > 7 { rules.add(chain, "has \(path.count - 2) certificates between it and the trust anchor") }
        let count = Set(anchors).count
        if count > TrustAnchorBundle.maximumCertificateCount {
            rules.add(bundle, "is to be trusted by a bundle of \(count) certificates")
        }
        for list in lists where !anchors.contains(where: { list.isIssued(by: $0) }) {
            rules.add(
                listIssuer,
                "is to be checked against a list of \(printable(list.issuer.description, limit: 200)), "
                    + "which is no CA of the trust anchor"
            )
        }
        if lists.count > 2 { rules.add(listCount, "is to be checked against \(lists.count) lists") }
        return rules.findings
    }
}
