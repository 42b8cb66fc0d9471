// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SQLite

extension InventoryEntry {
    /// Reads a row with the columns of ``InventoryDatabase``.
    init(_ row: borrowing Row) {
        id = row.integer(0)
        name = row.text(1)
        serialNumber = SerialNumber(magnitude: row.blob(2))
        subject = row.text(3)
        joinedAlternativeNames = row.text(4)
        profile = row.text(5)
        keyType = row.text(6)
        isCA = row.integer(7) != 0
        notBefore = row.moment(8)
        notAfter = row.moment(9)
        place = Place(rawValue: row.integer(10)) ?? .lost
        revocation = row.isNull(11) ? nil : Revocation(row, at: 11)
        issuedAt = row.moment(14)
        issuedBy = row.text(15)
        certificateFile = row.text(16)
        keyFile = row.optionalText(17)
        chainFile = row.optionalText(18)
        issuerKey = row.blob(19)
        subjectKey = row.blob(20)
        fingerprintBytes = row.blob(21)
        templateDigest = row.isNull(22) ? nil : row.blob(22)
        lifetime = row.isNull(23) ? nil : Double(row.integer(23))
    }
}

extension InventoryEntry.Revocation {
    /// Reads the three columns that tell of a revocation.
    init(_ row: borrowing Row, at column: Int32) {
        self.init(
            date: row.moment(column),
            reason: RevocationReason(rawValue: Int(row.integer(column + 1))) ?? .unspecified,
            invalidityDate: row.isNull(column + 2) ? nil : row.moment(column + 2)
        )
    }
}

extension Row {
    /// A moment in whole seconds.
    borrowing func moment(_ column: Int32) -> Date { Date(timeIntervalSince1970: Double(integer(column))) }

    /// Text, or nothing.
    borrowing func optionalText(_ column: Int32) -> String? { isNull(column) ? nil : text(column) }
}

extension SQLiteValue {
    /// A moment in whole seconds.
    static func moment(_ date: Date) -> SQLiteValue { .integer(Int64(date.timeIntervalSince1970.rounded(.down))) }

    /// A moment, or nothing.
    static func moment(_ date: Date?) -> SQLiteValue { date.map { moment($0) } ?? .null }

    /// Text, or nothing.
    static func optional(_ text: String?) -> SQLiteValue { text.map { .text($0) } ?? .null }
}

/// Says of an inventory what SQLite says of a database.
///
/// - Parameters:
///   - path: The file.
///   - body: What to try.
/// - Returns: What the body returns.
/// - Throws: ``AuthorityError`` in place of `SQLiteError`; what else the body throws as it is.
func explained<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
    do {
        return try body()
    } catch let error as SQLiteError {
        if error.isDamaged {
            throw AuthorityError(
                .broken,
                "the inventory \(path) is damaged: \(error.message)",
                remedy: "pki import reads the folder's files into a new one and keeps the old one in the archive"
            )
        }
        if error.isBusy {
            throw AuthorityError(
                .storage,
                "the inventory \(path) was in use by another program for a minute",
                remedy: "see who has it open: fuser -v \(path)"
            )
        }
        throw AuthorityError(
            .storage,
            "the inventory \(path) cannot be used: \(error.message)",
            remedy: error.isFull ? "make room on the disk and run the same command again: nothing was changed" : nil
        )
    }
}
