// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import SystemSupport

/// What was meant by a command that there is not.
struct CommandSuggestion {
    /// The names of the commands that there are.
    let names: [String]

    /// The commands of a program.
    ///
    /// - Parameter root: Its root.
    init(of root: any ParsableCommand.Type) {
        names = root.configuration.subcommands.compactMap { $0.configuration.commandName }
    }

    /// Refuses the name of a command that there is not, with those that may have been meant.
    ///
    /// - Parameter word: The first word after the program's name.
    /// - Throws: ``UsageError``.
    func check(_ word: String?) throws {
        guard let word, !word.hasPrefix("-"), word != "help", !names.contains(word) else { return }
        let meant = candidates(for: word)
        throw UsageError(
            message: "there is no command \"\(printable(word))\"",
            hint: meant.isEmpty
                ? "all commands: pki --help"
                : "is it pki \(meant.joined(separator: ", or pki "))? All commands: pki --help"
        )
    }

    /// The commands that begin with a word; otherwise those that differ from it by the fewest letters, a third at the most.
    func candidates(for word: String) -> [String] {
        let longer = names.filter { word.count >= 2 && $0.hasPrefix(word) }
        guard longer.isEmpty else { return longer }
        let distances = names.map { ($0, Self.distance(Array(word.utf8), Array($0.utf8))) }
        guard let least = distances.map(\.1).min(), least * 3 <= max(word.utf8.count, 3) else { return [] }
        return distances.filter { $0.1 == least }.map(\.0)
    }

    /// How many letters must be added, left out, exchanged or swapped with their neighbour to make one word of the other.
    static func distance(_ word: [UInt8], _ other: [UInt8]) -> Int {
        var rows = [Array(0...other.count)]
        for (row, letter) in word.enumerated() {
            var next = [row + 1]
            for (column, candidate) in other.enumerated() {
                var least = min(
                    rows[row][column + 1] + 1,
                    next[column] + 1,
                    rows[row][column] + (letter == candidate ? 0 : 1)
                )
                if row > 0, column > 0, letter == other[column - 1], word[row - 1] == candidate {
                    least = min(least, rows[row - 1][column - 1] + 1)
                }
                next.append(least)
            }
            rows.append(next)
        }
        return rows[word.count][other.count]
    }
}
