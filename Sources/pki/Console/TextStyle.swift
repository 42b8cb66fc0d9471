// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// How text stands out on a terminal that has colours.
enum TextStyle: UInt8, Sendable {
    case bold = 1
    case dim = 2
    case red = 31
    case green = 32
    case yellow = 33

    /// What goes before the text (ECMA-48 §8.3.117).
    var start: [UInt8] { Array("\u{1b}[\(rawValue)m".utf8) }

    /// What goes behind text in any style.
    static let end = Array("\u{1b}[0m".utf8)

    /// The style of a number of days that are left: red below 7, yellow below 30.
    static func daysLeft(_ days: Int) -> TextStyle? { days < 7 ? .red : days < 30 ? .yellow : nil }
}

/// Some text, and how it stands out where the terminal can show that.
struct StyledText: Sendable {
    var text: String
    var style: TextStyle?

    init(_ text: String, _ style: TextStyle? = nil) { (self.text, self.style) = (text, style) }

    /// The text in UTF-8, without anything that a terminal would obey but the style.
    func encoded(hasStyles: Bool) -> [UInt8] {
        let bytes = Array(terminalSafe(text).utf8)
        guard hasStyles, let style else { return bytes }
        return style.start + bytes + TextStyle.end
    }
}
