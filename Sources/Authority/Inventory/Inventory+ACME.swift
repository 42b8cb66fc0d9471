// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import FoundationEssentials
import SQL
import SystemSupport

extension Inventory {
    /// How many accounts a token can have besides one for each of its uses, for hosts that lost their key.
    private static let spareAccounts = 10

    /// Adds an account. Returns the one that has the same key already, if there is one.
    ///
    /// - Throws: ``EnrolmentRefusal`` if its token has too many.
    package func add(_ account: ACMEAccount, now: Date) throws -> ACMEAccount? {
        try sharedChange(now: now) { change in
            if let known = try change.records.account(thumbprint: account.thumbprint) { return known }
            let count = try change.records.accountCount(ofToken: account.token)
            guard count < (try change.records.token(account.token)?.uses ?? 0) + Self.spareAccounts else {
                throw EnrolmentRefusal.tooMany("\(count) accounts")
            }
            try change.records.insert(account)
            try change.audit(.account, nil, nil, detail: "\(account.identifier) by the token \(account.token)")
            return nil
        }
    }

    /// The account with an identifier; `nil` if there is none.
    package func account(_ identifier: String) throws -> ACMEAccount? {
        try reading { try $0.account(identifier) }
    }

    /// The account of a key; `nil` if there is none.
    package func account(thumbprint: [UInt8]) throws -> ACMEAccount? {
        try reading { try $0.account(thumbprint: thumbprint) }
    }

    /// Changes contacts and, once, the end of an account.
    package func update(_ account: ACMEAccount, now: Date) throws {
        try sharedChange(now: now) { change in
            guard let former = try change.records.account(account.identifier), former.deactivatedAt == nil else {
                return
            }
            try change.records.update(account)
            if account.deactivatedAt != nil {
                try change.audit(.account, nil, nil, detail: "\(account.identifier) was deactivated")
            }
        }
    }

    /// Gives an account another key. Returns the account that has this key, if there is one; then nothing is changed.
    package func changeKey(
        of account: ACMEAccount, to key: PublicKey, thumbprint: [UInt8], now: Date
    ) throws -> ACMEAccount? {
        try sharedChange(now: now) { change in
            if let known = try change.records.account(thumbprint: thumbprint) { return known }
            try change.records.setKey(of: account.identifier, from: account.thumbprint, to: key, thumbprint: thumbprint)
            try change.audit(.account, nil, nil, detail: "\(account.identifier) has another key")
            return nil
        }
    }

    /// Whether a certificate was issued to an account.
    package func isEnrolled(_ entry: InventoryEntry, by account: ACMEAccount) throws -> Bool {
        try reading { try $0.isEnrolled(entry, by: EnrolmentProof.key(ofAccount: account.identifier)) }
    }

    /// Adds an order; `false` if the account has as many open ones as it may. Its expired ones without a certificate are
    /// deleted.
    package func add(_ order: ACMEOrder, limit: Int, now: Date) throws -> Bool {
        try sharedChange(now: now) { change in
            try change.records.deleteExpiredOrders(of: order.account, at: now)
            guard try change.records.openOrderCount(of: order.account) < limit else { return false }
            try change.records.insert(order)
            return true
        }
    }

    /// The order with an identifier; `nil` if there is none.
    package func order(_ identifier: String) throws -> ACMEOrder? {
        try reading { try $0.orders(where: "id = ?", [.text(identifier)]).first }
    }

    /// The newest orders of an account.
    package func orders(of account: ACMEAccount, limit: Int) throws -> [ACMEOrder] {
        try reading {
            try $0.orders(
                where: "account = ? ORDER BY number DESC LIMIT ?",
                [.text(account.identifier), .integer(Int64(limit))])
        }
    }

    /// Stores what became of an order that has no certificate: the request that waits, or the problem.
    package func update(_ order: ACMEOrder, now: Date) throws {
        try sharedChange(now: now) { try $0.records.update(order) }
    }

