// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import FoundationEssentials
import Glibc
import SystemSupport

/// A result that can be shown to a person and to a program.
protocol Report: Encodable, Sendable {
    /// The text for a person, without a last newline.
    var text: String { get }

    /// The same with what stands out on a terminal; by default nothing does.
    var styledText: [StyledText] { get }
}

extension Report {
    var styledText: [StyledText] { [StyledText(text)] }
}

/// The form of a report.
enum ReportFormat: String, CaseIterable, ExpressibleByArgument, Sendable {
    /// For a person.
    case text
    /// For a program: one JSON object.
    case json
}

/// Where a command's words go: the product to standard output, all else to standard error.
///
/// Everything that a terminal may get to see passes here and is made harmless here: text and JSON lose their
/// control and format characters, and what is said on standard error cannot begin a line of its own. Nothing else writes to
/// either stream; `script/gates/boundaries` sees to it.
struct Console: Sendable {
    /// The process's own streams.
    static let standard = Console()

    /// The same, with nothing to be said but what may be wrong: another program has the floor.
    var quiet: Console {
        var quiet = self
        quiet.saysNotes = false
        return quiet
    }

    private var saysNotes = true

    /// Prints a report.
    ///
    /// - Parameters:
    ///   - report: The command's result.
    ///   - format: For whom.
    /// - Throws: ``OutputError`` when standard output cannot take it.
    func print(_ report: some Report, as format: ReportFormat) throws {
        switch format {
        case .text: try write(report.styledText + [StyledText("\n")])
        case .json:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            encoder.dateEncodingStrategy = .iso8601
            try write(String(decoding: try encoder.encode(report), as: UTF8.self) + "\n")
        }
    }

    /// Writes text or JSON to standard output, all of it or an error. Control and format characters but line ends are escaped
    /// as JSON does it, so that JSON means the same afterwards.
    ///
    /// - Parameter text: Any text.
    /// - Throws: ``OutputError`` when standard output cannot take it.
    func write(_ text: String) throws { try write(Array(terminalSafe(text).utf8)) }

    /// Writes text whose parts may stand out on a terminal, all of it or an error.
    ///
    /// - Parameter text: The parts.
    /// - Throws: ``OutputError`` when standard output cannot take it.
    func write(_ text: [StyledText]) throws {
        let hasStyles = TerminalFeatures(of: STDOUT_FILENO).hasStyles
        try write(text.flatMap { $0.encoded(hasStyles: hasStyles) })
    }

    /// Writes text that another program is to read byte for byte, such as lines for a shell, all of it or an error. A terminal
    /// gets to see it as ``write(_:)`` would show it.
    ///
    /// - Parameter text: Text that was quoted for the program.
    /// - Throws: ``OutputError`` when standard output cannot take it.
    func write(exactly text: String) throws {
        try isatty(STDOUT_FILENO) == 1 ? write(text) : write(Array(text.utf8))
    }

    /// Writes a product that is not text to standard output, all of it or an error.
    ///
    /// - Parameter bytes: The bytes as they are.
    /// - Throws: ``OutputError`` when standard output cannot take them.
    func write(_ bytes: [UInt8]) throws { try check(writeAll(bytes, to: STDOUT_FILENO)) }

    /// Writes a product that is secret to standard output, all of it or an error.
    ///
    /// - Parameter secret: The bytes as they are.
    /// - Throws: ``OutputError`` when standard output cannot take them.
    func write(_ secret: SecretBytes) throws { try check(writeAll(secret, to: STDOUT_FILENO)) }

    /// Says something that is not a failure and not the product.
    func note(_ text: String) { if saysNotes { say(text) } }

    /// Says what may be wrong.
    func warning(_ text: String) { say("warning: \(text)") }

    /// Prints how to fix what went wrong.
    func hint(_ text: String) { say("hint: \(text)") }

    /// Prints what went wrong, and the hint if there is one.
    func report(_ error: any Error) {
        guard let explained = error as? any ExplainedError else {
            say("error: \(error)")
            return
        }
        say("error: \(explained.message)")
        if let text = explained.hint { hint(text) }
    }

    /// Ends the process in the way that an error asks for.
    ///
    /// - Parameter error: What a command threw, or what the parser of the command line did.
    func exit(with error: any Error) -> Never {
        if PKI.exitCode(for: error) == .success {
            // Help and version are products.
            try? write(exactly: PKI.message(for: error) + "\n")
            leave(ExitStatus.done)
        }
        if let code = error as? ExitCode { leave(code.rawValue) }
        if PKI.exitCode(for: error) == .validationFailure {
            // The parser repeats what it does not understand.
            if let secret = CommandLine.arguments.dropFirst().first(where: FileError.looksLikeKey) {
                say("error: an argument of \(secret.utf8.count) bytes looks like a key, and is not repeated here")
                hint("put the key into a file and name it, or the variable that holds it: --private-key env:NAME")
                leave(Self.isSigningHelper ? SigningHelper.failure : ExitStatus.usage)
            }
            let message = PKI.message(for: error)
            say("error: \(message)")
            // Behind the message stands how the command is used.
            let whole = PKI.fullMessage(for: error)
            if let end = whole.firstRange(of: message)?.upperBound {
                let usage = whole[end...].drop { $0 == "\n" }
                if !usage.isEmpty { writeToStandardError("\(usage)\n") }
            }
            leave(Self.isSigningHelper ? SigningHelper.failure : ExitStatus.usage)
        }
        report(error)
        leave(Self.isSigningHelper ? SigningHelper.failure : ExitStatus.status(for: error))
    }

    /// Whether the process is to end as aws_signing_helper ends.
    private static var isSigningHelper: Bool { SigningHelper.isMeant(by: CommandLine.arguments) }

    /// Ends the process at once: nothing that was written waits in a buffer, and what libraries would tidy up goes with the
    /// process anyway.
    ///
    /// - Parameter status: What the process's parent is told.
    func leave(_ status: Int32) -> Never { _exit(status) }

    /// Says something. Its second line and those after it are set in, so that none looks like one that the program began.
    private func say(_ text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        writeToStandardError("pki: \(lines.joined(separator: "\n  "))\n")
    }

    private func writeToStandardError(_ text: String) {
        _ = writeAll(Array(terminalSafe(text).utf8), to: STDERR_FILENO)
    }

    private func check(_ reason: CInt) throws(OutputError) {
        guard reason == 0 else { throw OutputError(reason: systemErrorText(reason)) }
    }
}

/// The product could not be written.
struct OutputError: ExplainedError {
    /// The system's words.
    var reason: String
    var message: String { "standard output cannot be written: \(reason)" }
    var hint: String? { nil }
}
