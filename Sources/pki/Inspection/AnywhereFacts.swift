// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Lab
import RolesAnywhere
import TrustAnchors

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
    ///
    /// - Parameters:
    ///   - certificate: The certificate.
    ///   - now: The moment at which it must be valid.
    init(_ certificate: Certificate, at now: Date) {
        if certificate.isCA {
            self.init(.trustAnchor, TrustAnchorBundle.rulesBroken(by: certificate, at: now))
            return
        }
        self.init(.clientCertificate, ClientCertificateRules.broken(by: certificate, at: now))
        doubts = ClientCertificateRules.doubts(about: certificate)
        let session = SessionPreview(certificate)
        tags = Dictionary(session.tags.map { ($0.key, $0.value) }) { first, _ in first }
        droppedValues = session.dropped.map { Dropped(key: $0.key, value: $0.value, reason: $0.reason.rawValue) }
        sourceIdentity = session.sourceIdentity
        roleSessionName = session.sessionName
        signingAlgorithm = ClientCertificateRules.signingAlgorithm(for: certificate.publicKey.algorithm)
        credentialSerialNumber = certificate.serialNumber.decimal
    }

    /// Judges a list.
    init(_ list: CertificateRevocationList) { self.init(.revocationList, RevocationListRules.broken(by: list)) }

    private init(_ role: Role, _ broken: [BrokenRule]) {
        self.role = role
        acceptable = broken.isEmpty
        rulesBroken = broken.map { Rule(rule: $0.name, finding: $0.finding, hint: $0.hint) }
        doubts = []
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
            if let hint = rule.hint { fields.add("", "to mend it: \(hint)") }
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