    /// Changes a challenge that is not decided; `nil` if there is none, or nothing is changed. An order with an invalid
    /// challenge is invalid for the same reason. `detail` is for the audit, where a proof is one.
    package func changeChallenge(
        _ index: Int, of order: String, detail: String? = nil, now: Date, _ body: (inout ACMEChallenge) -> Void
    ) throws -> ACMEOrder? {
        try sharedChange(now: now) { change in
            guard var order = try change.records.orders(where: "id = ?", [.text(order)]).first,
                now < order.expiresAt, order.challenges.indices.contains(index),
                [.pending, .processing].contains(order.challenges[index].status)
            else { return nil }
            let former = order.challenges[index]
            body(&order.challenges[index])
            guard order.challenges[index] != former else { return nil }
            order.problem = order.problem ?? order.challenges[index].problem
            try change.records.update(order)
            if let detail { try change.audit(.prove, nil, nil, detail: detail) }
            return order
        }
    }

    /// The certificate of an order; `nil` if it has none.
    package func certificate(of order: ACMEOrder) throws -> Certificate? {
        guard let number = order.certificate else { return nil }
        return try reading { database in
            try database.entries(where: "id = ?", [.integer(number)]).first.map(database.certificate)
        }
    }
}

/// Accounts and orders of ACME.
extension InventoryDatabase {
    func account(_ identifier: String) throws -> ACMEAccount? { try account(where: "id", .text(identifier)) }

    func account(thumbprint: [UInt8]) throws -> ACMEAccount? { try account(where: "thumbprint", .blob(thumbprint)) }

    private func account(where column: String, _ value: SQLValue) throws -> ACMEAccount? {
        var account: ACMEAccount?
        try database.visit(
            """
            SELECT number, id, thumbprint, key, token, contacts, created_at, deactivated_at FROM acme_accounts \
            WHERE \(column) = ?
            """, [value]
        ) { row in account = try ACMEAccount(row) }
        return account
    }

    /// The number of accounts that were made with a token, deactivated ones included.
    func accountCount(ofToken identifier: String) throws -> Int64 {
        try database.query("SELECT count(*) FROM acme_accounts WHERE token = ?", .text(identifier)).first?.first?
            .integer ?? 0
    }

    func insert(_ account: ACMEAccount) throws {
        try database.execute(
            "INSERT INTO acme_accounts (id, thumbprint, key, token, contacts, created_at) VALUES (?, ?, ?, ?, ?, ?)",
            .text(account.identifier), .blob(account.thumbprint), .blob(account.key.derEncoded), .text(account.token),
            .text(account.contacts.joined(separator: "\n")), .time(account.createdAt))
    }

    func update(_ account: ACMEAccount) throws {
        try database.execute(
            "UPDATE acme_accounts SET contacts = ?, deactivated_at = ? WHERE id = ?",
            .text(account.contacts.joined(separator: "\n")), .time(account.deactivatedAt), .text(account.identifier))
    }

    func setKey(of identifier: String, from former: [UInt8], to key: PublicKey, thumbprint: [UInt8]) throws {
        try database.execute(
            "UPDATE acme_accounts SET key = ?, thumbprint = ? WHERE id = ? AND thumbprint = ?", .blob(key.derEncoded),
            .blob(thumbprint), .text(identifier), .blob(former))
    }

    func insert(_ order: ACMEOrder) throws {
        let names = order.names.map { name in
            switch name {
            case .ip(let octets): "ip:\(IPAddress.text(octets))"
            case .dns(let text): "dns:\(text)"
            default: "\(name)"
            }
        }
        try database.execute(
            "INSERT INTO acme_orders (id, account, names, challenges, expires_at, replaces) VALUES (?, ?, ?, ?, ?, ?)",
            .text(order.identifier), .text(order.account), .text(names.joined(separator: "\n")),
            .optional(Self.text(of: order.challenges)), .time(order.expiresAt), .optional(order.replaces))
    }

    func deleteExpiredOrders(of account: String, at now: Date) throws {
        try database.execute(
            "DELETE FROM acme_orders WHERE account = ? AND certificate IS NULL AND expires_at <= ?", .text(account),
            .time(now))
    }

    func openOrderCount(of account: String) throws -> Int64 {
        try database.query(
            "SELECT count(*) FROM acme_orders WHERE account = ? AND certificate IS NULL AND problem IS NULL",
            .text(account)
        ).first?.first?.integer ?? 0
    }

