// SPDX-License-Identifier: Apache-2.0

/// A line of an AWS config or credentials file, as places in the file's bytes.
///
/// Lines are told apart as botocore does it, which reads them with Python's `configparser`: what is indented deeper than the
/// setting above it goes on with that setting's value, be it a nested setting, or a `[`. The other SDKs take every indented
/// line so; the files that people have mean the same to both.
struct ConfigurationLine {
    /// What a line is.
    enum Kind {
        case blank
        case comment
        /// The beginning of a section.
        case header(ConfigurationSectionName)
        case setting(Setting)
        /// More of the value of the setting above.
        case continuation
        /// A line that no reader understands, or a setting in front of the first section.
        case other
    }

    /// The parts of a setting.
    struct Setting {
        /// The name as it is spelled.
        var name: Range<Int>
        /// The `=`, or the `:` that botocore takes as well.
        var delimiter: Int
        /// The value, without the blanks around it; where it would begin when it is empty.
        var value: Range<Int>
        /// A `#` or `;` behind a blank, and all that follows. The SDKs take it as a comment, botocore as a part of the value.
        var comment: Range<Int>?
    }

    /// What the line is.
    let kind: Kind
    /// The line with its line end.
    let range: Range<Int>
    /// The line without the blanks around it and its line end.
    let content: Range<Int>
    /// Where the line end begins. It is empty when the file ends without one.
    let end: Int

    /// The blanks in front.
    var indentation: Range<Int> { range.lowerBound..<content.lowerBound }
}

extension ConfigurationLine {
    /// Tells the lines of a file apart.
    ///
    /// - Parameter bytes: The contents.
    /// - Returns: All lines, which follow each other without a gap. A byte order mark in front belongs to none.
    static func lines(of bytes: [UInt8]) -> [ConfigurationLine] {
        var lines: [ConfigurationLine] = []
        var context = Context()
        var start = bytes.starts(with: byteOrderMark) ? byteOrderMark.count : 0
        while start < bytes.count {
            let newline = bytes[start...].firstIndex(of: .lineFeed)
            var end = newline ?? bytes.count
            if newline != nil, end > start, bytes[end - 1] == .carriageReturn { end -= 1 }
            let next = newline.map { $0 + 1 } ?? bytes.count
            let content = bytes.trimmed(start..<end)
            lines.append(
                ConfigurationLine(
                    kind: context.kind(of: content, indentation: content.lowerBound - start, end: end, in: bytes),
                    range: start..<next,
                    content: content,
                    end: end
                )
            )
            start = next
        }
        return lines
    }

    /// What editors on Windows put in front of a text.
    static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// What decides about a line besides itself.
    private struct Context {
        private var isInSection = false
        private var hasSetting = false
        /// How deep the last line was indented that was not the continuation of another.
        private var depth = 0

        mutating func kind(of content: Range<Int>, indentation: Int, end: Int, in bytes: [UInt8]) -> Kind {
            guard let first = bytes[content].first else { return .blank }
            if first == .numberSign || first == .semicolon { return .comment }
            if hasSetting, indentation > depth { return .continuation }
            depth = indentation
            if let name = Self.header(content, in: bytes) {
                isInSection = true
                hasSetting = false
                return .header(name)
            }
            let setting = isInSection ? Self.setting(content, end: end, in: bytes) : nil
            hasSetting = setting != nil
            return setting.map { .setting($0) } ?? .other
        }

        private static func header(_ content: Range<Int>, in bytes: [UInt8]) -> ConfigurationSectionName? {
            guard bytes[content].first == .leftBracket, let close = bytes[content].firstIndex(of: .rightBracket) else {
                return nil
            }
            return ConfigurationSectionName(bytes[content.lowerBound + 1..<close])
        }

        private static func setting(_ content: Range<Int>, end: Int, in bytes: [UInt8]) -> Setting? {
            guard let delimiter = bytes[content].firstIndex(where: { $0 == .equals || $0 == .colon }),
                delimiter > content.lowerBound
            else { return nil }
            let name = bytes.trimmed(content.lowerBound..<delimiter)
            let behind = delimiter + 1
            let start = bytes[behind..<end].firstIndex { !$0.isBlank } ?? end
            let comment = bytes[behind..<end].indices.dropFirst().first { index in
                (bytes[index] == .numberSign || bytes[index] == .semicolon) && bytes[index - 1].isBlank
            }
            guard let comment else {
                return Setting(name: name, delimiter: delimiter, value: start..<max(start, content.upperBound))
            }
            let value = start < comment ? bytes.trimmed(start..<comment) : start..<start
            return Setting(name: name, delimiter: delimiter, value: value, comment: comment..<content.upperBound)
        }
    }
}

extension UInt8 {
    static let lineFeed = UInt8(ascii: "\n")
    static let carriageReturn = UInt8(ascii: "\r")
    static let space = UInt8(ascii: " ")
    static let numberSign = UInt8(ascii: "#")
    static let semicolon = UInt8(ascii: ";")
    static let equals = UInt8(ascii: "=")
    static let colon = UInt8(ascii: ":")
    static let leftBracket = UInt8(ascii: "[")
    static let rightBracket = UInt8(ascii: "]")

    /// Whether this is white space in a line: the ASCII characters that Python's `strip` takes away.
    var isBlank: Bool {
        switch self {
        case 0x09, 0x0B...0x0D, 0x1C...0x20: true
        default: false
        }
    }

    /// The letter in lower case, when it is one of ASCII.
    var lowercased: UInt8 { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) ? self | 0x20 : self }
}

extension RandomAccessCollection where Element == UInt8, Index == Int {
    /// A part without the blanks around it.
    func trimmed(_ range: Range<Int>) -> Range<Int> {
        guard let first = self[range].firstIndex(where: { !$0.isBlank }) else {
            return range.upperBound..<range.upperBound
        }
        let last = self[range].lastIndex { !$0.isBlank } ?? first
        return first..<last + 1
    }
}
