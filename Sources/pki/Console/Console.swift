// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import Delivery
import FoundationEssentials
import HardwareKeys
import HTTPServer
import RolesAnywhere
import Synchronization
import SystemSupport
import TrustAnchors

/// A result that can be printed as text and as JSON.
protocol Report: Encodable, Sendable {
    /// The text, without a newline at the end.
    var text: String { get }

    /// The same text with styles for a terminal; by default it has none.
    var styledText: [StyledText] { get }
}

extension Report {
    var styledText: [StyledText] { [StyledText(text)] }
}

/// Lines of a label and a value, for the text of a report. Rows without a value are left out.
func labelledLines(_ rows: [(label: String, value: String?)]) -> String {
    rows.compactMap { label, value in
        value.map { "\(label)\(String(repeating: " ", count: max(1, 13 - label.count)))\($0)" }
    }
    .joined(separator: "\n")
}

/// The members of a JSON object. Members that are `nil` are left out.
struct JSONMembers: Encodable, ExpressibleByDictionaryLiteral {
    private struct Name: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private let members: [(name: String, value: (any Encodable)?)]

    init(dictionaryLiteral members: (String, (any Encodable)?)...) { self.members = members }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Name.self)
        for case (let name, let value?) in members { try container.encode(value, forKey: Name(stringValue: name)) }
    }
}

/// A value whose JSON is made of a model value.
protocol EncodableMembers: Encodable {
    var members: JSONMembers { get }
}

typealias ModelReport = Report & EncodableMembers

extension EncodableMembers {
    func encode(to encoder: any Encoder) throws { try members.encode(to: encoder) }
}

enum ReportFormat: String, CaseIterable, ExpressibleByArgument, Sendable {
    case text, json
}

/// Writes results to standard output and everything else to standard error.
///
/// Text that a terminal may show is made harmless here: control and format characters are escaped, and a message on standard
/// error cannot start a line of its own. Nothing else writes to these streams; `script/gates/boundaries` checks it.
struct Console: Sendable {
    static let standard = Console()

    /// A console that prints warnings and errors but no notes.
    var quiet: Console {
        var quiet = self
        quiet.saysNotes = false
        return quiet
    }

    /// A console whose messages begin with the time, for a process that runs on. The journal has a time of its own.
    var log: Console {
        var log = self
        log.hasTimes = !ServiceManager.writesToJournal(ThisProcess.variables("JOURNAL_STREAM"))
        return log
    }

    private var saysNotes = true
    private var hasTimes = false

    private static let isQuiet = Atomic(false)

    /// Whether every console prints only errors and warnings on standard error.
    static var beingQuiet: Bool { isQuiet.load(ordering: .relaxed) }

    /// Lets every console print only errors and warnings from now on.
    static func beQuiet() { isQuiet.store(true, ordering: .relaxed) }

    func print(_ report: some Report, as format: ReportFormat) throws {
        switch format {
        case .text:
            let width = TerminalFeatures(of: StandardStream.output).width ?? .max
            try write(report.styledText.map { StyledText(wrapping($0.text, to: width), $0.style) } + [StyledText("\n")])
        case .json:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            encoder.dateEncodingStrategy = .iso8601
            try write(String(decoding: try encoder.encode(report), as: UTF8.self) + "\n")
        }
    }

    /// Writes text or JSON. Control and format characters other than line ends are escaped as in JSON, which does not change
    /// the meaning of JSON.
    func write(_ text: String) throws { try write(Array(terminalSafe(text).utf8)) }

    /// Writes text with styles, if standard output can show them.
    func write(_ text: [StyledText]) throws {
        let features = TerminalFeatures(of: StandardStream.output)
        let parts = text.map { StyledText(features.drawn($0.text), $0.style) }
        try write(parts.flatMap { $0.encoded(hasStyles: features.hasStyles) })
    }

    /// Writes text that another program reads, such as lines for a shell, without escaping it unless it goes to a terminal.
    func write(exactly text: String) throws {
        try Terminal.isTerminal(StandardStream.output) ? write(text) : write(Array(text.utf8))
    }

    /// Writes bytes as they are.
    func write(_ bytes: [UInt8]) throws { try check(writeAll(bytes, to: StandardStream.output)) }

    /// Writes a secret as it is.
    func write(_ secret: SecretBytes) throws { try check(writeAll(secret, to: StandardStream.output)) }

    private func check(_ reason: CInt) throws {
        guard reason == 0 else { throw OutputError(reason: reason) }
    }

    func note(_ text: String) { if saysNotes, !Self.beingQuiet { say(text) } }

    func warning(_ text: String) { say("warning: \(text)") }

    func hint(_ text: String) { say("hint: \(text)") }

    /// Prints an error, and its hint if it has one.
    func report(_ error: any Error) {
        let explained = error as? any ExplainedError
        say("error: \(explained?.message ?? "\(error)")")
        if let text = explained?.hint { hint(text) }
    }

