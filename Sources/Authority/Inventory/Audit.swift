// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import FoundationEssentials
import SQL
import SystemSupport

/// A line of the audit, which is append-only.
public struct AuditRecord: Hashable, Sendable {
    /// The kinds of actions.
    public enum Action: String, Sendable, CaseIterable {
        /// A CA was created.
        case create
        /// A certificate was issued.
        case issue
        /// A certificate replaced another of the same name.
        case renew
        /// A certificate was revoked.
        case revoke
        /// A certificate was put on hold.
        case hold
        /// A certificate was released from a hold.
        case release
        /// A CRL was created.
        case revocationList = "crl"
        /// A certificate was imported from files.
        case adopt
        /// A file was found missing.
        case lose
        /// A file was restored.
        case restore
        /// A new root replaced the old one.
        case rotate
        /// The passphrase of a key was changed.
        case passphrase
        /// A join token was created.
        case token
        /// A join token was revoked.
        case revokeToken = "revoke-token"
        /// A request waits for a decision.
        case wait
        /// A request was approved.
        case approve
        /// A request was denied.
        case deny
        /// A name was locked: a replaced certificate tried to renew.
        case lock
        /// An account of ACME was made, its key was changed, or it was deactivated.
        case account
        /// A host proved its name by a challenge of ACME.
        case prove
    }

    /// The time of the action.
    public let date: Date
    /// The user.
    public let who: String
    /// The action.
    public let action: Action
    /// The name of the certificate, if any.
    public let name: String?
    /// The serial number of the certificate, if any.
    public let serialNumber: SerialNumber?
    /// Details.
    public let detail: String?
}

/// The audit is a chain: each row has the SHA-256 of all columns of the row before, so that changed, removed and
/// inserted rows are detected. Removed rows at the end are detected only by a digest that was kept elsewhere.
extension InventoryDatabase {
    private static let columns = "id, at, who, action, name, serial, detail, previous"

    func record(_ line: AuditRecord) throws {
        let last = try known?.lastAudit ?? self.lastRow()
        let (id, overflows) = (last?.id ?? 0).addingReportingOverflow(1)
        guard !overflows else { throw RowReader(table: "audit", id: id).damaged("id", "below the maximum") }
        let fields = AuditFields(id: id, line, previous: last?.digest)
        try database.execute(
            "INSERT INTO audit (\(Self.columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", .integer(id), .time(line.date),
            .text(line.who), .text(line.action.rawValue), .optional(line.name),
            line.serialNumber.map { .blob($0.stored) } ?? .null, .optional(line.detail),
            last.map { .blob($0.digest) } ?? .null)
        known?.lastAudit = (id, fields.digest)
    }

    /// The newest row and its digest; `nil` if there is none.
    private func lastRow() throws -> (id: Int64, digest: [UInt8])? {
        var last: (Int64, [UInt8])?
        try database.visit("SELECT \(Self.columns) FROM audit ORDER BY id DESC LIMIT 1") { row in
            last = (row.integer(0), AuditFields(row).digest)
        }
        return last
    }

    /// Visits the audit from its beginning.
    func visitAudit(atMost count: Int64 = .max, _ body: (AuditRecord) throws -> Void) throws {
        let statement = "SELECT id, at, who, action, name, serial, detail FROM audit ORDER BY id LIMIT ?"
        try database.visit(statement, [.integer(count)]) { row in
            let value = RowReader(table: "audit", id: row.integer(0))
            guard let action = AuditRecord.Action(rawValue: row.text(3)) else {
                throw value.damaged("action", "a known action")
            }
            try body(
                AuditRecord(
                    date: try value.time(row, 1, "at"), who: row.text(2), action: action, name: row.optionalText(4),
                    serialNumber: row.isNull(5)
                        ? nil : SerialNumber(stored: try value.bytes(row, 5, "serial", atMost: 64)),
                    detail: row.optionalText(6)))
        }
    }

    func verifyAudit(containing head: AuditChain.Head? = nil) throws -> AuditChain {
        var chain = AuditChain()
        guard try database.schemaVersion() >= 4 else {
            chain.breaks.append(.noChain)
            return chain
        }
        for name in try InventorySchema.missingTriggers(in: database).keys.sorted() {
            chain.breaks.append(.missingTrigger(name))
        }
        var before: (id: Int64, digest: [UInt8])?
        var isHeadThere = head == nil
        try database.visit("SELECT \(Self.columns) FROM audit ORDER BY id") { row in
            let fields = AuditFields(row)
            if fields.previous != before?.digest { chain.breaks.append(.row(fields.id, after: before?.id)) }
            let digest = fields.digest
            if let head, head.row == fields.id { isHeadThere = areEqual(head.digest, digest) }
            before = (fields.id, digest)
            chain.count += 1
        }
        if !isHeadThere, let head { chain.breaks.append(.missingHead(head.row)) }
        chain.head = before.map { AuditChain.Head(row: $0.id, digest: $0.digest) }
        return chain
    }

