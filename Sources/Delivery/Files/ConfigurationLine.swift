// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// A line of an AWS config or credentials file, as ranges of the file's bytes.
///
/// Lines are classified as in botocore, which uses Python's `configparser`: a line that is indented deeper than the setting
/// above it continues that setting's value, even if it is a nested setting or begins with `[`. The other SDKs treat every
/// indented line so; files in use mean the same to both.
struct ConfigurationLine {
    enum Kind {
        case blank
        case comment
        case header(ConfigurationSectionName)
        case setting(Setting)
        /// More of the value of the setting above.
        case continuation
        /// A line that no reader understands, or a setting before the first section.
        case other
    }

    struct Setting {
        var name: Range<Int>
        /// The `=`, or the `:` that botocore accepts too.
        var delimiter: Int
        /// The value, without the blanks around it; empty where it would begin.
        var value: Range<Int>
        /// From a `#` or `;` after a blank: a comment to the SDKs, a part of the value to botocore.
        var comment: Range<Int>?
    }

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
    /// All lines of a file, which follow each other without a gap. A byte order mark belongs to none.
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
                    range: start..<next, content: content, end: end))
            start = next
        }
        return lines
    }

    static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// What decides the kind of a line besides its text.
    private struct Context {
        private var isInSection = false
        private var hasSetting = false
        /// The indentation of the last line that was not a continuation.
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
            guard bytes[content].first == .leftBracket, let close = bytes[content].firstIndex(of: .rightBracket),
                let last = bytes[content].lastIndex(of: .rightBracket)
            else { return nil }
            return ConfigurationSectionName(
                header: bytes[content.lowerBound + 1..<close], spelling: bytes[content.lowerBound + 1..<last])
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

    /// Whether this is white space in a line: an ASCII character that Python's `strip` removes.
    var isBlank: Bool {
        switch self {
        case 0x09, 0x0B...0x0D, 0x1C...0x20: true
        default: false
        }
    }

    /// ASCII letters in lower case; other bytes as they are.
    var lowercased: UInt8 { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) ? self | 0x20 : self }
}

extension RandomAccessCollection where Element == UInt8, Index == Int {
    /// The range without the blanks around it.
    func trimmed(_ range: Range<Int>) -> Range<Int> {
        guard let first = self[range].firstIndex(where: { !$0.isBlank }) else {
            return range.upperBound..<range.upperBound
        }
        let last = self[range].lastIndex { !$0.isBlank } ?? first
        return first..<last + 1
    }
}

/// The normal form of a section's name: blanks around it or after `profile`, and quotes there, make no difference; case does.
struct ConfigurationSectionName {
    /// `default`, `profile web`, `profile my name`.
    let bytes: [UInt8]

    /// What the header has between its first and its last bracket, which is the section's name to Python's `configparser`.
    let spelling: [UInt8]

    /// Whether every program understands the header. botocore does not accept `[ default ]`, and a name with blanks
    /// only in quotes.
    let isPlain: Bool

    /// Whether there are no blanks at the ends of the header, which are a part of the name in a credentials file.
    var isTrimmed: Bool {
        spelling.first?.isBlank == false && spelling.last?.isBlank == false && !spelling.contains(.rightBracket)
    }

    /// The words before a name that may be quoted, as `shlex` reads them.
    private static let kinds = ["profile", "sso-session", "services"].map { Array($0.utf8) }

    /// Reads the text between the brackets.
    init(header: ArraySlice<UInt8>, spelling: ArraySlice<UInt8>) {
        let trimmed = Array(header[header.trimmed(header.indices)])
        let isExact = header.elementsEqual(trimmed) && header.count == spelling.count
        self.spelling = Array(spelling)
        guard let (kind, rest) = Self.parts(of: trimmed) else {
            bytes = trimmed
            isPlain = isExact
            return
        }
        if let words = shellWords(trimmed), words.count == 2 {
            bytes = kind + [.space] + words[1]
            isPlain = header.first == trimmed.first && header.count == spelling.count
            return
        }
        var name = rest
        if name.count >= 2, let quote = name.first, quote == name.last, Self.quotes.contains(quote) {
            name = Array(name[name.trimmed(1..<name.count - 1)])
        }
        bytes = kind + [.space] + name
        isPlain = false
    }

