// SPDX-License-Identifier: Apache-2.0

import SQLite

extension InventoryDatabase {
    /// What the last change was to do in the directory, in order.
    ///
    /// - Throws: ``DamagedValue`` when a move leads to anything but drafts and files of the directory.
    func moves() throws -> [FileMove] {
        var moves: [FileMove] = []
        try database.visit("SELECT position, stage, name, draft, replaces, copy FROM file_moves ORDER BY position") {
            row in
            let value = RowReader(table: "file_moves", id: row.integer(0))
            guard let stage = FileMove.Stage(rawValue: Int(clamping: row.integer(1))) else {
                throw value.damaged("stage", "a stage of a change")
            }
            guard let name = try value.path(row, 2, "name") else { throw value.damaged("name", "there") }
            if let draft = row.optionalText(3) {
                guard FileMove.isDraft(draft) else { throw value.damaged("draft", "a draft of this program") }
                moves.append(
                    FileMove(name: name, kind: .place(draft: draft, replaces: row.integer(4) != 0), stage: stage)
                )
            } else {
                guard let copy = try value.path(row, 5, "copy") else { throw value.damaged("copy", "there") }
                moves.append(FileMove(name: name, kind: .remove(copy: copy), stage: stage))
            }
        }
        return moves
    }

    /// Writes down what is to be done in the directory, in place of what was done before.
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
        try visit(where: "place = 0") { files.insert($0.certificateFile) }
        return files
    }
}
