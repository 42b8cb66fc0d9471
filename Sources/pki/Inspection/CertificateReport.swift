// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import SystemSupport

/// What `pki inspect` says of a certificate.
struct CertificateReport: Encodable, Sendable {
    let kind = "certificate"
    var version: Int
    var subject: String
    var issuer: String
    var selfSigned: Bool
    var serialNumber: String
    var serialNumberDecimal: String
    var notBefore: Date
    var notAfter: Date
    var validity: Validity
    var key: KeyFacts
    var signatureAlgorithm: String
    var signatureIsWeak: Bool
    var ca: Bool
    var pathLength: Int?
    var keyUsage: [String]?
    var extendedKeyUsage: [String]
    var subjectAlternativeNames: [NameFacts]
    var permittedNames: [String]?
    var excludedNames: [String]?
    var subjectKeyIdentifier: String?
    var authorityKeyIdentifier: String?
    var extensions: [ExtensionFacts]
    var sha256: String
    /// The SHA-256 of its issuer, when that was read too.
    var issuedBy: String?
    var pem: String
    var rolesAnywhere: AnywhereFacts

    /// The rest of what the text needs.
    private let certificate: Certificate
    private let now: Date

    private enum CodingKeys: CodingKey {
        case kind, version, subject, issuer, selfSigned, serialNumber, serialNumberDecimal, notBefore, notAfter,
            validity
        case key, signatureAlgorithm, signatureIsWeak, ca, pathLength, keyUsage, extendedKeyUsage
        case subjectAlternativeNames, permittedNames, excludedNames, subjectKeyIdentifier, authorityKeyIdentifier
        case extensions, sha256, issuedBy, pem, rolesAnywhere
    }

    init(_ certificate: Certificate, selfSigned: Bool, issuer: Certificate?, at now: Date) {
        self.certificate = certificate
        self.now = now
        version = certificate.version
        subject = certificate.subject.description
        self.issuer = certificate.issuer.description
        self.selfSigned = selfSigned
        serialNumber = certificate.serialNumber.hexadecimal
        serialNumberDecimal = certificate.serialNumber.decimal
        notBefore = certificate.notBefore
        notAfter = certificate.notAfter
        validity = Validity(of: now, from: certificate.notBefore, to: certificate.notAfter)
        key = KeyFacts(certificate.publicKey)
        signatureAlgorithm = certificate.signatureAlgorithm.name
        signatureIsWeak = certificate.signatureAlgorithm.isWeak
        ca = certificate.isCA
        pathLength = certificate.basicConstraints?.pathLength
        keyUsage = certificate.keyUsage?.names
        extendedKeyUsage = certificate.extendedKeyUsage
        subjectAlternativeNames = certificate.subjectAlternativeNames.map(NameFacts.init)
        permittedNames = certificate.nameConstraints?.permitted.map(\.description)
        excludedNames = certificate.nameConstraints?.excluded.map(\.description)
        subjectKeyIdentifier = certificate.subjectKeyIdentifier.map { hexadecimal($0) }
        authorityKeyIdentifier = certificate.authorityKeyIdentifier.map { hexadecimal($0) }
        extensions = certificate.extensions.map(ExtensionFacts.init)
        sha256 = certificate.fingerprint
        issuedBy = issuer?.fingerprint
        pem = certificate.pemEncoded
        rolesAnywhere = AnywhereFacts(certificate, at: now)
    }

    /// The one name that tells it from others.
    var title: String { subject.isEmpty ? "serial number \(serialNumber)" : subject }

