// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Reads a command line.
///
/// The parser's set-up grows with the number of options that it is shown, so it is shown as little as possible: the options
/// of the command that the first word names, or nothing where a ``PlainCommand`` can read the words. The whole tree
/// of commands is for help, for errors, and for what is neither. `_superCommandName` in the commands' configuration tells the
/// parser that they are part of another, in which it would look for its own option that prints completion scripts.
struct CommandReader {
    private let root: any ParsableCommand.Type

    /// - Parameter root: The command of all commands.
    init(_ root: any ParsableCommand.Type) { self.root = root }

    /// The command that words ask for, after the program's name.
    ///
    /// - Throws: ``UsageError``, or the parser's errors.
    func command(_ words: [String]) throws -> any ParsableCommand {
        if words == ["--version"] { return Printing(text: root.configuration.version + "\n") }
        if words.first == CompletingShell.request, words.count > 1, let shell = CompletingShell(rawValue: words[1]) {
            return Printing(text: shell.answer(Array(words[2...]), of: root))
        }
        if let command = named(by: words) { return command }
        // The parser prints help before it looks at the command's name.
        if words.first == "help" || words.contains("--help") || words.contains("-h") {
            try CommandSuggestion.check(words, of: root)
        }
        do {
            return try root.parseAsRoot(words)
        } catch {
            // An unknown command is reported before its options are.
            try CommandSuggestion.check(words, of: root)
            throw error
        }
    }

    /// The command that the first word names, if it accepts the others.
    private func named(by words: [String]) -> (any ParsableCommand)? {
        guard let name = words.first,
            let type = root.configuration.subcommands.first(where: { $0.configuration.commandName == name })
        else { return nil }
        let rest = Array(words.dropFirst())
        if let plain = type as? any PlainCommand.Type, let command = plain.init(words: rest) { return command }
        guard let command = try? type.parseAsRoot(rest) else { return nil }
        // Not a command of the parser's own, such as help.
        let types = [type] + type.configuration.subcommands
        return types.contains { $0 == Swift.type(of: command) } ? command : nil
    }
}

/// What needs no command.
private struct Printing: ParsableCommand {
    var text = ""

    func run() throws { try Console.standard.write(exactly: text) }
}
