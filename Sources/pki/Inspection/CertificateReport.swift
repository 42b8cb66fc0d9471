// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import SystemSupport

/// The part of an object in the report of `pki inspect` about a certificate.
struct CertificateReport: EncodableMembers, Sendable {
    let certificate: Certificate
    let selfSigned: Bool
    /// The issuer, if it was read too.
    let issuer: Certificate?
    let now: Date
    let rolesAnywhere: AnywhereFacts

    init(_ certificate: Certificate, selfSigned: Bool, issuer: Certificate?, at now: Date) {
        (self.certificate, self.selfSigned, self.issuer, self.now) = (certificate, selfSigned, issuer, now)
        rolesAnywhere = AnywhereFacts(certificate, at: now)
    }

    var members: JSONMembers {
        let usage = certificate.keyUsage?.description.split(separator: ", ").map(String.init)
        return [
            "kind": "certificate",
            "version": certificate.version,
            "subject": certificate.subject.description,
            "issuer": certificate.issuer.description,
            "selfSigned": selfSigned,
            "serialNumber": certificate.serialNumber.hexadecimal,
            "serialNumberDecimal": certificate.serialNumber.decimal,
            "notBefore": certificate.notBefore,
            "notAfter": certificate.notAfter,
            "validity": Validity(of: now, from: certificate.notBefore, to: certificate.notAfter),
            "key": KeyFacts(certificate.publicKey),
            "signatureAlgorithm": certificate.signatureAlgorithm.name,
            "signatureIsWeak": certificate.signatureAlgorithm.isWeak,
            "ca": certificate.isCA,
            "pathLength": certificate.basicConstraints?.pathLength,
            "keyUsage": usage,
            "extendedKeyUsage": certificate.extendedKeyUsage,
            "subjectAlternativeNames": certificate.subjectAlternativeNames.map(NameFacts.init),
            "permittedNames": certificate.nameConstraints?.permitted.map(\.description),
            "excludedNames": certificate.nameConstraints?.excluded.map(\.description),
            "subjectKeyIdentifier": certificate.subjectKeyIdentifier.map { hexadecimal($0) },
            "authorityKeyIdentifier": certificate.authorityKeyIdentifier.map { hexadecimal($0) },
            "extensions": certificate.extensions.map(ExtensionFacts.init),
            "sha256": certificate.fingerprint,
            "issuedBy": issuer?.fingerprint,
            "pem": certificate.pemEncoded,
            "rolesAnywhere": rolesAnywhere,
        ]
    }

    func add(to fields: inout FieldList) {
        let (key, constraints) = (KeyFacts(certificate.publicKey), certificate.nameConstraints)
        addName(to: &fields, issuer: selfSigned ? "self-signed" : Self.name(certificate.issuer))
        fields.add("serial", certificate.serialNumber.hexadecimal)
        fields.add("serial, decimal", certificate.serialNumber.decimal)
        fields.add("valid", validity)
        fields.add("key", key.name)
        fields.add(certificate.signatureAlgorithm)
        if certificate.version != 3 { fields.add("version", "\(certificate.version)") }
        let length = certificate.basicConstraints?.pathLength.map { ", at most \($0) more below it" }
        fields.add("CA", certificate.isCA ? "yes" + (length ?? "") : "no")
        fields.add("key usage", mark(KnownExtension.keyUsage, certificate.keyUsage?.description))
        if !certificate.extendedKeyUsage.isEmpty {
            let usages = certificate.extendedKeyUsage.joined(separator: ", ")
            fields.add("extended usage", mark(KnownExtension.extendedKeyUsage, usages))
        }
        fields.add("names", certificate.subjectAlternativeNames.map { NameFacts($0).text })
        fields.add("may certify", constraints?.permitted.map(\.description) ?? [])
        fields.add("may not certify", constraints?.excluded.map(\.description) ?? [])
        fields.add("key identifier", certificate.subjectKeyIdentifier.map { hexadecimal($0) })
        if certificate.authorityKeyIdentifier != certificate.subjectKeyIdentifier {
            fields.add("issuer's", certificate.authorityKeyIdentifier.map { hexadecimal($0) })
        }
        fields.add("other", certificate.extensions.map(ExtensionFacts.init).filter(isUntold))
        fields.add("SHA-256", certificate.fingerprint)
        fields.add("of the key", key.sha256)
        rolesAnywhere.add(to: &fields)
    }

    /// Adds the most important fields, for a long list.
    func addShort(to fields: inout FieldList) {
        let (key, signature) = (KeyFacts(certificate.publicKey), certificate.signatureAlgorithm)
        addName(to: &fields, issuer: selfSigned ? nil : certificate.issuer.description)
        fields.add("valid", validity)
        let ca = certificate.isCA ? ", CA" : ""
        fields.add("key", "\(key.name), \(signature.name)\(signature.isWeak ? " (WEAK)" : "")\(ca)")
        fields.add("SHA-256", certificate.fingerprint)
        for rule in rolesAnywhere.rulesBroken { fields.add("rule broken", rule.finding) }
    }

    private func addName(to fields: inout FieldList, issuer: String?) {
        fields.add("subject", Self.name(certificate.subject))
        fields.add("issuer", issuer)
    }

    private static func name(_ name: DistinguishedName) -> String {
        name.description.isEmpty ? "(empty)" : name.description
    }

    private var validity: [String] {
        Validity.text(from: certificate.notBefore, to: certificate.notAfter, at: now)
    }