    /// Writes the digests of an audit that has none. The caller has dropped the trigger against changes.
    func chainAudit() throws {
        var rows: [AuditFields] = []
        try database.visit("SELECT \(Self.columns) FROM audit ORDER BY id") { rows.append(AuditFields($0)) }
        var previous: [UInt8]?
        for var row in rows {
            row.previous = previous
            if let previous {
                try database.execute("UPDATE audit SET previous = ? WHERE id = ?", .blob(previous), .integer(row.id))
            }
            previous = row.digest
        }
    }
}

/// The result of verifying the audit's chain of digests.
package struct AuditChain: Sendable {
    /// A row and its digest, to keep elsewhere: `17:9f86d081…`.
    package struct Head: Hashable, Sendable, CustomStringConvertible {
        package let row: Int64
        /// SHA-256 of the row.
        package let digest: [UInt8]

        init(row: Int64, digest: [UInt8]) { (self.row, self.digest) = (row, digest) }

        /// Reads what ``description`` wrote; `nil` for any other text.
        package init?(_ text: String) {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, let row = Int64(parts[0]), row > 0, parts[1].utf8.count == 64 else { return nil }
            guard let digest = octets(hexadecimal: Array(parts[1].utf8)) else { return nil }
            self.init(row: row, digest: digest)
        }

        /// The row's number, a colon and 64 hexadecimal digits.
        package var description: String { "\(row):\(hexadecimal(digest))" }
    }

    /// A place where the chain breaks.
    package enum Break: Hashable, Sendable, CustomStringConvertible {
        /// The inventory is of a version without a chain.
        case noChain
        /// A trigger that keeps rows from being changed is missing.
        case missingTrigger(String)
        /// A row does not match the one before it.
        case row(Int64, after: Int64?)
        /// The row whose digest was kept has changed or is missing.
        case missingHead(Int64)

        package var description: String {
            switch self {
            case .noChain:
                "the inventory is of a version without an audit chain; the next command that writes starts one"
            case .missingTrigger(let name): "the trigger \(name) is missing"
            case .row(let row, let before):
                (before.map { "row \(row) does not follow row \($0)" } ?? "row \(row) is not the first")
                    + ": one was changed, or a row between them was removed or added"
            case .missingHead(let row): "row \(row) is missing or does not have the digest that was kept"
            }
        }
    }

    /// The number of rows.
    package internal(set) var count = 0
    /// The newest row; `nil` if there is none.
    package internal(set) var head: Head?
    /// Empty if the chain is intact.
    package internal(set) var breaks: [Break] = []
}

extension Inventory {
    /// Verifies the audit's chain of digests. `head` is a row that must still exist with the digest that was kept.
    package func verifyAudit(containing head: AuditChain.Head? = nil) throws -> AuditChain {
        try withDatabase { try $0.verifyAudit(containing: head) }
    }
}

/// The columns of a row of the audit, as they are hashed.
private struct AuditFields {
    var id: Int64
    var at: Int64
    var texts: [[UInt8]?]
    var previous: [UInt8]?

    init(id: Int64, _ line: AuditRecord, previous: [UInt8]?) {
        self.id = id
        at = Int64(line.date.timeIntervalSince1970.rounded(.down))
        texts = [
            Array(line.who.utf8), Array(line.action.rawValue.utf8), line.name.map { Array($0.utf8) },
            line.serialNumber?.stored, line.detail.map { Array($0.utf8) },
        ]
        self.previous = previous
    }

    init(_ row: borrowing Row) {
        id = row.integer(0)
        at = row.integer(1)
        texts = []
        for column in Int32(2)...6 { texts.append(row.isNull(column) ? nil : row.blob(column)) }
        previous = row.isNull(7) ? nil : row.blob(7)
    }

    /// SHA-256 over all columns, each after its length, so that columns cannot be confused.
    var digest: [UInt8] {
        var bytes = Array("pki audit 1\n\(id) \(at)\n".utf8)
        for field in texts + [previous] {
            bytes += Array((field.map { "\($0.count):" } ?? "-").utf8)
            bytes += field ?? []
        }
        return Digest.sha256.hash(bytes)
    }
}
