// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SQL
import SystemSupport

extension InventoryDatabase {
    /// The file moves of the last change, in order.
    func moves() throws -> [FileMove] {
        var moves: [FileMove] = []
        try database.visit("SELECT position, stage, name, draft, replaces, copy FROM file_moves ORDER BY position") {
            row in
            let value = RowReader(table: "file_moves", id: row.integer(0))
            guard let stage = FileMove.Stage(rawValue: Int(clamping: row.integer(1))) else {
                throw value.damaged("stage", "0 to 3")
            }
            guard let name = try value.path(row, 2, "name") else { throw value.damaged("name", "a path") }
            if let draft = row.optionalText(3) {
                guard FileMove.isDraft(draft) else { throw value.damaged("draft", "the path of a draft") }
                moves.append(
                    FileMove(name: name, kind: .place(draft: draft, replaces: row.integer(4) != 0), stage: stage))
            } else {
                guard let copy = try value.path(row, 5, "copy") else { throw value.damaged("copy", "a path") }
                moves.append(FileMove(name: name, kind: .remove(copy: copy), stage: stage))
            }
        }
        return moves
    }

    func replaceMoves(_ moves: [FileMove]) throws {
        try database.execute("DELETE FROM file_moves")
        for (position, move) in moves.enumerated() {
            let (draft, replaces, copy): (String?, Bool, String?) =
                switch move.kind {
                case .place(let draft, let replaces): (draft, replaces, nil)
                case .remove(let copy): (nil, false, copy)
                }
            try database.execute(
                "INSERT INTO file_moves (position, stage, name, draft, replaces, copy) VALUES (?, ?, ?, ?, ?, ?)",
                .integer(Int64(position)), .integer(Int64(move.stage.rawValue)), .text(move.name), .optional(draft),
                .integer(replaces ? 1 : 0), .optional(copy))
        }
    }

    /// The results of SQLite's check of the file; empty if it is intact.
    func damages() throws -> [String] {
        var damages: [String] = []
        try database.visit("PRAGMA quick_check(10)") { row in
            if row.text(0) != "ok" { damages.append(row.text(0)) }
        }
        return damages
    }

    /// The files of all current certificates.
    func certificateFiles() throws -> Set<String> {
        var files: Set<String> = []
        try visit(where: "place = 0") { files.insert($0.certificateFile) }
        return files
    }
}

extension InventoryDatabase {
    /// An issuer's last CRL.
    func lastRevocationList(issuerKey: [UInt8]) throws -> (number: Int64, thisUpdate: Date, nextUpdate: Date)? {
        var last: (Int64, Date, Date)?
        try database.visit(
            """
            SELECT id, number, this_update, next_update FROM revocation_lists WHERE issuer_key = ? \
            ORDER BY number DESC LIMIT 1
            """,
            [.blob(issuerKey)]
        ) { row in
            let value = RowReader(table: "revocation_lists", id: row.integer(0))
            // The number of the next CRL must fit too.
            guard (0..<Int64.max).contains(row.integer(1)) else { throw value.damaged("number", "a number of a CRL") }
            last = (row.integer(1), try value.time(row, 2, "this_update"), try value.time(row, 3, "next_update"))
        }
        return last
    }

    /// The number that the next CRL must be above. Where the inventory was made from files and no CRL was found, or was
    /// restored from a backup after the last CRL, earlier numbers are not known: then the time in seconds, which is above
    /// what any counter reached.
    func lastUsedNumber(_ last: (number: Int64, thisUpdate: Date)?, now: Date) throws -> Int64 {
        if let last {
            guard let restored = try lastRestore(), restored.date >= last.thisUpdate else { return last.number }
            return max(last.number, Int64(now.timeIntervalSince1970))
        }
        let isAdopted = try !database.query("SELECT 1 FROM audit WHERE action = 'adopt' LIMIT 1").isEmpty
        return try isAdopted || lastRestore() != nil ? Int64(now.timeIntervalSince1970) : 0
    }

    /// The last restoration of the whole inventory from a backup; `nil` if there was none.
    func lastRestore() throws -> (date: Date, detail: String)? {
        var last: (Date, String)?
        try database.visit(
            "SELECT id, at, detail FROM audit WHERE action = 'restore' AND name IS NULL ORDER BY id DESC LIMIT 1"
        ) { row in
            last = (try RowReader(table: "audit", id: row.integer(0)).time(row, 1, "at"), row.text(2))
        }
        return last
    }

    /// Writes down that a list was made.
    func insertRevocationList(
        issuerKey: [UInt8], number: Int64, thisUpdate: Date, nextUpdate: Date, entries: Int, encoded: [UInt8]? = nil
    ) throws {
        try database.execute(
            """
            INSERT INTO revocation_lists (issuer_key, number, this_update, next_update, entries, der) \
            VALUES (?, ?, ?, ?, ?, ?)
            """, .blob(issuerKey), .integer(number), .time(thisUpdate), .time(nextUpdate), .integer(Int64(entries)),
            encoded.map { .blob($0) } ?? .null)
        guard encoded != nil else { return }
        try database.execute(
            "UPDATE revocation_lists SET der = NULL WHERE issuer_key = ? AND number < ? AND der IS NOT NULL",
            .blob(issuerKey), .integer(number))
    }

    /// The newest CRL of an issuer, if the inventory has it.
    func encodedRevocationList(issuerKey: [UInt8]) throws -> (number: Int64, encoded: [UInt8])? {
        let row = try database.query(
            "SELECT number, der FROM revocation_lists WHERE issuer_key = ? AND der IS NOT NULL ORDER BY number DESC LIMIT 1",
            .blob(issuerKey)
        ).first
        guard let number = row?[0].integer, let encoded = row?[1].blob else { return nil }
        return (number, encoded)
    }

    /// The number of certificates in a CRL.
    func entryCount(ofList number: Int64, issuerKey: [UInt8]) throws -> Int {
        let row = try database.query(
            "SELECT entries FROM revocation_lists WHERE issuer_key = ? AND number = ?", .blob(issuerKey),
            .integer(number)
        ).first
        return Int(row?.first?.integer ?? 0)
    }

    func lastRevocation(issuerKey: [UInt8]) throws -> Date? {
        let row = try database.query(
            "SELECT MAX(revoked_at) FROM certificates WHERE issuer_key = ? AND revoked_at IS NOT NULL", .blob(issuerKey)
        ).first
        guard let seconds = row?.first?.integer else { return nil }
        guard CivilTime.range.contains(Int(seconds)) else {
            throw RowReader(table: "certificates", id: 0).damaged("revoked_at", "a time")
        }
        return Date(timeIntervalSince1970: Double(seconds))
    }
}

extension InventoryDatabase {
    func contains(fingerprint: [UInt8]) throws -> Bool {
        try !database.query("SELECT 1 FROM certificates WHERE fingerprint = ?", .blob(fingerprint)).isEmpty
    }

    func contains(serialNumber: SerialNumber, of issuerKey: [UInt8]) throws -> Bool {
        try !database.query(
            "SELECT 1 FROM certificates WHERE issuer_key = ? AND serial = ?", .blob(issuerKey),
            .blob(serialNumber.stored)
        ).isEmpty
    }
}