    /// Takes a name as callers write it: `profile my name`, without quotes.
    init(_ name: String) {
        let name = Array(name.utf8)
        let trimmed = Array(name[name.trimmed(name.indices)])
        bytes = Self.parts(of: trimmed).map { $0.kind + [.space] + $0.name } ?? trimmed
        spelling = bytes
        isPlain = true
    }

    /// The kind of section and the name in it; `nil` for names such as `default`, which are not divided.
    private static func parts(of bytes: [UInt8]) -> (kind: [UInt8], name: [UInt8])? {
        guard let blank = bytes.firstIndex(where: \.isBlank), kinds.contains(Array(bytes[..<blank])) else { return nil }
        return (Array(bytes[..<blank]), Array(bytes[bytes.trimmed(blank..<bytes.count)]))
    }

    /// The name of a profile in a config file: `web` of `profile web`; `nil` for other sections.
    var profile: [UInt8]? {
        if bytes.elementsEqual("default".utf8) { return bytes }
        return Self.parts(of: bytes).flatMap { $0.kind == Self.kinds[0] ? $0.name : nil }
    }

    /// Checks that every program can find a section of this name, in any spelling.
    init(checking name: String) throws(DeliveryError) {
        func refusal(_ reason: String) -> DeliveryError {
            DeliveryError(.invalidArgument, "no section can have the name “\(printable(name, limit: 100))”: \(reason)")
        }
        self.init(name)
        let text = String(decoding: bytes, as: UTF8.self)
        if bytes.isEmpty { throw refusal("it is empty") }
        if text.unicodeScalars.contains(where: \.endsOrControlsLines) {
            throw refusal("it holds a line end or a control character")
        }
        if bytes.contains(where: { $0 == .leftBracket || $0 == .rightBracket }) { throw refusal("it holds a bracket") }
        if text.holdsComment { throw refusal("from “#” or “;” on it would be a comment") }
        if text == "DEFAULT" {
            throw refusal("the AWS CLI takes what is set there as set in every section")
        }
        if quotedHeader == nil { throw refusal("it cannot be quoted") }
    }

    /// The header line, with the name quoted if necessary.
    var header: [UInt8] { [.leftBracket] + (quotedHeader ?? bytes) + [.rightBracket] }

    private var quotedHeader: [UInt8]? {
        guard let (kind, name) = Self.parts(of: bytes) else { return bytes }
        let special = name.filter { $0.isBlank || Self.quotes.contains($0) || $0 == Self.backslash }
        guard !special.isEmpty else { return bytes }
        // A backslash is special in double quotes only.
        guard special.contains(Self.quotes[0]) else {
            return kind + [.space, Self.quotes[0]] + name + [Self.quotes[0]]
        }
        if special.contains(Self.quotes[1]) || special.contains(Self.backslash) { return nil }
        return kind + [.space, Self.quotes[1]] + name + [Self.quotes[1]]
    }

    private static let quotes = [UInt8(ascii: "'"), UInt8(ascii: "\"")]
    private static let backslash = UInt8(ascii: "\\")
}

extension Unicode.Scalar {
    /// Whether this is a control character, or one that some reader takes as the end of a line.
    var endsOrControlsLines: Bool {
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}

extension String {
    /// Whether some reader would find a comment in the text: a `#` or `;` at its beginning or after a blank.
    var holdsComment: Bool {
        var isBehindBlank = true
        for scalar in unicodeScalars {
            if isBehindBlank, scalar == "#" || scalar == ";" { return true }
            isBehindBlank = scalar.properties.isWhitespace
        }
        return false
    }
}