    /// A value with a mark when its extension is critical.
    private func mark(_ identifier: String, _ text: String?) -> String? {
        let isCritical = certificate.extensions.contains { $0.identifier == identifier && $0.isCritical }
        return text.map { isCritical ? "\($0) (critical)" : $0 }
    }

    /// Whether no field shows an extension: one that is not known here, or whose value could not be read.
    private func isUntold(_ found: ExtensionFacts) -> Bool {
        switch found.identifier {
        case KnownExtension.subjectKeyIdentifier: certificate.subjectKeyIdentifier == nil
        case KnownExtension.authorityKeyIdentifier: certificate.authorityKeyIdentifier == nil
        case KnownExtension.keyUsage: certificate.keyUsage == nil
        case KnownExtension.extendedKeyUsage: certificate.extendedKeyUsage.isEmpty
        case KnownExtension.subjectAlternativeName: certificate.subjectAlternativeNames.isEmpty
        case KnownExtension.basicConstraints: certificate.basicConstraints == nil
        case KnownExtension.nameConstraints: certificate.nameConstraints == nil
        default: true
        }
    }
}

/// The extensions that have fields of their own (RFC 5280 §4.2.1).
private enum KnownExtension {
    static let subjectKeyIdentifier = "2.5.29.14"
    static let keyUsage = "2.5.29.15"
    static let subjectAlternativeName = "2.5.29.17"
    static let basicConstraints = "2.5.29.19"
    static let nameConstraints = "2.5.29.30"
    static let authorityKeyIdentifier = "2.5.29.35"
    static let extendedKeyUsage = "2.5.29.37"
}

/// Whether IAM Roles Anywhere accepts a certificate or a CRL, and the session that it gives.
struct AnywhereFacts: Encodable, Sendable {
    enum Role: String, Encodable, Sendable {
        case clientCertificate, trustAnchor, revocationList
    }

    struct Rule: Encodable, Sendable {
        var rule: String
        var finding: String
        var hint: String?
    }

    /// A value that does not become a tag.
    struct Dropped: Encodable, Sendable {
        var key: String
        var value: String
        /// `character`, `notFirst` or `kind`.
        var reason: String
    }

    var role: Role
    var acceptable: Bool
    var rulesBroken: [Rule]
    /// What meets all documented rules but may be refused.
    var doubts: [String]
    var tags: [String: String]?
    var droppedValues: [Dropped]?
    var sourceIdentity: String?
    var roleSessionName: String?
    var signingAlgorithm: String?
    /// The serial number in the Credential of a request.
    var credentialSerialNumber: String?

    /// Judges a certificate: a CA's as a trust anchor, any other as a client's.
    init(_ certificate: Certificate, at now: Date) {
        if certificate.isCA {
            self.init(.trustAnchor, CertificateJudge.findings(in: certificate, as: .anchor, at: now))
            return
        }
        self.init(.clientCertificate, CertificateJudge.findings(in: certificate, as: .client, at: now))
        let session = SessionPreview(certificate)
        tags = Dictionary(session.tags.map { ($0.key, $0.value) }) { first, _ in first }
        droppedValues = session.dropped.map { Dropped(key: $0.key, value: $0.value, reason: $0.reason.rawValue) }
        sourceIdentity = session.sourceIdentity
        roleSessionName = session.sessionName
        signingAlgorithm = RequestSignature.name(for: certificate.publicKey.algorithm)
        credentialSerialNumber = certificate.serialNumber.decimal
    }

    init(_ list: CertificateRevocationList) { self.init(.revocationList, AWSRules.revocationList.findings(in: list)) }

    private init(_ role: Role, _ findings: [RuleViolation]) {
        self.role = role
        let broken = findings.errors
        acceptable = broken.isEmpty
        rulesBroken = broken.map { Rule(rule: $0.rule.name, finding: $0.finding, hint: $0.hint) }
        doubts = findings.filter { $0.rule.severity != .error }.map(\.finding)
    }

    func add(to fields: inout FieldList) {
        fields.heading("  IAM Roles Anywhere")
        let purpose =
            switch role {
            case .clientCertificate: "a client's certificate, below a trust anchor of its issuer"
            case .trustAnchor: "a trust anchor"
            case .revocationList: "a CRL of its issuer's trust anchor"
            }
        fields.add("verdict", acceptable ? "can be \(purpose)" : "REFUSED as \(purpose)")
        for rule in rulesBroken {
            fields.add("rule broken", rule.finding)
            if let hint = rule.hint { fields.add("", "hint: \(hint)") }
        }
        fields.add("doubt", doubts)
        fields.add("signs with", signingAlgorithm)
        fields.add("session name", roleSessionName)
        fields.add("source identity", sourceIdentity)
        fields.add("session tags", (tags ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)" })
        guard let droppedValues, !droppedValues.isEmpty else { return }
        fields.add("dropped", droppedValues.map { "\($0.key) = \($0.value) (\(Self.words(for: $0.reason)))" })
        guard droppedValues.contains(where: { $0.reason != SessionPreview.DroppedValue.Reason.kind.rawValue }) else {
            return
        }
        fields.add("", "a StringNotEquals condition on a tag that is missing is met: do not rely on one")
    }

    private static func words(for reason: String) -> String {
        switch SessionPreview.DroppedValue.Reason(rawValue: reason) {
        case .character: "a character that tags cannot hold"
        case .notFirst: "only the first of a kind becomes a tag"
        case .kind, nil: "no tags are made of this kind"
        }
    }
}
