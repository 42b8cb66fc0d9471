// SPDX-License-Identifier: Apache-2.0

package import Authority
package import Certificates
package import FoundationEssentials
import SystemSupport

/// A request for a certificate that came over the network.
package struct EnrolmentRequest: Sendable {
    /// What the client proves: a token whose secret was verified, or a certificate whose key it has used.
    package enum Proof: Sendable {
        case token(String)
        case certificate(Certificate)
    }

    /// The certificate request; its signature was verified.
    package var request: CertificateRequest
    package var proof: Proof
    /// Protocol and address of the client, for the audit: `EST from 192.0.2.7`.
    package var peer: String
    /// The profile that is asked for; `nil` for any.
    package var profile: String?
    /// The end of validity that is asked for; an earlier one may be given.
    package var notAfter: Date?

    package init(
        request: CertificateRequest, proof: Proof, peer: String, profile: String? = nil, notAfter: Date? = nil
    ) {
        self.request = request
        self.proof = proof
        self.peer = peer
        self.profile = profile
        self.notAfter = notAfter
    }
}

/// Decides who gets which certificate. It knows no protocol and signs nothing.
///
/// What is certified is what was asked for *and* is allowed: the key of the request, the name, and the alternative names.
/// Nothing else of a request is copied; one that asks for more is refused, naming what.
package struct EnrolmentRules: Sendable {
    private let inventory: Inventory
    /// How long after its end a certificate may still renew, in seconds; 0 for never.
    package var renewalGrace: Double = 0

    package init(_ inventory: Inventory) { self.inventory = inventory }

    /// What happens with a request.
    package enum Decision: Sendable {
        /// The certificate is issued.
        case issue(EnrolmentGrant)
        /// It was issued before, for the same request and proof.
        case repeated(Certificate)
        /// A person decides; it has this number.
        case wait(Int64)
    }

    /// Decides about a request.
    ///
    /// - Throws: ``EnrolmentRefusal``; errors of the inventory.
    package func decide(_ asked: EnrolmentRequest, now: Date) throws -> Decision {
        switch asked.proof {
        case .token(let identifier): try decide(asked, token: identifier, now: now)
        case .certificate(let certificate): try decide(asked, renewing: certificate, now: now)
        }
    }

    // MARK: - By a token

    private func decide(_ asked: EnrolmentRequest, token identifier: String, now: Date) throws -> Decision {
        let proof = EnrolmentProof.token(identifier)
        guard let token = try inventory.token(identifier) else { throw EnrolmentRefusal.token(nil) }
        guard token.revokedAt == nil else { throw EnrolmentRefusal.token(.revoked) }
        if let known = try inventory.certificate(enrolledBy: proof, for: asked.request) { return .repeated(known) }
        let status = token.status(at: now)
        guard status == .valid else { throw EnrolmentRefusal.token(status) }

        try Self.check(asked.profile, is: token.template.profile)
        let name = try Self.name(of: asked.request, token)
        try Self.check(asked.request, name: name, token)
        if !token.replaces, let current = try inventory.current(name),
            [.valid, .held].contains(current.status(at: now))
        {
            throw EnrolmentRefusal.taken(name)
        }
        if token.needsApproval {
            let kept = try inventory.keep(
                PendingRequest(
                    proof: proof.key, derEncoded: asked.request.derEncoded, name: name, peer: asked.peer, askedAt: now),
                now: now)
            switch kept.decision {
            case .none: return .wait(kept.identifier)
            case .denied: throw EnrolmentRefusal.denied
            case .approved: break
            }
        }
        var request = ClientRequest(template: token.template, name: name)
        request.nameIsCommonName = true
        request.certificateRequest = asked.request
        request.subjectAlternativeNames = asked.request.subjectAlternativeNames.filter { !$0.isDirectory }
        request.lifetime = .until(min(now + token.lifetime, asked.notAfter ?? .distantFuture))
        var grant = EnrolmentGrant(proof: proof, request: request, peer: asked.peer)
        grant.replaces = token.replaces
        return .issue(grant)
    }

    private static func check(_ wanted: String?, is profile: String) throws {
        if let wanted, wanted != profile { throw EnrolmentRefusal.name("the profile \(shown(wanted))") }
    }

    /// The name that a certificate for a request would have: the common name, or without one the first alternative name
    /// that can be a name, or the only name that the token allows.
    private static func name(of request: CertificateRequest, _ token: JoinToken) throws -> String {
        let commonNames = request.subject.relativeNames.joined().filter { $0.type == "CN" }.map(\.value)
        guard commonNames.count <= 1 else { throw EnrolmentRefusal.request("the request has several common names") }
        let candidates =
            commonNames.isEmpty
            ? request.subjectAlternativeNames.compactMap { name -> String? in
                switch name {
                case .dns(let text), .email(let text): text
                case .ip(let octets): IPAddress.text(octets)
                case .uri, .directory, .other: nil
                }
            } : commonNames
        for candidate in candidates {
            // As the pattern is written, so that one host has one name.
            if let exact = token.names.first(where: { $0.isExact && $0.matches(candidate) }) {
                return exact.description
            }
            if token.names.contains(where: { $0.matches(candidate) }) { return candidate.lowercased() }
        }
        if candidates.isEmpty, token.names.count == 1, token.names[0].isExact { return token.names[0].description }
        throw EnrolmentRefusal.name(
            candidates.first.map { "the name \(shown($0))" } ?? "a request without a name")
    }

    /// Refuses a subject or alternative names that the token does not allow.
    private static func check(_ request: CertificateRequest, name: String, _ token: JoinToken) throws {
        for alternative in request.subjectAlternativeNames {
            switch alternative {
            // The subject again, as pki itself writes it.
            case .directory(let other) where other == request.subject: continue
            case .dns(let text) where text.lowercased() == name.lowercased(): continue
            case .ip(let octets) where IPAddress.text(octets) == name: continue
            case .email(let text) where text.lowercased() == name.lowercased(): continue
            default: break
            }
            guard token.alternativeNames.contains(where: { $0.matches(alternative, of: name) }) else {
                throw EnrolmentRefusal.name("the name \(shown("\(alternative)"))")
            }
        }
    }

    // MARK: - By a certificate

    private func decide(_ asked: EnrolmentRequest, renewing former: Certificate, now: Date) throws -> Decision {
        let proof = EnrolmentProof.certificate(former)
        guard let entry = try inventory.entry(of: former), !entry.isCA else {
            throw EnrolmentRefusal.certificate("this CA did not issue it")
        }
        if entry.revocation != nil { throw EnrolmentRefusal.certificate("it was revoked") }
        if let known = try inventory.certificate(enrolledBy: proof, for: asked.request) { return .repeated(known) }
        guard now <= former.notAfter + renewalGrace else { throw EnrolmentRefusal.certificate("it has expired") }
        guard entry.place == .current else { throw EnrolmentRefusal.replaced(entry.name) }
        try Self.check(asked.profile, is: entry.profile)
        try Self.check(asked.request, sameNamesAs: former)
        let template = try inventory.template(of: entry) ?? BuiltInTemplate(matching: former).template
        var request = ClientRequest(template: template, name: entry.name)
        request.certificateRequest = asked.request
        request.subject = former.subject
        request.subjectAlternativeNames = former.subjectAlternativeNames
        request.lifetime = .until(min(now + entry.wantedLifetime, asked.notAfter ?? .distantFuture))
        return .issue(EnrolmentGrant(proof: proof, request: request, peer: asked.peer))
    }

    /// Refuses names that the renewed certificate does not have (RFC 7030 §4.2.2); it keeps all that it has.
    private static func check(_ request: CertificateRequest, sameNamesAs former: Certificate) throws {
        if !request.subject.isEmpty, request.subject.relativeNames != former.subject.relativeNames {
            throw EnrolmentRefusal.name("the subject \(shown("\(request.subject)"))")
        }
        for name in request.subjectAlternativeNames where !former.subjectAlternativeNames.contains(name) {
            throw EnrolmentRefusal.name("the name \(shown("\(name)"))")
        }
    }

    private static func shown(_ text: String) -> String { printable(terminalSafe(text), limit: 200) }
}

extension GeneralName {
    fileprivate var isDirectory: Bool { if case .directory = self { true } else { false } }
}
