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

    /// A file or a pipe.
    static let none = TerminalFeatures()

    private init() {}

    init(of descriptor: CInt, environment: [String: String] = ProcessInfo.processInfo.environment) {
        guard let width = Terminal.windowWidth(of: descriptor) else {
            self = .none
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
    }
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
