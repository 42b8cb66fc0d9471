// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// What a stream can show.
struct TerminalFeatures: Equatable, Sendable {
    /// The number of columns; `nil` if the stream is not a terminal.
    var width: Int?

    var hasStyles = false

    /// Whether a line can be overwritten.
    var canRedraw = false

    /// Whether characters other than ASCII can be drawn.
    var hasUnicode = true

    /// A file or a pipe.
    static let none = TerminalFeatures()

    private init() {}

    init(of descriptor: CInt) {
        let environment = ThisProcess.variables("COLUMNS", "TERM", "NO_COLOR", "LC_ALL", "LC_CTYPE", "LANG")
        guard let width = Terminal.windowWidth(of: descriptor) else {
            self = .none
            hasUnicode = Self.isUTF8(environment)
            return
        }
        self.init(windowWidth: width, environment: environment)
    }

    /// Describes a terminal.
    ///
    /// - Parameters:
    ///   - windowWidth: The columns of its window; 0 if unknown.
    ///   - environment: `COLUMNS` overrides the width; a non-empty `NO_COLOR` and `TERM=dumb` turn styles off.
    init(windowWidth: Int, environment: [String: String]) {
        let columns = environment["COLUMNS"].flatMap(Int.init) ?? 0
        width = [columns, windowWidth, 80].first { (1...10_000).contains($0) }
        canRedraw = (environment["TERM"] ?? "dumb") != "dumb"
        hasStyles = canRedraw && (environment["NO_COLOR"] ?? "").isEmpty
        hasUnicode = Self.isUTF8(environment)
    }

    /// Whether the locale's characters are UTF-8: the first of these variables with a value counts (POSIX, XBD §8.2).
    private static func isUTF8(_ environment: [String: String]) -> Bool {
        let name = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty } ?? "C"
        return name.lowercased().replacing("-", with: "").contains("utf8")
    }

    /// The text with ASCII for what this program draws with, where a locale has nothing else. Names stay as they are.
    func drawn(_ text: String) -> String {
        guard !hasUnicode, !text.utf8.allSatisfy({ $0 < 0x80 }) else { return text }
        return Self.drawing.reduce(text) { $0.replacing($1.drawn, with: $1.plain) }
    }

    private static let drawing = [
        ("├─", "|-"), ("└─", "`-"), ("│", "|"), ("✓", "ok"), ("✗", "FAILED"), ("…", "..."), ("→", "->"),
        ("§", "section "), ("–", "-"),
        ("“", "\""), ("”", "\""), ("×", "x"),
    ].map { (drawn: $0, plain: $1) }
}

/// A style of text on a terminal (ECMA-48 §8.3.117).
enum TextStyle: UInt8, Sendable {
    case bold = 1
    case dim = 2
    case red = 31
    case green = 32
    case yellow = 33

    var start: [UInt8] { Array("\u{1b}[\(rawValue)m".utf8) }
    static let end = Array("\u{1b}[0m".utf8)

    /// The style of the number of days until a certificate expires: red below 7, yellow below 30.
    static func daysLeft(_ days: Int) -> TextStyle? { days < 7 ? .red : days < 30 ? .yellow : nil }
}

struct StyledText: Sendable {
    var text: String
    var style: TextStyle?

    init(_ text: String, _ style: TextStyle? = nil) { (self.text, self.style) = (text, style) }

    /// The text in UTF-8. The style is the only escape sequence in it.
    func encoded(hasStyles: Bool) -> [UInt8] {
        let bytes = Array(terminalSafe(text).utf8)
        guard hasStyles, let style else { return bytes }
        return style.start + bytes + TextStyle.end
    }
}

/// The text with lines of at most `width` columns where it has spaces, each continued below the text after its label. What
/// is copied as a whole stays on one line: a command after the label `next`, and a hint.
func wrapping(_ text: String, to width: Int) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
        guard line.displayWidth > width, !line.hasPrefix("next "), line.first(where: { $0 != " " }) != "→" else {
            return String(line)
        }
        let indent = line.hangingIndent(within: width / 2)
        var lines = [""]
        var column = 0
        for (index, word) in line.split(separator: " ", omittingEmptySubsequences: false).enumerated() {
            let wordWidth = word.displayWidth
            if column + 1 + wordWidth > width, column > indent {
                lines.append(String(repeating: " ", count: indent) + word)
                column = indent + wordWidth
            } else {
                lines[lines.count - 1] += (index == 0 ? "" : " ") + word
                column += (index == 0 ? 0 : 1) + wordWidth
            }
        }
        return lines.joined(separator: "\n")
    }
    .joined(separator: "\n")
}

extension StringProtocol {
    /// The number of columns on a terminal.
    fileprivate var displayWidth: Int { unicodeScalars.reduce(0) { $0 + $1.displayWidth } }

    /// Where the text after a line's labels begins: behind the last run of several spaces within its first columns.
    fileprivate func hangingIndent(within limit: Int) -> Int {
        var (indent, spaces) = (0, 2)
        for (column, character) in self.prefix(limit).enumerated() {
            if character != " ", spaces > 1 { indent = column }
            spaces = character == " " ? spaces + 1 : 0
        }
        return indent
    }
}

extension Unicode.Scalar {
    /// The number of columns of the character: two for most East Asian characters and emoji, none for combining marks. wcwidth(3)
    /// knows this only where a UTF-8 locale is set.
    var displayWidth: Int {
        if value < 0x300 { return 1 }
        switch properties.generalCategory {
        case .nonspacingMark, .enclosingMark: return 0
        default: break
        }
        // Vowels and finals of Hangul combine with the initial before them.
        if (0x1160...0x11ff).contains(value) { return 0 }
        return Self.wide.contains { $0.contains(value) } || properties.isEmojiPresentation ? 2 : 1
    }

    /// The blocks of wide and full-width characters (Unicode Standard Annex 11), except emoji.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115f, 0x2329...0x232a, 0x2e80...0x303e, 0x3041...0x33ff, 0x3400...0x4dbf, 0x4e00...0x9fff,
        0xa000...0xa4cf, 0xa960...0xa97f, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe10...0xfe19, 0xfe30...0xfe6f,
        0xff01...0xff60, 0xffe0...0xffe6, 0x16fe0...0x18dff, 0x1aff0...0x1b2ff, 0x1f200...0x1f265, 0x20000...0x3fffd,
    ]
}

extension [UInt8] {
    /// Appends text on one line, with control and format characters escaped as in JSON, and returns its number of columns.
    @discardableResult mutating func append(showing text: String) -> Int {
        var text = text
        let start = count
        let isPlain = text.withUTF8 { octets in
            // A loop without an early exit is vectorised.
            let strange = unsafe octets.reduce(0 as UInt8) { $0 | ($1 &- 0x20 < 0x5f ? 0 : 1) }
            unsafe append(contentsOf: octets)
            return strange == 0
        }
        if isPlain { return count - start }
        removeSubrange(start...)
        var width = 0
        for scalar in text.unicodeScalars {
            guard scalar.isControl else {
                append(contentsOf: UTF8.encode(scalar) ?? .init())
                width += scalar.displayWidth
                continue
            }
            append(contentsOf: scalar.escaped.utf8)
            width += scalar.escaped.utf8.count
        }
        return width
    }
}
