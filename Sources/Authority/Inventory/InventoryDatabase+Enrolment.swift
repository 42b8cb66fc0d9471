// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SQL
import SystemSupport

/// Tokens, what was issued by them, locked names, and requests that wait.
extension InventoryDatabase {
    /// Runs the body within the transaction; what it changed is undone if it throws.
    func attempt<Result>(_ body: () throws -> Result) throws -> Result {
        let before = known
        do {
            return try database.attempt(body)
        } catch {
            known = before
            throw error
        }
    }

    /// Whether the tables are there: an inventory of an earlier version, which is only read, has none.
    private var hasEnrolment: Bool { get throws { try database.schemaVersion() >= 5 } }

    // MARK: - Tokens

    private static let tokenColumns = """
        number, id, names, alternative_names, templates.name, templates.content, lifetime, uses, used, replaces, \
        needs_approval, created_at, created_by, expires_at, revoked_at, challenge
        """

    func insert(_ token: JoinToken) throws {
        try insert(token.template)
        try database.execute(
            """
            INSERT INTO tokens (id, names, alternative_names, template, lifetime, uses, used, replaces, needs_approval, \
            created_at, created_by, expires_at, challenge) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)
            """,
            .text(token.identifier), .text(token.names.map(\.description).joined(separator: "\n")),
            .text(token.alternativeNames.map(\.description).joined(separator: "\n")),
            .blob(Digest.sha256.hash(token.template.text)), .integer(Int64(token.lifetime)),
            .integer(Int64(token.uses)), .integer(token.replaces ? 1 : 0), .integer(token.needsApproval ? 1 : 0),
            .time(token.createdAt), .text(token.createdBy), .time(token.expiresAt),
            .optional(token.challenge?.rawValue))
    }

    /// The token with an identifier; `nil` if there is none.
    func token(_ identifier: String) throws -> JoinToken? {
        try tokens(where: "id = ?", [.text(identifier)]).first
    }

    /// The tokens of a condition.
    func tokens(where condition: String, _ values: [SQLValue] = []) throws -> [JoinToken] {
        guard try hasEnrolment else { return [] }
        var tokens: [JoinToken] = []
        try database.visit(
            "SELECT \(Self.tokenColumns) FROM tokens JOIN templates ON digest = template WHERE \(condition)", values
        ) { row in tokens.append(try JoinToken(row)) }
        return tokens
    }

    /// Counts a use of a token that is valid; `false` if it is not, or all its uses are spent.
    func spend(_ identifier: String, now: Date) throws -> Bool {
        try !database.query(
            """
            UPDATE tokens SET used = used + 1 \
            WHERE id = ? AND used < uses AND expires_at > ? AND revoked_at IS NULL RETURNING used
            """,
            .text(identifier), .time(now)
        ).isEmpty
    }

    func setRevoked(token identifier: String, at date: Date) throws {
        try database.execute(
            "UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", .time(date), .text(identifier))
    }

    /// Records that a token has expired, by an end that no clock can be before. Returns whether it was not recorded yet.
    func setEnded(token identifier: String, at date: Date) throws -> Bool {
        try !database.query(
            """
            UPDATE tokens SET expires_at = created_at \
            WHERE id = ? AND expires_at > created_at AND expires_at <= ? RETURNING id
            """,
            .text(identifier), .time(date)
        ).isEmpty
    }

    // MARK: - What was issued

    /// The certificate that was issued for a request by this proof; `nil` if there is none.
    func enrolled(_ proof: String, _ request: [UInt8]) throws -> InventoryEntry? {
        try entries(
            where: "id = (SELECT certificate FROM enrolments WHERE proof = ? AND request = ?)",
            [.text(proof), .blob(request)]
        ).first
    }

    /// Records what was issued. Throws `SQLError` if there was something already.
    func recordEnrolment(_ proof: String, _ request: [UInt8], fingerprint: [UInt8]) throws {
        try database.execute(
            """
            INSERT INTO enrolments (proof, request, certificate) \
            SELECT ?, ?, id FROM certificates WHERE fingerprint = ?
            """,
            .text(proof), .blob(request), .blob(fingerprint))
    }

    /// Whether a certificate was issued for a request.
    func isEnrolled(_ entry: InventoryEntry) throws -> Bool {
        try hasEnrolment
            && !database.query("SELECT 1 FROM enrolments WHERE certificate = ?", .integer(entry.id)).isEmpty
    }

    /// Whether a certificate was issued by this proof.
    func isEnrolled(_ entry: InventoryEntry, by proof: String) throws -> Bool {
        try !database.query(
            "SELECT 1 FROM enrolments WHERE certificate = ? AND proof = ?", .integer(entry.id), .text(proof)
        ).isEmpty
    }

    /// The entry of a certificate; `nil` if the inventory does not have it.
    func entry(of certificate: Certificate) throws -> InventoryEntry? {
        try entries(where: "fingerprint = ?", [.blob(Digest.sha256.hash(certificate.derEncoded))]).first
    }

    /// The entry that an issuer gave a serial number to; `nil` if there is none.
    func entry(issuerKey: [UInt8], _ serialNumber: SerialNumber) throws -> InventoryEntry? {
        try entries(where: "issuer_key = ? AND serial = ?", [.blob(issuerKey), .blob(serialNumber.stored)]).first
    }

    // MARK: - Locked names

    /// Locks a name against renewals; a lock that is there is moved to this time.
    func lock(_ name: String, because serialNumber: SerialNumber, of peer: String, at date: Date) throws {
        try database.execute(
            """
            INSERT INTO name_locks (name, at, serial, peer, last_certificate, last_token) \
            VALUES (?, ?, ?, ?, (SELECT max(id) FROM certificates), (SELECT coalesce(max(number), 0) FROM tokens)) \
            ON CONFLICT (name) DO UPDATE SET at = excluded.at, serial = excluded.serial, peer = excluded.peer, \
            last_certificate = excluded.last_certificate, last_token = excluded.last_token
            """,
            .text(name), .time(date), .blob(serialNumber.stored), .text(peer))
    }

