// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SystemSupport

/// A file with the options of a command, one a line: `host = ca.example.com`. A flag has no value. Lines that begin with `#`
/// are comments. Others must not be able to write to it: some options load code or name keys.
struct ConfigurationFile {
    private struct Setting {
        var line: Int
        /// The option, with its hyphens.
        var option: String
        /// The option with its value, as one word of a command line.
        var word: String
    }

    /// The option that names the file.
    private static let option = "--config"

    private let path: String
    private let settings: [Setting]

    init(_ path: String) throws {
        self.path = path
        if let status = FileStatus(at: path), !status.isOwnedAndUnshared {
            throw InputError(
                message: "others can change \(printable(path)): its owner is user \(status.owner), its mode "
                    + status.modeText,
                hint: "make it your own: chmod go-w \(Quoting.shell(path))")
        }
        guard let text = String(validating: try InputFile.read(path), as: UTF8.self), !text.utf8.contains(0) else {
            throw InputError(message: "\(printable(path)) is not text in UTF-8")
        }
        settings = try text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
            .compactMap { index, line in
                let line = Substring(line).trimmed
                guard !line.isEmpty, !line.hasPrefix("#") else { return nil }
                let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(\.trimmed)
                let name = parts[0]
                let isName = name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
                // The parser answers these with a text in place of a command.
                guard isName, name.utf8.count > 1, !name.hasPrefix("-"), !["config", "help", "version"].contains(name)
                else {
                    throw Self.refusal(path, index + 1, "\"\(printable(name, limit: 60))\" is not an option")
                }
                let word = parts.count == 2 ? "--\(name)=\(parts[1])" : "--\(name)"
                return Setting(line: index + 1, option: "--\(name)", word: word)
            }
    }

    private static func refusal(_ path: String, _ line: Int, _ reason: String) -> InputError {
        InputError(
            message: "line \(line) of \(printable(path)): \(reason)",
            hint: "write one option a line, without its hyphens: listen = 0.0.0.0:8443")
    }

    /// The command that a command line makes together with the file. An option on the command line takes the place of all
    /// lines with it.
    ///
    /// - Parameters:
    ///   - type: The command. It checks its options against each other only if there is no `--config`.
    ///   - words: The command line, after the command's name.
    func command<Command: ParsableCommand>(_ type: Command.Type, _ words: [String]) throws -> Command {
        for setting in settings {
            do {
                _ = try type.parse([Self.option, path, setting.word])
            } catch {
                let parsed = ParserMessage(type.message(for: error), details: "", arguments: [])
                throw Self.refusal(path, setting.line, parsed.message)
            }
        }
        var given: [String] = []
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == Self.option {
                _ = rest.popFirst()
            } else if !word.hasPrefix("\(Self.option)=") {
                given.append(word)
            }
        }
        let own = settings.filter { setting in
            !given.contains { $0 == setting.option || $0.hasPrefix("\(setting.option)=") }
        }
        return try type.parse(own.map(\.word) + given)
    }
}