    /// Prints an error and ends the process with its exit status. Help and versions, which the argument parser throws too, go
    /// to standard output.
    func exit(with error: any Error) -> Never {
        if let code = error as? ExitCode { leave(code.rawValue) }
        if let error = error as? OutputError, error.isBrokenPipe { leave(ExitStatus.brokenPipe) }
        let isSigningHelper = SigningHelper.isMeant(by: CommandLine.arguments)
        let root: any ParsableCommand.Type =
            SigningHelper.isCalled(by: CommandLine.arguments) ? SigningHelper.self : PKI.self
        switch root.exitCode(for: error) {
        case .success:
            do {
                let features = TerminalFeatures(of: StandardStream.output)
                let text = features.drawn(wrappingUsage(root.message(for: error)) + "\n")
                let isManual = CommandLine.arguments.dropFirst().first == "help"
                if !isManual || !Pager.show(text) { try write(exactly: text) }
            } catch {
                exit(with: error)
            }
            leave(ExitStatus.done)
        case .validationFailure:
            // The parser's message repeats the argument.
            if let secret = CommandLine.arguments.dropFirst().first(where: FileError.looksLikeKey) {
                say("error: an argument of \(secret.utf8.count) bytes looks like a key, and is not repeated here")
                hint("put the key into a file and name it, or the variable that holds it: --private-key env:NAME")
            } else {
                let parsed = ParserMessage(root.message(for: error), details: root.fullMessage(for: error))
                say("error: \(parsed.message)")
                if let text = parsed.hint { hint(text) }
            }
            leave(isSigningHelper ? SigningHelper.failure : ExitStatus.usage)
        default:
            report(error)
            leave(isSigningHelper ? SigningHelper.failure : ExitStatus.status(for: error))
        }
    }

    /// Ends the process at once: nothing is buffered, and libraries need no clean-up.
    func leave(_ status: Int32) -> Never { ThisProcess.exit(status) }

    /// Prints a message. Lines after the first are indented, so that none looks like a message of its own.
    private func say(_ text: String) {
        let lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { String(Substring($0)) }
        let time = hasTimes ? "\(CivilTime(.now).extended) " : ""
        let features = TerminalFeatures(of: StandardStream.error)
        let message = terminalSafe(features.drawn("\(time)pki: \(lines.joined(separator: "\n  "))\n"))
        _ = writeAll(Array(message.utf8), to: StandardStream.error)
    }
}

/// A message of the argument parser in the form of this program's own: lower case, no full stop, and a hint.
struct ParserMessage {
    var message: String
    var hint: String?

    /// - Parameters:
    ///   - text: The parser's message.
    ///   - details: The same with the usage, which ends with a command that prints help.
    ///   - arguments: The command line.
    init(_ text: String, details: String, arguments: [String] = CommandLine.arguments) {
        let help = details.firstRange(of: "  See '").map { details[$0.upperBound...].prefix { $0 != "'" } }
        var (message, hint) = (text[...], help.map { "see \($0)" })
        if let range = text.firstRange(of: ". Did you mean '") {
            message = text[..<range.lowerBound]
            hint = "did you mean \(text[range.upperBound...].prefix { $0 != "'" })? See \(help ?? "pki --help")"
        } else if let range = text.firstRange(of: ". Please provide one of") {
            message = text[..<range.lowerBound]
            let values = text[range.upperBound...].split { $0.isWhitespace || ",':.".contains($0) }
                .filter { !["the", "following", "or", "-"].contains($0) }
            hint = "use one of \(values.joined(separator: ", "))"
        }
        if message.last == "." { message.removeLast() }
        message = Self.plain(message, arguments)[...]
        let isSentence = message.first?.isUppercase == true && message.dropFirst().first?.isLowercase == true
        self.message = isSentence ? message.prefix(1).lowercased() + message.dropFirst() : String(message)
        self.hint = hint
    }

    /// `the value "x" is invalid for --days <n>`, `--not-after <time>: "x" is not a time`, `<name> is missing`, as our errors.
    private static func plain(_ text: Substring, _ arguments: [String]) -> String {
        func quoted(after start: String) -> (text: Substring, rest: Substring)? {
            guard text.hasPrefix(start), let end = text.lastIndex(of: "'") else { return nil }
            return (text[..<end].dropFirst(start.count), text[text.index(after: end)...])
        }
        if let (argument, _) = quoted(after: "Missing expected argument '") {
            return "\(argument.replacing(" ...", with: "")) is missing"
        }
        if let (option, rest) = quoted(after: "Unknown option '") { return "unknown option \"\(option)\"\(rest)" }
        if let (word, _) = quoted(after: "Unexpected argument '") { return "unexpected argument \"\(word)\"" }
        if let (option, _) = quoted(after: "Missing value for '") { return missingValue(of: option, in: arguments) }
        guard text.hasPrefix("The value '"), let middle = text.firstRange(of: "' is invalid for '") else {
            return String(text)
        }
        let end = text[middle.upperBound...].firstIndex(of: "'") ?? text.endIndex
        let (option, reason) = (text[middle.upperBound..<end], text[end...].dropFirst())
        if reason.hasPrefix(": ") { return "\(option)\(reason)" }
        return "the value \"\(text[..<middle.lowerBound].dropFirst(11))\" is invalid for \(option)\(reason)"
    }
}

