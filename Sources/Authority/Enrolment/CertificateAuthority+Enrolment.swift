// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import FoundationEssentials
import Synchronization
import SystemSupport

/// A certificate to issue for a request that came over the network, as it was decided.
package struct EnrolmentGrant: Sendable {
    /// How the client proved that it may have it.
    package var proof: EnrolmentProof
    /// The certificate, with the request's key.
    package var request: ClientRequest
    /// Whether a name that has a valid certificate may get another by a token.
    package var replaces = false
    /// Whether it renews a certificate that the account of the proof holds, which spends no use of a token.
    package var renewsHeld = false
    /// Who asked, for the audit: protocol and address.
    package var peer: String

    package init(proof: EnrolmentProof, request: ClientRequest, peer: String) {
        self.proof = proof
        self.request = request
        self.peer = peer
    }
}

/// Why nothing is issued although the request was sound.
package enum EnrolmentRefusal: Error, Hashable, Sendable {
    /// The token is unknown, its secret is wrong, or it was revoked, has expired or is spent.
    case token(JoinToken.Status?)
    /// The client proved nothing.
    case noProof
    /// The certificate of the proof is not of this CA, has expired or was revoked.
    case certificate(String)
    /// The certificate of the proof is not the current one of its name, which is now locked.
    case replaced(String)
    /// The certificate of the proof renewed a moment ago; nothing is locked.
    case renewed(String)
    /// The name is locked.
    case locked(String)
    /// The name has a valid certificate.
    case taken(String)
    /// The request asks for a name that the proof does not allow.
    case name(String)
    /// The request itself cannot be certified.
    case request(String)
    /// A person denied it.
    case denied
    /// The token asks for a challenge, which has not been met.
    case unproven(JoinToken.Challenge)
    /// The token has as many accounts or waiting requests as it may have.
    case tooMany(String)

    /// The reason, a sentence without a full stop, safe for a terminal.
    package var reason: String {
        switch self {
        case .token(.expired?): "the token has expired"
        case .token(.used?): "all uses of the token are spent"
        case .token(.revoked?): "the token was revoked"
        case .token: "the token is not known, or its secret is wrong"
        case .noProof: "a token or a client certificate is required"
        case .certificate(let why): "the client certificate cannot be used: \(why)"
        case .replaced(let name):
            "the client certificate is not the current one of \(name), which is locked now: it may have been stolen"
        case .renewed(let name):
            "the client certificate was renewed a moment ago; use the current one of \(name)"
        case .locked(let name):
            "\(name) is locked, because a replaced certificate tried to renew; a new token for it unlocks it"
        case .taken(let name):
            "\(name) has a valid certificate; renew with it, revoke it, or use a token made with --replace"
        case .name(let name): "\(name) is not allowed"
        case .request(let why): why
        case .denied: "the request was denied"
        case .unproven(let challenge):
            "the token asks for proof of each name, by the challenge \(challenge.rawValue) of ACME"
        case .tooMany(let what): "the token has \(what), and cannot have more"
        }
    }
}

/// What was found out about the paths of certificates from one CA: those that differ only in serial number, names and the
/// bits of their keys have the same path, unless names are constrained. It counts for a minute, because CAs expire.
package final class VerifiedPaths: Sendable {
    struct Kind: Hashable {
        var template: CertificateTemplate
        var algorithm: KeyAlgorithm?
    }

    private let verified = Mutex<[Kind: Date]>([:])

    package init() {}

    func contain(_ kind: Kind, at now: Date) -> Bool {
        guard let date = verified.withLock({ $0[kind] }) else { return false }
        return (0..<60).contains(now.timeIntervalSince(date))
    }

    func add(_ kind: Kind, at now: Date) {
        verified.withLock { verified in
            if verified.count >= 100 { verified = [:] }
            verified[kind] = now
        }
    }
}

/// What was granted and signed, and is not yet issued.
package struct SignedEnrolment: Sendable {
    fileprivate let grant: EnrolmentGrant
    fileprivate let made: Result<PreparedCertificate, any Error>
}