    func orders(where condition: String, _ values: [SQLValue] = []) throws -> [ACMEOrder] {
        var orders: [ACMEOrder] = []
        try database.visit(
            """
            SELECT number, id, account, names, expires_at, replaces, request, certificate, problem, challenges \
            FROM acme_orders WHERE \(condition)
            """, values
        ) { row in orders.append(try ACMEOrder(row)) }
        return orders
    }

    func update(_ order: ACMEOrder) throws {
        try database.execute(
            "UPDATE acme_orders SET request = ?, problem = ?, challenges = ? WHERE id = ? AND certificate IS NULL",
            order.request.map { .blob($0) } ?? .null, .optional(order.problem),
            .optional(Self.text(of: order.challenges)), .text(order.identifier))
    }

    /// One a line: status, token, time in seconds, and the problem, which is JSON on one line.
    private static func text(of challenges: [ACMEChallenge]) -> String? {
        challenges.isEmpty
            ? nil
            : challenges.map { challenge in
                let time = challenge.changedAt.map { "\(Int64($0.timeIntervalSince1970))" } ?? "-"
                return "\(challenge.status.rawValue) \(challenge.token) \(time) \(challenge.problem ?? "")"
            }.joined(separator: "\n")
    }

    /// Gives an order its certificate; `false` if it has one.
    func complete(order identifier: String, fingerprint: [UInt8]) throws -> Bool {
        try !database.query(
            """
            UPDATE acme_orders SET request = NULL, problem = NULL, \
            certificate = (SELECT id FROM certificates WHERE fingerprint = ?) \
            WHERE id = ? AND certificate IS NULL RETURNING number
            """,
            .blob(fingerprint), .text(identifier)
        ).isEmpty
    }
}

extension ACMEAccount {
    fileprivate init(_ row: borrowing Row) throws {
        let value = RowReader(table: "acme_accounts", id: row.integer(0))
        guard let key = try? PublicKey(derEncoded: try value.bytes(row, 3, "key", atMost: 4_096)) else {
            throw value.damaged("key", "a public key")
        }
        self.init(
            identifier: row.text(1), key: key, thumbprint: try value.bytes(row, 2, "thumbprint", atMost: 32),
            token: row.text(4), contacts: row.text(5).split(separator: "\n").map(String.init),
            createdAt: try value.time(row, 6, "created_at"))
        deactivatedAt = row.isNull(7) ? nil : try value.time(row, 7, "deactivated_at")
    }
}

extension ACMEOrder {
    fileprivate init(_ row: borrowing Row) throws {
        let value = RowReader(table: "acme_orders", id: row.integer(0))
        let names = try row.text(3).split(separator: "\n").map { line -> GeneralName in
            let parts = line.split(separator: ":", maxSplits: 1).map(String.init)
            let name =
                switch parts.first {
                case "dns" where parts.count == 2: try? GeneralName.dnsName(parts[1])
                case "ip" where parts.count == 2: try? GeneralName.ipAddress(parts[1])
                default: GeneralName?.none
                }
            guard let name else { throw value.damaged("names", "host names and addresses") }
            return name
        }
        self.init(
            identifier: row.text(1), account: row.text(2), names: names,
            expiresAt: try value.time(row, 4, "expires_at"), replaces: row.optionalText(5))
        request = row.isNull(6) ? nil : try value.bytes(row, 6, "request", atMost: 65_536)
        certificate = row.isNull(7) ? nil : row.integer(7)
        problem = row.optionalText(8)
        challenges = try (row.optionalText(9) ?? "").split(separator: "\n").map { line in
            guard let challenge = ACMEChallenge(stored: line) else { throw value.damaged("challenges", "challenges") }
            return challenge
        }
        guard challenges.isEmpty || challenges.count == names.count else {
            throw value.damaged("challenges", "one challenge for each name")
        }
    }
}

extension ACMEChallenge {
    /// Reads what `InventoryDatabase` wrote.
    fileprivate init?(stored line: Substring) {
        let parts = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 4, let status = Status(rawValue: String(parts[0])), !parts[1].isEmpty,
            parts[2] == "-" || Int64(parts[2]) != nil
        else { return nil }
        self.init(token: String(parts[1]))
        self.status = status
        changedAt = Int64(parts[2]).map { Date(timeIntervalSince1970: Double($0)) }
        problem = parts[3].isEmpty ? nil : String(parts[3])
    }
}