extension ParserMessage {
    /// The parser takes a negative number for an option, and the option before it for one without a value.
    private static func missingValue(of option: Substring, in arguments: [String]) -> String {
        let name = option.prefix { $0 != " " }
        let next = arguments.firstIndex { $0 == name }.flatMap { arguments[($0 + 1)...].first }
        if let next, next.first == "-", next.dropFirst().first?.isNumber == true {
            return "the value \"\(next)\" is invalid for \(option)"
        }
        return "\(option) has no value"
    }
}

/// The parser's help with its line of usage, which the parser does not break, within 80 columns.
func wrappingUsage(_ help: String) -> String {
    help.split(separator: "\n", omittingEmptySubsequences: false).map { line in
        guard line.hasPrefix("USAGE: "), line.count > 80 else { return String(line) }
        var lines = [""]
        for (index, part) in line.replacing(" [", with: "\n[").split(separator: "\n").enumerated() {
            let isFull = index > 0 && lines[lines.count - 1].count + part.count + 1 > 80
            if isFull { lines.append("      ") }
            lines[lines.count - 1] += index == 0 ? String(part) : " \(part)"
        }
        return lines.joined(separator: "\n")
    }
    .joined(separator: "\n")
}

/// Standard output could not be written.
struct OutputError: ExplainedError {
    /// The system's error number.
    var reason: CInt
    var message: String { "cannot write to standard output: \(systemErrorText(reason))" }
    /// Whether the reader of a pipe has gone, which is no failure of this program.
    var isBrokenPipe: Bool { SystemSupport.isBrokenPipe(reason) }
    var hint: String? { nil }
}

enum ExitStatus {
    static let done: Int32 = 0
    static let checkFailed: Int32 = 1
    /// The request was refused, or it failed.
    static let failed: Int32 = 2
    /// The command line is wrong.
    static let usage: Int32 = 64
    /// A service did not answer.
    static let unavailable: Int32 = 69
    /// A service denied the request.
    static let denied: Int32 = 77
    /// The reader of standard output has gone: as if SIGPIPE had ended the process.
    static let brokenPipe: Int32 = 141

    static func status(for error: any Error) -> Int32 {
        switch error {
        case is UsageError: usage
        case let error as AuthorityError where error.code == .invalidValue: usage
        case let error as AuthorityError where error.code == .unreachable: unavailable
        case let error as AuthorityError where error.code == .denied: denied
        case let error as TrustAnchorError where [.name, .condition, .duration].contains(error.code): usage
        case let error as DeliveryError where error.code == .invalidArgument: usage
        case let error as HardwareKeyError where error.code == .invalidAddress: usage
        case let error as HTTPServerError where [.invalidAddress, .invalidTimeToLive].contains(error.code): usage
        case let error as RolesAnywhereError: status(for: error.code)
        case let error as SharedFailure: error.status
        case let error as CommandError: error.status
        default: failed
        }
    }

    private static func status(for code: RolesAnywhereError.Code) -> Int32 {
        switch code {
        case .invalidArgument: usage
        case .unreachable, .untrustedServer, .unavailable, .malformedAnswer: unavailable
        case .denied: denied
        default: failed
        }
    }
}

/// Suggests commands for a name that is not a command.
struct CommandSuggestion {
    /// The names of all commands.
    let names: [String]

    init(of root: any ParsableCommand.Type) {
        names = root.configuration.subcommands.compactMap { $0.configuration.commandName }
    }

    /// Throws ``UsageError`` if the words that name a command, after `help` too, name none.
    static func check(_ words: [String], of root: any ParsableCommand.Type) throws {
        var command = root
        var path = root.configuration.commandName ?? "pki"
        for word in words.first == "help" ? words.dropFirst() : words.prefix(1) {
            let commands = command.configuration.subcommands
            guard !word.hasPrefix("-"), word != "help", !commands.isEmpty else { return }
            guard let next = commands.first(where: { $0.configuration.commandName == word }) else {
                let candidates = Self(of: command).candidates(for: word)
                throw UsageError(
                    message: "unknown command \"\(printable(word))\"",
                    hint: candidates.isEmpty
                        ? "see \(path) --help"
                        : "did you mean \(path) \(candidates.joined(separator: " or \(path) "))? See \(path) --help")
            }
            command = next
            path += " \(word)"
        }
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
