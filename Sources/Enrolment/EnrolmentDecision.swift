// SPDX-License-Identifier: Apache-2.0

package import Authority
package import Certificates
package import FoundationEssentials
import SystemSupport

/// A request for a certificate that came over the network.
package struct EnrolmentRequest: Sendable {
    /// What the client proves: a token whose secret was verified, a certificate whose key it has used, or an account
    /// whose key it has used, for one of its orders.
    package enum Proof: Sendable {
        case token(String)
        case certificate(Certificate)
        case account(ACMEAccount, order: String)
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
    /// The URL below which clients of certificates find CRLs and OCSP, without a slash at its end; `nil` to name none.
    package var statusURL: String?

    /// The largest request that is kept for a person, in bytes. One with a key and a signature of ML-DSA-87 has 7,300.
    private static let largestKept = 8_192

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
        case .account(let account, let order): try decide(asked, by: account, order: order, now: now)
        }
    }

    // MARK: - By a token

    private func decide(_ asked: EnrolmentRequest, token identifier: String, now: Date) throws -> Decision {
        let proof = EnrolmentProof.token(identifier)
        let token = try usable(identifier)
        if let challenge = token.challenge { throw EnrolmentRefusal.unproven(challenge) }
        if let known = try inventory.certificate(enrolledBy: proof, for: asked.request) { return .repeated(known) }
        return try decide(asked, token, proof, now: now)
    }

    /// A token that was not revoked; its uses may be spent.
    private func usable(_ identifier: String) throws -> JoinToken {
        guard let token = try inventory.token(identifier) else { throw EnrolmentRefusal.token(nil) }
        guard token.revokedAt == nil else { throw EnrolmentRefusal.token(.revoked) }
        return token
    }

    /// Decides about a certificate that spends a use of the token.
    ///
    /// - Parameters:
    ///   - asked: The request.
    ///   - token: The token.
    ///   - proof: What the client proves.
    ///   - held: The certificate of the name that the client holds itself; `nil` if there is none.
    ///   - now: The time.
    private func decide(
        _ asked: EnrolmentRequest, _ token: JoinToken, _ proof: EnrolmentProof, besides held: InventoryEntry? = nil,
        now: Date
    ) throws -> Decision {
        let status = try inventory.useStatus(of: token, now: now)
        guard status == .valid else { throw EnrolmentRefusal.token(status) }
        try Self.check(asked.profile, is: token.template.profile)
        let name = try Self.name(of: asked.request, token)
        try Self.check(asked.request, name: name, token)
        if !token.replaces, let current = try inventory.current(name), current != held,
            [.valid, .held].contains(current.status(at: now))
        {
            throw EnrolmentRefusal.taken(name)
        }
        if token.needsApproval {
            guard asked.request.derEncoded.count <= Self.largestKept else {
                throw EnrolmentRefusal.request(
                    "the request has more than \(Self.largestKept >> 10) KiB, too much to keep until it is approved")
            }
            let kept = try inventory.keep(
                PendingRequest(
                    proof: proof.key, derEncoded: asked.request.derEncoded, name: name, peer: asked.peer, askedAt: now),
                of: token, now: now)
            switch kept.decision {
            case .none: return .wait(kept.identifier)
            case .denied: throw EnrolmentRefusal.denied
            case .approved: break
            }
        }
        var request = ClientRequest(template: token.template, name: name)
        request.nameIsCommonName = true
        request.certificateRequest = asked.request
        request.subjectAlternativeNames = Self.alternativeNames(of: asked.request)
        request.statusURL = statusURL
        request.endsWithAuthority = true
        request.lifetime = .until(min(now + token.lifetime, asked.notAfter ?? .distantFuture))
        var grant = EnrolmentGrant(proof: proof, request: request, peer: asked.peer)
        grant.replaces = token.replaces
        return .issue(grant)
    }

    /// What a certificate gets of a request's alternative names.
    private static func alternativeNames(of request: CertificateRequest) -> [GeneralName] {
        request.subjectAlternativeNames.filter { !$0.isDirectory }
    }

    private static func check(_ wanted: String?, is profile: String) throws {
        if let wanted, wanted != profile { throw EnrolmentRefusal.name("the profile \(shown(wanted))") }
    }

    /// The name that a certificate for a request would have: the common name, or without one the first alternative name
    /// that can be a name, or the only name that the token allows.
    private static func name(of request: CertificateRequest, _ token: JoinToken) throws -> String {
        let commonNames = request.subject.commonNames
        guard commonNames.count <= 1 else { throw EnrolmentRefusal.request("the request has several common names") }
        return try name(of: commonNames.isEmpty ? names(request.subjectAlternativeNames) : commonNames, token)
    }

    /// The alternative names that can be the name of a certificate.
    private static func names(_ alternativeNames: [GeneralName]) -> [String] {
        alternativeNames.compactMap { name in
            switch name {
            case .dns(let text), .email(let text): text
            case .ip(let octets): IPAddress.text(octets)
            case .uri, .directory, .other: nil
            }
        }
    }

    private static func name(of candidates: [String], _ token: JoinToken) throws -> String {
        for candidate in candidates where !CertificateAuthority.isReserved(candidate) {
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
            // The subject again, as pki itself writes it.
            if case .directory(let other) = alternative, other == request.subject { continue }
            guard allows(alternative, name: name, token) else {
                throw EnrolmentRefusal.name("the name \(shown("\(alternative)"))")
            }
        }
    }

    /// Whether the certificate with a name may have an alternative name.
    private static func allows(_ alternative: GeneralName, name: String, _ token: JoinToken) -> Bool {
        switch alternative {
        case .dns(let text) where text.lowercased() == name.lowercased(): true
        case .ip(let octets) where IPAddress.text(octets) == name: true
        case .email(let text) where text.lowercased() == name.lowercased(): true
        default: token.alternativeNames.contains { $0.matches(alternative, of: name) }
        }
    }

    // MARK: - By an account

    /// The names of an order that an account's token does not allow together; empty if there can be a certificate.
    package func refusedNames(_ names: [GeneralName], of account: ACMEAccount) throws -> [GeneralName] {
        let token = try usable(account.token)
        guard let name = try? Self.name(of: Self.names(names), token) else { return names }
        return names.filter { !Self.allows($0, name: name, token) }
    }

    /// How an account must prove each name of its orders; `nil` if its token is enough.
    package func challenge(of account: ACMEAccount) throws -> JoinToken.Challenge? {
        try usable(account.token).challenge
    }

    /// An account renews what it holds as long as its token was not revoked; for all else it spends a use of the token.
    private func decide(_ asked: EnrolmentRequest, by account: ACMEAccount, order: String, now: Date) throws -> Decision
    {
        let proof = EnrolmentProof.account(account.identifier, token: account.token, order: order)
        let token = try usable(account.token)
        if let known = try inventory.certificate(enrolledBy: proof, for: asked.request) { return .repeated(known) }
        if let challenge = token.challenge {
            let challenges = try inventory.order(order)?.challenges ?? []
            guard !challenges.isEmpty, challenges.allSatisfy({ $0.status == .valid }) else {
                throw EnrolmentRefusal.unproven(challenge)
            }
        }
        let name = try Self.name(of: asked.request, token)
        let held = try inventory.current(name).flatMap { entry in
            try entry.revocation == nil && inventory.isEnrolled(entry, by: account) ? entry : nil
        }
        if let held {
            let former = try inventory.certificate(of: held)
            if asked.request.subjectAlternativeNames.allSatisfy(former.subjectAlternativeNames.contains) {
                var grant = try renewal(of: held, former, for: asked, proof, now: now)
                // Not more than the order's names (RFC 8555 §7.4).
                grant.request.subjectAlternativeNames = Self.alternativeNames(of: asked.request)
                grant.renewsHeld = true
                return .issue(grant)
            }
        }
        return try decide(asked, token, proof, besides: held, now: now)
    }

    // MARK: - By a certificate

    /// What a certificate must be for to prove who a host is.
    private static let purposes: Set = ["clientAuth", "serverAuth"]

    private func decide(_ asked: EnrolmentRequest, renewing former: Certificate, now: Date) throws -> Decision {
        let proof = EnrolmentProof.certificate(former)
        guard let entry = try inventory.entry(of: former), !entry.isCA else {
            throw EnrolmentRefusal.certificate("this CA did not issue it")
        }
        let purposes = former.extendedKeyUsage
        guard purposes.isEmpty || !Self.purposes.isDisjoint(with: purposes) else {
            throw EnrolmentRefusal.certificate("it is for \(purposes.joined(separator: ", ")) alone")
        }
        guard !CertificateAuthority.isReserved(entry.name) else {
            throw EnrolmentRefusal.certificate("it is the server's own")
        }
        if entry.revocation != nil { throw EnrolmentRefusal.certificate("it was revoked") }
        if let known = try inventory.certificate(enrolledBy: proof, for: asked.request) { return .repeated(known) }
        guard now <= former.notAfter + renewalGrace else { throw EnrolmentRefusal.certificate("it has expired") }
        guard entry.place == .current else { throw try inventory.refusal(ofReplaced: entry, now: now) }
        try Self.check(asked.request, sameNamesAs: former)
        return .issue(try renewal(of: entry, former, for: asked, proof, now: now))
    }

    /// The same certificate again, with the request's key.
    private func renewal(
        of entry: InventoryEntry, _ former: Certificate, for asked: EnrolmentRequest, _ proof: EnrolmentProof, now: Date
    ) throws -> EnrolmentGrant {
        try Self.check(asked.profile, is: entry.profile)
        let template = try inventory.template(of: entry) ?? BuiltInTemplate(matching: former).template
        var request = ClientRequest(template: template, name: entry.name)
        request.certificateRequest = asked.request
        request.subject = former.subject
        request.subjectAlternativeNames = former.subjectAlternativeNames
        request.statusURL = statusURL
        request.endsWithAuthority = true
        request.lifetime = .until(min(now + entry.wantedLifetime, asked.notAfter ?? .distantFuture))
        return EnrolmentGrant(proof: proof, request: request, peer: asked.peer)
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

extension DistinguishedName {
    /// The values of all its common names.
    package var commonNames: [String] { relativeNames.joined().filter { $0.type == "CN" }.map(\.value) }
}

extension GeneralName {
    fileprivate var isDirectory: Bool { if case .directory = self { true } else { false } }
}