    /// Whether a name is locked for a token that was made before.
    func isLocked(_ name: String, forToken identifier: String) throws -> Bool {
        try !database.query(
            "SELECT 1 FROM name_locks JOIN tokens ON number <= last_token WHERE name = ? AND tokens.id = ?",
            .text(name), .text(identifier)
        ).isEmpty
    }

    /// Whether a name is locked for a certificate that was issued before.
    func isLocked(_ name: String, for entry: InventoryEntry) throws -> Bool {
        try !database.query(
            "SELECT 1 FROM name_locks WHERE name = ? AND last_certificate >= ?", .text(name), .integer(entry.id)
        ).isEmpty
    }

    // MARK: - Requests that wait

    func insert(_ request: PendingRequest) throws {
        try database.execute(
            """
            INSERT INTO pending_requests (proof, request, der, name, peer, asked_at) \
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (proof, request) DO NOTHING
            """,
            .text(request.proof), .blob(Digest.sha256.hash(request.derEncoded)), .blob(request.derEncoded),
            .text(request.name), .text(request.peer), .time(request.askedAt))
    }

    /// The requests of a condition.
    func pendingRequests(where condition: String, _ values: [SQLValue] = []) throws -> [PendingRequest] {
        guard try hasEnrolment else { return [] }
        var requests: [PendingRequest] = []
        try database.visit(
            """
            SELECT id, proof, der, name, peer, asked_at, decision, decided_at, decided_by FROM pending_requests \
            WHERE \(condition)
            """, values
        ) { row in requests.append(try PendingRequest(row)) }
        return requests
    }

    func pendingCount() throws -> Int64 {
        try database.query("SELECT count(*) FROM pending_requests WHERE decision = 0").first?.first?.integer ?? 0
    }

    /// The number of requests by a token, or by accounts that were made with it, that wait.
    func pendingCount(ofToken identifier: String) throws -> Int64 {
        try database.query(
            """
            SELECT count(*) FROM pending_requests WHERE decision = 0 AND proof IN \
            (SELECT ? UNION ALL SELECT ? || id FROM acme_accounts WHERE token = ?)
            """,
            .text(EnrolmentProof.token(identifier).key), .text(EnrolmentProof.key(ofAccount: "")), .text(identifier)
        ).first?.first?.integer ?? 0
    }

    func validTokenCount(at date: Date) throws -> Int64 {
        try database.query(
            "SELECT count(*) FROM tokens WHERE used < uses AND expires_at > ? AND revoked_at IS NULL", .time(date)
        ).first?.first?.integer ?? 0
    }

    func decide(_ identifier: Int64, _ decision: PendingRequest.Decision, by who: String, at date: Date) throws {
        try database.execute(
            "UPDATE pending_requests SET decision = ?, decided_at = ?, decided_by = ? WHERE id = ?",
            .integer(decision.rawValue), .time(date), .text(who), .integer(identifier))
    }
}

extension JoinToken {
    /// Reads a row with the columns of `InventoryDatabase`.
    fileprivate init(_ row: borrowing Row) throws {
        let value = RowReader(table: "tokens", id: row.integer(0))
        func lines(_ column: Int32) -> [String] { row.text(column).split(separator: "\n").map(String.init) }
        identifier = row.text(1)
        guard (1...64).contains(identifier.utf8.count) else { throw value.damaged("id", "an identifier") }
        names = try lines(2).map { text in
            guard let pattern = try? NamePattern(text) else { throw value.damaged("names", "patterns of names") }
            return pattern
        }
        alternativeNames = try lines(3).map { text in
            guard let pattern = try? AlternativeNamePattern(text) else {
                throw value.damaged("alternative_names", "patterns of names")
            }
            return pattern
        }
        template = try CertificateTemplate(reading: row.blob(5), name: row.text(4))
        func number(_ column: Int32, _ name: String) throws -> Int {
            guard (0...1 << 40).contains(row.integer(column)) else { throw value.damaged(name, "a number") }
            return Int(row.integer(column))
        }
        lifetime = Double(try number(6, "lifetime"))
        uses = try number(7, "uses")
        used = try number(8, "used")
        replaces = row.integer(9) != 0
        needsApproval = row.integer(10) != 0
        createdAt = try value.time(row, 11, "created_at")
        createdBy = row.text(12)
        expiresAt = try value.time(row, 13, "expires_at")
        revokedAt = row.isNull(14) ? nil : try value.time(row, 14, "revoked_at")
        challenge = try row.optionalText(15).map { text in
            guard let challenge = Challenge(rawValue: text) else { throw value.damaged("challenge", "a challenge") }
            return challenge
        }
    }
}

extension PendingRequest {
    fileprivate init(_ row: borrowing Row) throws {
        let value = RowReader(table: "pending_requests", id: row.integer(0))
        guard let decision = Decision(rawValue: row.integer(6)) else { throw value.damaged("decision", "0, 1 or 2") }
        self.init(
            proof: row.text(1), derEncoded: try value.bytes(row, 2, "der", atMost: 65_536),
            name: try value.name(row.text(3), "name"), peer: row.text(4), askedAt: try value.time(row, 5, "asked_at"))
        identifier = row.integer(0)
        self.decision = decision
        decidedAt = row.isNull(7) ? nil : try value.time(row, 7, "decided_at")
        decidedBy = row.optionalText(8)
    }
}
