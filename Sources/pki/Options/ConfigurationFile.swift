// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SystemSupport

/// A file with the options of a command, one a line: `host = ca.example.com`. A flag has no value. Lines that begin with `#`
/// are comments. Others must not be able to write to it: some options load code or name keys.
///
/// Messages repeat nothing of the file but the names of options: it may be another file than was meant, with secrets.
struct ConfigurationFile {
    private struct Setting {
        var line: Int
        /// The beginning of the line, which may be the name of an option.
        var name: Substring
        /// What comes after it and before `=`: nothing, if the line is right.
        var rest: Substring
        /// `nil` for a line without `=`.
        var value: String?

        /// The option, with its hyphens.
        var option: String { "--\(name)" }
        /// The option with its value, as one word of a command line.
        var word: String { value.map { "\(option)=\($0)" } ?? option }
    }

    /// The option that names the file.
    private static let option = "--config"

    private let path: String
    private let settings: [Setting]

    init(_ path: String) throws {
        self.path = path
        let bytes = unsafe try FileContents(of: path, .ownerWrites).bytes.withUnsafeBytes { unsafe Array($0) }
        guard let text = String(validating: bytes, as: UTF8.self), !text.utf8.contains(0) else {
            throw InputError(message: "\(printable(path)) is not text in UTF-8")
        }
        settings = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
            .compactMap { index, line in
                let line = Substring(line).trimmed
                guard !line.isEmpty, !line.hasPrefix("#") else { return nil }
                let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(\.trimmed)
                let name = parts[0].prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
                return Setting(
                    line: index + 1, name: name, rest: parts[0][name.endIndex...],
                    value: parts.count == 2 ? parts[1] : nil)
            }
    }

    /// Checks one line by itself.
    private func check(_ setting: Setting, _ type: (some ParsableCommand).Type) throws {
        /// Whether the parser takes a word; `nil` if it does not know the option.
        func takes(_ word: String) -> Bool? {
            do {
                _ = try type.parse([Self.option, path, word])
                return true
            } catch {
                return type.message(for: error).hasPrefix("Unknown option") ? nil : false
            }
        }
        // The parser answers these names with a text in place of a command.
        let isName = setting.name.utf8.count > 1 && !setting.name.hasPrefix("-")
        guard isName, !["config", "help", "version"].contains(setting.name), let isFlag = takes(setting.option) else {
            throw refusal(setting, "this is not an option")
        }
        let isValid = setting.rest.isEmpty && takes(setting.word) == true
        guard !isValid else { return }
        throw refusal(
            setting,
            isFlag
                ? "\(setting.option) takes no value"
                : setting.value == nil || !setting.rest.isEmpty
                    ? "\(setting.option) needs \"=\" and a value" : "\(setting.option) cannot have this value")
    }

    private func refusal(_ setting: Setting, _ reason: String) -> InputError {
        InputError(
            message: "line \(setting.line) of \(printable(path)): \(reason)",
            hint: "write one option a line, without its hyphens: listen = 0.0.0.0:8443")
    }

    /// The command that a command line makes together with the file. An option on the command line takes the place of all
    /// lines with it.
    ///
    /// - Parameters:
    ///   - type: The command. It checks its options against each other only if there is no `--config`.
    ///   - words: The command line, after the command's name.
    func command<Command: ParsableCommand>(_ type: Command.Type, _ words: [String]) throws -> Command {
        for setting in settings { try check(setting, type) }
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
