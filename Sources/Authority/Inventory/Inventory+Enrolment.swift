// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import FoundationEssentials
import PostgreSQL
import SQL
import Synchronization
import SystemSupport

/// How a client proves that it may have a certificate.
package enum EnrolmentProof: Hashable, Sendable {
    /// A join token whose secret the client has.
    case token(String)
    /// A certificate whose key the client has.
    case certificate(Certificate)
    /// An account whose key the client has, which was made with a token, and one of its orders.
    case account(String, token: String, order: String)

    /// The proof in the inventory: `token:` and the identifier, `certificate:` and the SHA-256 in hexadecimal, or
    /// `account:` and the identifier.
    package var key: String {
        switch self {
        case .token(let identifier): "token:\(identifier)"
        case .certificate(let certificate): "certificate:\(certificate.fingerprint)"
        case .account(let identifier, _, _): Self.key(ofAccount: identifier)
        }
    }

    static func key(ofAccount identifier: String) -> String { "account:\(identifier)" }

    /// What identifies a request of this proof. A client that keeps its RSA key makes the same request for each order of
    /// an account, and wants a new certificate.
    func digest(of request: CertificateRequest?) -> [UInt8] {
        let encoded = request?.derEncoded ?? []
        return if case .account(_, _, let order) = self {
            Digest.sha256.hash(Array(order.utf8) + encoded)
        } else {
            Digest.sha256.hash(encoded)
        }
    }
}

/// A request that waits until a person approves it.
package struct PendingRequest: Hashable, Sendable, Identifiable {
    /// What a person decided.
    package enum Decision: Int64, Sendable {
        case none, approved, denied
    }

    /// The number, for `pki approve`; 0 until it is stored.
    package var identifier: Int64 = 0
    package var id: Int64 { identifier }
    /// See ``EnrolmentProof/key``.
    package var proof: String
    /// The certificate request.
    package var derEncoded: [UInt8]
    /// The name that the certificate would have.
    package var name: String
    /// Who asked: protocol and address.
    package var peer: String
    package var askedAt: Date
    package var decision = Decision.none
    package var decidedAt: Date?
    package var decidedBy: String?

    package init(proof: String, derEncoded: [UInt8], name: String, peer: String, askedAt: Date) {
        self.proof = proof
        self.derEncoded = derEncoded
        self.name = name
        self.peer = peer
        self.askedAt = askedAt
    }
}

extension Inventory {
    /// Adds a token.
    package func add(_ token: JoinToken, now: Date) throws {
        try change(now: now) { change in
            try change.records.insert(token)
            try change.audit(
                .token, nil, nil,
                detail: "\(token.identifier) for \(token.names.map(\.description).joined(separator: " ")), "
                    + "\(token.uses) uses until \(timestamp(token.expiresAt))")
        }
    }

    /// The token with an identifier; `nil` if there is none.
    package func token(_ identifier: String) throws -> JoinToken? { try reading { try $0.token(identifier) } }

    /// Every token, the newest first.
    package func tokens() throws -> [JoinToken] {
        try reading { try $0.tokens(where: "1 = 1 ORDER BY created_at DESC, id") }
    }

    /// Revokes a token; `false` if it was revoked before. Certificates that were issued by it stay valid.
    package func revoke(_ token: JoinToken, now: Date) throws -> Bool {
        try change(now: now) { change in
            guard try change.records.token(token.identifier)?.revokedAt == nil else { return false }
            try change.records.setRevoked(token: token.identifier, at: now)
            try change.audit(.revokeToken, nil, nil, detail: token.identifier)
            return true
        }
    }

    /// The status of a token that is about to be used. One that has expired is recorded as such: it stays expired when the
    /// clock goes back.
    package func useStatus(of token: JoinToken, now: Date) throws -> JoinToken.Status {
        let status = token.status(at: now)
        if status == .expired, !token.hasEnded {
            try change(now: now) { change in
                if try change.records.setEnded(token: token.identifier, at: now) {
                    try change.audit(.revokeToken, nil, nil, detail: "\(token.identifier), which has expired")
                }
            }
        }
        return status
    }

    /// The entry of a certificate; `nil` if the inventory does not have it.
    package func entry(of certificate: Certificate) throws -> InventoryEntry? {
        try reading { try $0.entry(of: certificate) }
    }

    /// Whether a certificate is revoked or on hold.
    package func isRevoked(_ certificate: Certificate) throws -> Bool { try entry(of: certificate)?.revocation != nil }

