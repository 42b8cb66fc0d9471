// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Delivery

/// Reads a command line.
///
/// The parser's set-up grows with the number of options that it is shown, so it is shown as little as possible: the options
/// of the command that the first word names, or nothing where ``CredsCommand/init(words:)`` can read the words. The whole tree
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
        if words == ["--version"] { return VersionLine(text: root.configuration.version) }
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
        if type == CredsCommand.self, let command = CredsCommand(words: rest) { return command }
        guard let command = try? type.parseAsRoot(rest) else { return nil }
        // Not a command of the parser's own, such as help.
        let types = [type] + type.configuration.subcommands
        return types.contains { $0 == Swift.type(of: command) } ? command : nil
    }
}

/// What `--version` asks for.
private struct VersionLine: ParsableCommand {
    var text = ""

    func run() throws { try Console.standard.write(text + "\n") }
}

extension CredsCommand {
    /// Reads a command line of what a profile can hold and of `--profile`, `--cache` and `--format`, which is what programs ask
    /// again and again.
    ///
    /// - Parameter words: Those after `creds`. The result is `nil` if they have anything else, or anything wrong, for the
    ///   parser to find.
    init?(words: [String]) {
        self.init()
        (profile, access, cache, quiet) = (ProfileOption(), .none, CacheOption(), QuietOption())
        (profile.profile, cache.cache, quiet.quiet, format) = (nil, false, false, .process)
        let settings = ProfileSetting.all
        var seen: [Substring] = []
        var rest = words[...]
        while let word = rest.popFirst() {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let option = parts[0]
            guard !seen.contains(option) else { return nil }
            seen.append(option)
            let setting = settings.first { $0.option == option }
            if option == "--cache" || setting?.isFlag == true {
                guard parts.count == 1 else { return nil }
                if let setting { try? setting.fill("true", into: &access) } else { cache.cache = true }
                continue
            }
            guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst(), !value.isEmpty,
                !value.hasPrefix("-")
            else {
                return nil
            }
            if option == "--profile" {
                profile.profile = value
            } else if option == "--format", let named = CredentialsFormat(rawValue: value) {
                format = named
            } else {
                guard let setting, (try? setting.fill(value, into: &access)) != nil else { return nil }
            }
        }
        guard (try? access.identity.validate()) != nil, (try? access.network.validate()) != nil else { return nil }
    }
}
