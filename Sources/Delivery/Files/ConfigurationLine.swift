// SPDX-License-Identifier: Apache-2.0

/// A line of an AWS config or credentials file, as botocore reads it: the rules are those of Python's configparser.
struct ConfigurationLine {
    enum Kind: Equatable {
        /// The beginning of a section, by its name.
        case header(String)
        /// `name = value`: where the name and the value stand.
        case setting(name: Range<Int>, value: Range<Int>)
        /// Deeper than the setting above it, whose value it goes on with.
        case continuation
        /// Nothing, or a comment.
        case blank
        /// None of these.
        case other
    }

    var kind: Kind
    /// The line without its end.
    var content: Range<Int>
    /// The line with its end.
    var whole: Range<Int>

    /// Takes a file apart. Together, the lines are all of it, but for a byte order mark at its beginning.
    static func lines(of bytes: [UInt8]) -> [ConfigurationLine] {
        var lines: [ConfigurationLine] = []
        var start = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? 3 : 0
        // How far the setting is indented that a deeper line would go on with.
        var settingIndent: Int?
        while start < bytes.count {
            let feed = bytes[start...].firstIndex(of: 0x0a)
            let end = feed.map { $0 + 1 } ?? bytes.count
            var contentEnd = feed ?? bytes.count
            if feed != nil, contentEnd > start, bytes[contentEnd - 1] == 0x0d { contentEnd -= 1 }
            let content = start..<contentEnd
            let kind = kind(of: bytes, content, after: &settingIndent)
            lines.append(ConfigurationLine(kind: kind, content: content, whole: start..<end))
            start = end
        }
        return lines
    }

    private static func kind(of bytes: [UInt8], _ content: Range<Int>, after settingIndent: inout Int?) -> Kind {
        let text = trimmed(bytes, content)
        guard let first = bytes[text].first, first != UInt8(ascii: "#"), first != UInt8(ascii: ";") else {
            return .blank
        }
        let indent = text.lowerBound - content.lowerBound
        if let outer = settingIndent, indent > outer { return .continuation }
        if first == UInt8(ascii: "["), let name = sectionName(bytes[text].dropFirst()) {
            settingIndent = nil
            return .header(name)
        }
        guard let delimiter = bytes[text].firstIndex(where: { $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: ":") }),
            delimiter > text.lowerBound
        else { return .other }
        settingIndent = indent
        let value = trimmed(bytes, delimiter + 1..<content.upperBound)
        return .setting(name: trimmed(bytes, text.lowerBound..<delimiter), value: value)
    }

    /// A section's name, in the one form in which names are compared: without blanks around it, with one between `profile`
    /// and the rest, and without quotes.
    private static func sectionName(_ rest: ArraySlice<UInt8>) -> String? {
        var quote: UInt8?
        guard
            let end = rest.firstIndex(where: { byte in
                if byte == quote { quote = nil } else if quote == nil, byte == UInt8(ascii: "\"") { quote = byte }
                return byte == UInt8(ascii: "]") && quote == nil
            }) ?? rest.firstIndex(of: UInt8(ascii: "]"))
        else { return nil }
        return canonicalName(String(decoding: rest[rest.startIndex..<end], as: UTF8.self))
    }

    static func canonicalName(_ name: String) -> String {
        let words = name.split(whereSeparator: { $0 == " " || $0 == "\t" })
        guard words.first == "profile", words.count > 1, let head = words.first else {
            return String(name.trimmingPrefix(while: isBlank).reversed().trimmingPrefix(while: isBlank).reversed())
        }
        var rest = String(name[head.endIndex...].trimmingPrefix(while: isBlank))
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        for quote in ["\"", "'"] where rest.count >= 2 && rest.hasPrefix(quote) && rest.hasSuffix(quote) {
            return "profile \(rest.dropFirst().dropLast())"
        }
        return "profile \(rest)"
    }

    private static func isBlank(_ character: Character) -> Bool { character == " " || character == "\t" }

    /// A range without the blanks at its ends.
    static func trimmed(_ bytes: [UInt8], _ range: Range<Int>) -> Range<Int> {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
        var (start, end) = (range.lowerBound, range.upperBound)
        while start < end, isBlank(bytes[start]) { start += 1 }
        while end > start, isBlank(bytes[end - 1]) { end -= 1 }
        return start..<end
    }
}