    /// The entry that the issuer with a key gave a serial number to; `nil` if there is none.
    package func entry(issuerKey: [UInt8], _ serialNumber: SerialNumber) throws -> InventoryEntry? {
        try reading { try $0.entry(issuerKey: issuerKey, serialNumber) }
    }

    /// The certificate that was issued for a request by this proof; `nil` if there is none.
    package func certificate(enrolledBy proof: EnrolmentProof, for request: CertificateRequest) throws -> Certificate? {
        try reading { database in
            try database.enrolled(proof.key, proof.digest(of: request)).map(database.certificate)
        }
    }

    /// Whether a certificate was issued for a request over the network.
    package func isEnrolled(_ entry: InventoryEntry) throws -> Bool { try reading { try $0.isEnrolled(entry) } }

    /// The current entry of a name; `nil` if there is none.
    package func current(_ name: String) throws -> InventoryEntry? {
        try reading { try $0.current(name).first }
    }

    /// Locks the name of a replaced certificate that tried to renew: it may be stolen, or the current one is. `false` if it had
    /// locked the name before: what came later is not locked again by it.
    package func lock(_ entry: InventoryEntry, of peer: String, now: Date) throws -> Bool {
        try change(now: now) { change in
            guard try !change.records.isLocked(entry.name, for: entry) else { return false }
            try change.records.lock(entry.name, because: entry.serialNumber, of: peer, at: now)
            try change.audit(.lock, entry.name, entry.serialNumber, detail: "a replaced certificate asked, \(peer)")
            return true
        }
    }

    /// Keeps a request until a person decides. A request that was kept before is returned with its decision.
    ///
    /// - Throws: ``EnrolmentRefusal`` if as many requests of the token wait as it has uses left.
    package func keep(_ request: PendingRequest, of token: JoinToken, now: Date) throws -> PendingRequest {
        if let known = try pendingRequest(proof: request.proof, derEncoded: request.derEncoded) { return known }
        return try change(now: now) { change in
            let count = try change.records.pendingCount(ofToken: token.identifier)
            let left = try change.records.token(token.identifier).map { $0.uses - $0.used } ?? 0
            guard count < max(1, left) else {
                throw EnrolmentRefusal.tooMany("\(count) \(count == 1 ? "request" : "requests") waiting for approval")
            }
            try change.records.insert(request)
            try change.audit(.wait, request.name, nil, detail: request.peer)
            return try change.records.pendingRequests(
                where: "proof = ? AND request = ?",
                [.text(request.proof), .blob(Digest.sha256.hash(request.derEncoded))])[0]
        }
    }

    private func pendingRequest(proof: String, derEncoded: [UInt8]) throws -> PendingRequest? {
        try reading {
            try $0.pendingRequests(
                where: "proof = ? AND request = ?", [.text(proof), .blob(Digest.sha256.hash(derEncoded))]
            ).first
        }
    }

    /// The requests that wait for a decision, the oldest first.
    package func pendingRequests() throws -> [PendingRequest] {
        try reading { try $0.pendingRequests(where: "decision = 0 ORDER BY id") }
    }

    /// Approves or denies a request; `nil` if no request with this number waits.
    package func decide(
        _ identifier: Int64, _ decision: PendingRequest.Decision, now: Date
    ) throws -> PendingRequest? {
        try change(now: now) { change in
            let found = try change.records.pendingRequests(
                where: "id = ? AND decision = 0", [.integer(identifier)]
            ).first
            guard let found else { return nil }
            try change.records.decide(identifier, decision, by: change.who, at: now)
            try change.audit(decision == .approved ? .approve : .deny, found.name, nil, detail: found.peer)
            return found
        }
    }
}

extension Inventory {
    /// The certificate of the root, by whose fingerprint hosts know the CA. Without a root in the directory, the highest CA.
    package func rootCertificate(at now: Date) throws -> Certificate {
        if directory.contains(AuthorityFiles.certificate(of: CertificateAuthority.rootName)) {
            return try CertificateAuthority.certificate(of: CertificateAuthority.rootName, in: directory)
        }
        var query = InventoryQuery(at: now)
        query.isCA = true
        guard let highest = try entries(query).max(by: { $0.notAfter < $1.notAfter }) else {
            throw AuthorityError.noAuthority(in: directoryPath, "it has no CA certificate")
        }
        return try certificate(of: highest)
    }

