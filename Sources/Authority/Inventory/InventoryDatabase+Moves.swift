// SPDX-License-Identifier: Apache-2.0

import SQLite

extension InventoryDatabase {
    /// What the last change was to do in the folder, in order.
    func moves() throws -> [FileMove] {
        var moves: [FileMove] = []
        try database.visit("SELECT stage, name, draft, replaces, copy FROM file_moves ORDER BY position") { row in
            let kind: FileMove.Kind =
                row.isNull(2) ? .remove(copy: row.text(4)) : .place(draft: row.text(2), replaces: row.integer(3) != 0)
            let stage = FileMove.Stage(rawValue: Int(row.integer(0))) ?? .removals
            moves.append(FileMove(name: row.text(1), kind: kind, stage: stage))
        }
        return moves
    }

    /// Writes down what is to be done in the folder, in place of what was done before.
    func replaceMoves(_ moves: [FileMove]) throws {
        try database.execute("DELETE FROM file_moves")
        for (position, move) in moves.enumerated() {
            var (draft, copy): (String?, String?)
            var replaces = false
            switch move.kind {
            case .place(let from, let overwrites): (draft, replaces) = (from, overwrites)
            case .remove(let other): copy = other
            }
            try database.execute(
                "INSERT INTO file_moves (position, stage, name, draft, replaces, copy) VALUES (?, ?, ?, ?, ?, ?)",
                .integer(Int64(position)),
                .integer(Int64(move.stage.rawValue)),
                .text(move.name),
                .optional(draft),
                .integer(replaces ? 1 : 0),
                .optional(copy)
            )
        }
    }

    /// What SQLite finds wrong with the file; nothing when it is whole.
    func damages() throws -> [String] {
        var damages: [String] = []
        try database.visit("PRAGMA quick_check(10)") { row in
            if row.text(0) != "ok" { damages.append(row.text(0)) }
        }
        return damages
    }

    /// The files of all certificates that are in their places.
    func certificateFiles() throws -> Set<String> {
        var files: Set<String> = []
        try database.visit("SELECT certificate_path FROM certificates WHERE place = 0") { files.insert($0.text(0)) }
        return files
    }
}
