// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SQL
import SystemSupport

extension InventoryEntry {
    /// Reads a row with the columns of ``InventoryDatabase``.
    init(_ row: borrowing Row) throws(DamagedValue) {
        id = row.integer(0)
        let value = RowReader(table: "certificates", id: id)
        name = try value.name(row.text(1), "name")
        serialNumber = SerialNumber(stored: try value.bytes(row, 2, "serial", atMost: 64))
        subject = row.text(3)
        joinedAlternativeNames = row.text(4)
        profile = row.text(5)
        keyType = row.text(6)
        isCA = row.integer(7) != 0
        notBefore = try value.time(row, 8, "not_before")
        notAfter = try value.time(row, 9, "not_after")
        guard let place = Place(rawValue: row.integer(10)) else { throw value.damaged("place", "0, 1 or 2") }
        self.place = place
        revocation = row.isNull(11) ? nil : try Revocation(row, at: 11, value)
        issuedAt = try value.time(row, 14, "issued_at")
        issuedBy = row.text(15)
        let file = row.text(16)
        // A lost certificate has no file.
        guard file.isEmpty && place == .lost || AuthorityFiles.isPath(file) && !AuthorityFiles.isKeyPath(file) else {
            throw value.damaged("certificate_path", "a file of this directory")
        }
        certificateFile = file
        keyFile = try value.path(row, 17, "key_path", orAddress: true)
        chainFile = try value.path(row, 18, "chain_path")
        if let chainFile, AuthorityFiles.isKeyPath(chainFile) {
            throw value.damaged("chain_path", "a file of certificates")
        }
        issuerKey = try value.bytes(row, 19, "issuer_key", atMost: 64)
        subjectKey = try value.bytes(row, 20, "subject_key", atMost: 64)
        fingerprintBytes = try value.bytes(row, 21, "fingerprint", atMost: 64)
        templateDigest = row.isNull(22) ? nil : try value.bytes(row, 22, "template", atMost: 64)
        guard row.isNull(23) || (0...1 << 40).contains(row.integer(23)) else {
            throw value.damaged("lifetime", "a number of seconds")
        }
        lifetime = row.isNull(23) ? nil : Double(row.integer(23))
    }
}

extension InventoryEntry.Revocation {
    /// Reads the three columns of a revocation.
    init(_ row: borrowing Row, at column: Int32, _ value: RowReader) throws(DamagedValue) {
        guard let reason = RevocationReason(rawValue: Int(clamping: row.integer(column + 1))) else {
            throw value.damaged("revocation_reason", "a reason of RFC 5280")
        }
        self.init(
            date: try value.time(row, column, "revoked_at"), reason: reason,
            invalidityDate: row.isNull(column + 2) ? nil : try value.time(row, column + 2, "invalid_since"))
    }
}

/// A value in the inventory that is not allowed.
struct DamagedValue: Error {
    let message: String
}

/// Reads the values of one row and checks them.
struct RowReader {
    var table: String
    var id: Int64

    func damaged(_ column: String, _ wanted: String) -> DamagedValue {
        DamagedValue(message: "the column \(column) of row \(id) of the table \(table) is not \(wanted)")
    }

    func time(_ row: borrowing Row, _ column: Int32, _ name: String) throws(DamagedValue) -> Date {
        Date(timeIntervalSince1970: Double(try seconds(row, column, name)))
    }

    /// Seconds since 1970, up to the year 9999.
    func seconds(_ row: borrowing Row, _ column: Int32, _ name: String) throws(DamagedValue) -> Int64 {
        let seconds = row.integer(column)
        guard CivilTime.range.contains(Int(seconds)), !row.isNull(column) else { throw damaged(name, "a time") }
        return seconds
    }

    /// The name of a certificate.
    func name(_ text: String, _ column: String) throws(DamagedValue) -> String {
        guard AuthorityFiles.isPath(text), !text.hasPrefix("\(CADirectory.archiveDirectory)/") else {
            throw damaged(column, "allowed in file names")
        }
        return text
    }

    /// The path of a file of the directory; `nil` for NULL.
    func path(
        _ row: borrowing Row, _ column: Int32, _ name: String, orAddress: Bool = false
    ) throws(DamagedValue) -> String? {
        guard !row.isNull(column) else { return nil }
        let text = row.text(column)
        guard AuthorityFiles.isPath(text) || orAddress && AuthorityFiles.isLastingAddress(text) else {
            throw damaged(
                name, orAddress ? "a file of this directory or the address of a key" : "a file of this directory")
        }
        return text
    }

    func bytes(_ row: borrowing Row, _ column: Int32, _ name: String, atMost count: Int) throws(DamagedValue) -> [UInt8]
    {
        let bytes = row.blob(column)
        guard bytes.count <= count else { throw damaged(name, "of at most \(count) bytes") }
        return bytes
    }
}

extension Row {
    borrowing func optionalText(_ column: Int32) -> String? { isNull(column) ? nil : text(column) }
}

extension SQLValue {
    /// Whole seconds.
    static func time(_ date: Date) -> SQLValue { .integer(Int64(date.timeIntervalSince1970.rounded(.down))) }

    static func time(_ date: Date?) -> SQLValue { date.map { time($0) } ?? .null }

    static func optional(_ text: String?) -> SQLValue { text.map { .text($0) } ?? .null }
}

/// Throws errors of SQLite as those of an inventory.
func explained<Result>(
    _ path: String, isServer: Bool = false, _ body: () throws -> Result
) throws -> Result {
    do {
        return try body()
    } catch let error as FileError {
        throw AuthorityError(error)
    } catch let error as DamagedValue {
        throw damagedInventory(path, error.message)
    } catch let error as SQLError {
        if isServer { throw AuthorityError(error, of: path) }
        if error.isDamaged { throw damagedInventory(path, error.message) }
        if error.isBusy {
            throw AuthorityError(
                .storage, "another program has used the inventory \(path) for a minute",
                hint: "find the program: fuser -v \(Quoting.shell(path))")
        }
        throw AuthorityError(
            .storage, "the inventory \(path) cannot be used: \(error.message)",
            hint: error.isFull ? "free disk space and run the command again; nothing was changed" : nil)
    }
}

extension AuthorityError {
    /// What a server of PostgreSQL says.
    fileprivate init(_ error: SQLError, of server: String) {
        switch error.kind {
        case .busy:
            self.init(.unreachable, "the inventory \(server) is busy: \(error.message)")
        case .unreachable:
            self.init(
                .unreachable, "the inventory \(server) cannot be reached: \(error.message)",
                hint: error.message.contains("root certificate file")
                    ? "name the CA of the server's certificate in the URL: sslrootcert=FILE" : nil)
        case .denied:
            self.init(
                .denied, "the inventory \(server) is denied: \(error.message)",
                hint: !error.message.hasPrefix("permission denied for")
                    ? "the password is read from PGPASSFILE, or ~/.pgpass with mode 0600"
                    : "a login has the rights of its role: GRANT pki_server (or pki_admin, pki_reader) TO the login")
        case .damaged, .full, .duplicate, .other:
            self.init(.storage, "the inventory \(server) cannot be used: \(error.message)")
        }
    }
}

func damagedInventory(_ path: String, _ why: String) -> AuthorityError {
    AuthorityError(
        .broken, "the inventory \(path) is damaged: \(why)",
        hint: "archive it and create another from the files: pki import DIRECTORY")
}