    /// The certificates of the directory's current CAs that are valid and not revoked.
    package func authorities(at now: Date) throws -> [Certificate] {
        var query = InventoryQuery(at: now)
        query.isCA = true
        return try entries(query).filter { $0.status(at: now) == .valid }.map(certificate)
    }

    static let tokenKeyFile = "token-key"

    /// The key from which the secrets of tokens are derived: 32 octets in the file `token-key` of the directory. `nil` if
    /// no token was made yet.
    package func tokenKey() throws -> [UInt8]? {
        let key = try tokenKeyInDirectory()
        if !isInDirectory {
            try reading { try $0.check(tokenKey: key, at: directory.path(of: Self.tokenKeyFile)) }
        }
        return key
    }

    private func tokenKeyInDirectory() throws -> [UInt8]? {
        guard directory.contains(Self.tokenKeyFile) else { return nil }
        let file = try directory.read(Self.tokenKeyFile, isPrivate: true)
        let line = unsafe file.withUnsafeBytes { unsafe Array($0.prefix { $0 != 0x0a }) }
        guard line.count == 64, let key = octets(hexadecimal: line) else {
            throw AuthorityError(
                .broken, "\(directory.path(of: Self.tokenKeyFile)) does not have 64 hexadecimal digits",
                hint: "restore the file; without it every token must be made again")
        }
        return key
    }

    /// The same key; made from these octets if there is none.
    package func tokenKey(orMaking key: [UInt8], now: Date) throws -> [UInt8] {
        guard isInDirectory else { return try sharedTokenKey(orMaking: key, now: now) }
        if let key = try tokenKey() { return key }
        let contents = SecretBytes(Array((hexadecimal(key) + "\n").utf8))
        return try change(now: now) { change in
            // Another process may have made it meanwhile.
            if let key = try tokenKey() { return key }
            try change.add(.init(name: Self.tokenKeyFile, contents: contents, mode: 0o600))
            return key
        }
    }

    private func sharedTokenKey(orMaking new: [UInt8], now: Date) throws -> [UInt8] {
        let path = directory.path(of: Self.tokenKeyFile)
        return try directory.withLock {
            let known = try tokenKey()
            let key = known ?? new
            if known == nil {
                try rethrown { () throws(FileError) in
                    try NewFile.write(
                        Self.tokenKeyFile, in: directory.directory, SecretBytes(Array((hexadecimal(key) + "\n").utf8)),
                        mode: 0o600, replacing: .never)
                }
            }
            do {
                // Another machine may have made one meanwhile.
                try change(now: now) { change in
                    try change.records.record(tokenKey: key)
                    try change.records.check(tokenKey: key, at: path)
                }
            } catch let error as AuthorityError where known == nil && error.code == .broken {
                directory.directory.removeUnlocked(Self.tokenKeyFile)
                throw error
            }
            return key
        }
    }
}

extension Inventory {
    /// Checks that the inventory can be read and the CA can issue; a load balancer asks for it.
    package func checkCanIssue(_ authority: CertificateAuthority, now: Date) throws {
        if let start = changingSince.withLock(\.self), start.duration(to: .now) > .seconds(10) {
            throw AuthorityError(.unreachable, "the inventory \(place) has not answered for 10 seconds")
        }
        try reading { database in
            try (database.database as? Server)?.checkIsWritable()
            try database.refuseRevokedAuthority(withKey: authority.certificate.publicKey.digest)
        }
        _ = try tokenKey()
        try authority.checkIsValid(at: now)
    }

    /// The numbers that a monitor wants besides the counters of a server. None takes longer in a large inventory.
    package func enrolmentGauges(at now: Date, of issuer: Certificate) throws -> [(name: String, value: Double)] {
        try reading { database in
            var gauges = [
                ("pki_requests_pending", Double(try database.pendingCount())),
                ("pki_tokens_valid", Double(try database.validTokenCount(at: now))),
                ("pki_ca_expiry_seconds", issuer.notAfter.timeIntervalSince(now)),
            ]
            if let list = try database.lastRevocationList(issuerKey: issuer.publicKey.digest) {
                gauges.append(("pki_crl_age_seconds", now.timeIntervalSince(list.thisUpdate)))
                gauges.append(("pki_crl_number", Double(list.number)))
                let count = try database.entryCount(ofList: list.number, issuerKey: issuer.publicKey.digest)
                gauges.append(("pki_crl_entries", Double(count)))
            }
            return gauges.map { (name: $0.0, value: $0.1) }
        }
    }
}