/// An issued certificate with its chain.
package struct EnrolledCertificate: Sendable {
    package let certificate: Certificate
    /// The CA certificates between it and the root.
    package let chain: [Certificate]
    /// Whether it had been issued before, for the same request and proof.
    package let isRepeated: Bool

    package init(certificate: Certificate, chain: [Certificate], isRepeated: Bool) {
        (self.certificate, self.chain, self.isRepeated) = (certificate, chain, isRepeated)
    }
}

extension CertificateAuthority {
    /// Makes and signs the certificate of a grant, without changing the directory.
    package func sign(
        _ grant: EnrolmentGrant, _ paths: VerifiedPaths, now: Date, using generator: inout some RandomNumberGenerator
    ) -> SignedEnrolment {
        let random = Self.random(for: grant.request, using: &generator)
        let kind = VerifiedPaths.Kind(
            template: grant.request.template, algorithm: grant.request.certificateRequest?.publicKey.algorithm)
        let isVerified = !hasNameConstraints && paths.contain(kind, at: now)
        let made = Result {
            if case .certificate(let former) = grant.proof { try checkIsBelowRoots(former, now: now) }
            return try prepare(grant.request, random, now: now, verifiesPath: !isVerified)
        }
        if case .success = made, !isVerified { paths.add(kind, at: now) }
        return SignedEnrolment(grant: grant, made: made)
    }

    /// Issues certificates in one change, each or none: a request that is refused does not keep the others back.
    ///
    /// Everything that decides is looked at once more in the transaction that adds the certificate: the token's uses, the
    /// name, the proof's place. What is returned is in the inventory and on the disk.
    package func enrol(_ signed: [SignedEnrolment], now: Date) -> [Result<EnrolledCertificate, any Error>] {
        do {
            try checkIsValid(at: now)
            return try inventory.sharedChange(now: now) { change in
                signed.map { signed in Result { try commit(signed.made, signed.grant, to: &change) } }
            }
        } catch {
            return signed.map { _ in .failure(error) }
        }
    }

    private func commit(
        _ made: Result<PreparedCertificate, any Error>, _ grant: EnrolmentGrant, to change: inout InventoryChange
    ) throws -> EnrolledCertificate {
        let digest = grant.proof.digest(of: grant.request.certificateRequest)
        if let known = try change.records.enrolled(grant.proof.key, digest) {
            return EnrolledCertificate(
                certificate: try change.records.certificate(of: known), chain: chain, isRepeated: true)
        }
        var prepared = try made.get()
        let issued = try change.attempt(at: change.now) { attempt in
            prepared.archivesExisting = try allows(grant, in: attempt)
            if case .certificate(let former) = grant.proof {
                prepared.action = .renew
                prepared.detail = "replaces \(former.serialNumber), \(grant.peer)"
            } else {
                if grant.renewsHeld { prepared.action = .renew }
                prepared.detail = "\(grant.proof.key), \(grant.peer)"
            }
            let issued = try prepared.commit(to: &attempt, checksCommonName: true)
            let fingerprint = Digest.sha256.hash(issued.certificate.derEncoded)
            try attempt.records.recordEnrolment(grant.proof.key, digest, fingerprint: fingerprint)
            if case .account(_, _, let order) = grant.proof,
                try !attempt.records.complete(order: order, fingerprint: fingerprint)
            {
                throw EnrolmentRefusal.request("the order has a certificate already")
            }
            return issued
        }
        return EnrolledCertificate(certificate: issued.certificate, chain: chain, isRepeated: false)
    }