    func add(to fields: inout FieldList) {
        fields.add("subject", subject.isEmpty ? "(empty)" : subject)
        fields.add("issuer", selfSigned ? "self-signed" : issuer.isEmpty ? "(empty)" : issuer)
        fields.add("serial", serialNumber)
        fields.add("serial, decimal", serialNumberDecimal)
        fields.add("valid", Validity.text(from: notBefore, to: notAfter, at: now))
        fields.add("key", key.name)
        fields.add(certificate.signatureAlgorithm)
        if version != 3 { fields.add("version", "\(version)") }
        fields.add("CA", ca ? "yes" + (pathLength.map { ", at most \($0) more below it" } ?? "") : "no")
        fields.add("key usage", mark(KnownExtension.keyUsage, certificate.keyUsage?.description))
        if !extendedKeyUsage.isEmpty {
            let usages = extendedKeyUsage.joined(separator: ", ")
            fields.add("extended usage", mark(KnownExtension.extendedKeyUsage, usages))
        }
        fields.add("names", subjectAlternativeNames.map(\.text))
        fields.add("may certify", permittedNames ?? [])
        fields.add("may not certify", excludedNames ?? [])
        fields.add("key identifier", subjectKeyIdentifier)
        if authorityKeyIdentifier != subjectKeyIdentifier { fields.add("issuer's", authorityKeyIdentifier) }
        fields.add("other", extensions.filter(isUntold))
        fields.add("SHA-256", sha256)
        fields.add("of the key", key.sha256)
        rolesAnywhere.add(to: &fields)
    }

    /// What tells it from others, for a long list.
    func addShort(to fields: inout FieldList) {
        fields.add("subject", subject.isEmpty ? "(empty)" : subject)
        if !selfSigned { fields.add("issuer", issuer) }
        fields.add("valid", Validity.text(from: notBefore, to: notAfter, at: now))
        fields.add("key", "\(key.name), \(signatureAlgorithm)\(signatureIsWeak ? " (WEAK)" : "")\(ca ? ", CA" : "")")
        fields.add("SHA-256", sha256)
        for rule in rolesAnywhere.rulesBroken { fields.add("rule broken", rule.finding) }
    }

    /// A value with a mark when its extension is critical.
    private func mark(_ identifier: String, _ text: String?) -> String? {
        let isCritical = extensions.contains { $0.identifier == identifier && $0.critical }
        return text.map { isCritical ? "\($0) (critical)" : $0 }
    }

    /// Whether no field shows an extension: one that is not known here, or whose value could not be read.
    private func isUntold(_ found: ExtensionFacts) -> Bool {
        switch found.identifier {
        case KnownExtension.subjectKeyIdentifier: subjectKeyIdentifier == nil
        case KnownExtension.authorityKeyIdentifier: authorityKeyIdentifier == nil
        case KnownExtension.keyUsage: keyUsage == nil
        case KnownExtension.extendedKeyUsage: extendedKeyUsage.isEmpty
        case KnownExtension.subjectAlternativeName: subjectAlternativeNames.isEmpty
        case KnownExtension.basicConstraints: certificate.basicConstraints == nil
        case KnownExtension.nameConstraints: permittedNames == nil
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

extension KeyUsage {
    /// The names of RFC 5280.
    fileprivate var names: [String] { description.split(separator: ", ").map(String.init) }
}

/// What IAM Roles Anywhere would make of a certificate or a list.
struct AnywhereFacts: Encodable, Sendable {
    /// What the thing can be to the service.
    enum Role: String, Encodable, Sendable {
        case clientCertificate, trustAnchor, revocationList
    }

    /// A rule that is broken.
    struct Rule: Encodable, Sendable {
        var rule: String
        var finding: String
        var hint: String?
    }

    /// A value that becomes no tag.
    struct Dropped: Encodable, Sendable {
        var key: String
        var value: String
        /// `character`, `notFirst` or `kind`.
        var reason: String
    }

    var role: Role
    var acceptable: Bool
    var rulesBroken: [Rule]
    /// What breaks no written rule and may yet be refused.
    var doubts: [String]
    var tags: [String: String]?
    var droppedValues: [Dropped]?
    var sourceIdentity: String?
    var roleSessionName: String?
    var signingAlgorithm: String?
    /// The serial number as a request's Credential has it.
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

    /// Judges a list.
    init(_ list: CertificateRevocationList) { self.init(.revocationList, AWSRules.revocationList.findings(in: list)) }

    private init(_ role: Role, _ findings: [RuleViolation]) {
        self.role = role
        let broken = findings.errors
        acceptable = broken.isEmpty
        rulesBroken = broken.map { Rule(rule: $0.rule.name, finding: $0.finding, hint: $0.hint) }
        doubts = findings.filter { $0.rule.severity != .error }.map(\.finding)
    }

    /// Adds the fields to a block.
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
