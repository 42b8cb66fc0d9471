// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import SystemSupport

/// Suggests commands for a name that is not a command.
struct CommandSuggestion {
    /// The names of all commands.
    let names: [String]

    init(of root: any ParsableCommand.Type) {
        names = root.configuration.subcommands.compactMap { $0.configuration.commandName }
    }

    /// Throws ``UsageError`` if the first word of a command line is neither an option nor a command.
    func check(_ word: String?) throws {
        guard let word, !word.hasPrefix("-"), word != "help", !names.contains(word) else { return }
        let candidates = candidates(for: word)
        throw UsageError(
            message: "unknown command \"\(printable(word))\"",
            hint: candidates.isEmpty
                ? "see pki --help" : "did you mean pki \(candidates.joined(separator: " or pki "))? See pki --help")
    }

    /// The commands that begin with a word, or else those with the smallest edit distance, if that is a third at most.
    func candidates(for word: String) -> [String] {
        let longer = names.filter { word.count >= 2 && $0.hasPrefix(word) }
        guard longer.isEmpty else { return longer }
        let distances = names.map { ($0, editDistance(word, $0)) }
        guard let least = distances.map(\.1).min(), least * 3 <= max(word.utf8.count, 3) else { return [] }
        return distances.filter { $0.1 == least }.map(\.0)
    }
}