    /// Checks the proof and the name. Returns whether files of the name go to the archive.
    private func allows(_ grant: EnrolmentGrant, in change: InventoryChange) throws -> Bool {
        let name = grant.request.name
        let current = try change.records.current(name)
        switch grant.proof {
        case .token(let identifier):
            try spend(identifier, for: grant, current, in: change)
        case .account(_, let token, _):
            let held = try current.first {
                try $0.revocation == nil && change.records.isEnrolled($0, by: grant.proof.key)
            }
            if grant.renewsHeld {
                guard let held else { throw EnrolmentRefusal.taken(name) }
                if try change.records.isLocked(name, for: held) { throw EnrolmentRefusal.locked(name) }
                guard try change.records.token(token)?.revokedAt == nil else { throw EnrolmentRefusal.token(.revoked) }
            } else {
                try spend(token, for: grant, current.filter { $0 != held }, in: change)
            }
        case .certificate(let certificate):
            guard let entry = try change.records.entry(of: certificate) else {
                throw EnrolmentRefusal.certificate("this CA did not issue it")
            }
            guard entry.name == name, entry.place == .current else {
                throw try change.records.refusal(ofReplaced: entry, now: change.now)
            }
            if try change.records.isLocked(name, for: entry) { throw EnrolmentRefusal.locked(name) }
            guard entry.revocation == nil else { throw EnrolmentRefusal.certificate("it was revoked") }
        }
        return !current.isEmpty || change.contains(AuthorityFiles.certificate(of: name))
    }

    /// Counts a use of a token for a name whose certificates are these.
    private func spend(
        _ token: String, for grant: EnrolmentGrant, _ current: [InventoryEntry], in change: InventoryChange
    ) throws {
        let name = grant.request.name
        if try change.records.isLocked(name, forToken: token) { throw EnrolmentRefusal.locked(name) }
        guard try change.records.spend(token, now: change.now) else {
            throw EnrolmentRefusal.token(try change.records.token(token)?.status(at: change.now))
        }
        if !grant.replaces, current.contains(where: { [.valid, .held].contains($0.status(at: change.now)) }) {
            throw EnrolmentRefusal.taken(name)
        }
    }
}

extension CertificateAuthority {
    /// The current CAs of the inventory that are valid. A row on a server counts only if the directory's roots are above it: who may
    /// add rows there must not be able to add a CA.
    package func trustedAuthorities(at now: Date) throws -> [Certificate] {
        let found = try inventory.authorities(at: now)
        guard !inventory.isInDirectory else { return found }
        let verifier = CertificateVerifier(anchors: roots)
        return found.filter { authority in
            roots.contains(authority) || (try? verifier.path(for: authority, intermediates: found, at: now)) != nil
        }
    }

    /// Refuses a certificate that only a row on a server says to be this CA's.
    private func checkIsBelowRoots(_ former: Certificate, now: Date) throws {
        guard !inventory.isInDirectory else { return }
        // One that has expired may still renew.
        let date = min(now, former.notAfter)
        let verifier = CertificateVerifier(anchors: roots)
        if (try? verifier.path(for: former, intermediates: [certificate] + chain, at: date)) != nil { return }
        let others = try inventory.authorities(at: now)
        guard (try? verifier.path(for: former, intermediates: others, at: date)) != nil else {
            throw EnrolmentRefusal.certificate("no CA of this server issued it")
        }
    }
}

extension Inventory {
    /// Why a certificate that was replaced does not renew.
    package func refusal(ofReplaced entry: InventoryEntry, now: Date) throws -> EnrolmentRefusal {
        try reading { try $0.refusal(ofReplaced: entry, now: now) }
    }
}

extension InventoryDatabase {
    /// How long a certificate may ask again after it has renewed, in seconds: a host's timers may overlap.
    private static let overlap: Double = 60

    fileprivate func refusal(ofReplaced entry: InventoryEntry, now: Date) throws -> EnrolmentRefusal {
        let proof = EnrolmentProof.certificate(try certificate(of: entry)).key
        let renewed = try current(entry.name).contains { successor in
            try abs(now.timeIntervalSince(successor.issuedAt)) < Self.overlap && isEnrolled(successor, by: proof)
        }
        return renewed ? .renewed(entry.name) : .replaced(entry.name)
    }
}
