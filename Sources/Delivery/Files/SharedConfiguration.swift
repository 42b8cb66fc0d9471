// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// The text of an AWS config or credentials file, which can be edited without losing a byte of anything else
/// (AWS SDKs and Tools Reference Guide, "Shared config and credentials files").
///
/// What is not edited stays byte for byte: comments, order, spacing, line ends, unknown and repeated sections, bytes that are
/// not UTF-8. Lines end with LF or CRLF and can have any length; new lines end as the file's first line does. An edit also
/// removes a byte order mark, and rewrites the edited section's header if botocore would not find it.
///
/// Where readers disagree, botocore decides, which uses Python's `configparser`, except that a CR alone ends no line here.
/// Sections are found in every spelling that some reader accepts: `[ default ]`, `[profile  "web"] # comment`.
///
/// Such files hold secrets: no description, mirror or dump shows the contents.
package struct SharedConfiguration: Hashable, Sendable {
    package private(set) var bytes: [UInt8]

    package init(_ bytes: [UInt8] = []) {
        self.bytes = bytes
    }

    /// The names of the sections in their order, each once, trimmed and without quotes: `default`, `profile web`,
    /// `sso-session x`.
    package var sectionNames: [String] {
        var seen: Set<[UInt8]> = []
        return ConfigurationLine.lines(of: bytes).compactMap { line in
            guard case .header(let name) = line.kind, seen.insert(name.bytes).inserted else { return nil }
            return String(decoding: name.bytes, as: UTF8.self)
        }
    }

    /// The settings of a section in order, however the file spells its name; `nil` if there is no such section. Names are in lower
    /// case, values without blanks around them and comments after them. A name that is set several times, or in several
    /// sections of the same name, has its last value.
    ///
    /// The value of a setting with nested ones, such as `s3 =`, is its trimmed lines joined by line feeds, beginning with a
    /// line feed.
    package func settings(in section: String) -> [(name: String, value: String)]? {
        let wanted = ConfigurationSectionName(section).bytes
        var exists = false
        var isInside = false
        var names: [[UInt8]] = []
        var values: [[UInt8]: [UInt8]] = [:]
        for line in ConfigurationLine.lines(of: bytes) {
            switch line.kind {
            case .header(let name):
                isInside = name.bytes == wanted
                exists = exists || isInside
                names.append([])
            case .setting(let setting) where isInside:
                let name = bytes[setting.name].map(\.lowercased)
                names.append(name)
                values[name] = Array(bytes[setting.value])
            case .continuation where isInside, .blank where isInside:
                guard let name = names.last, !name.isEmpty else { continue }
                values[name, default: []] += [.lineFeed] + bytes[line.content]
            default: continue
            }
        }
        guard exists else { return nil }
        var seen: Set<[UInt8]> = [[]]
        return names.filter { seen.insert($0).inserted }.map { name in
            let value = values[name, default: []]
            let end = value.lastIndex { $0 != .lineFeed }.map { $0 + 1 } ?? 0
            return (String(decoding: name, as: UTF8.self), String(decoding: value[..<end], as: UTF8.self))
        }
    }

    /// The value of a setting in any case, as in ``settings(in:)``; `nil` if it is not set.
    package func value(of name: String, in section: String) -> String? {
        let wanted = String(decoding: name.utf8.map(\.lowercased), as: UTF8.self)
        return settings(in: section)?.first { $0.name == wanted }?.value
    }

    /// Changes settings of a section, which is appended to the file if it is missing. A `nil` value removes a setting.
    ///
    /// A present setting keeps its place, spelling and spacing; a new one goes after the section's last setting. Afterwards
    /// every reader sees the same value: a setting that occurs several times is changed wherever it occurs; nested settings
    /// below it are removed; and a comment after the value, which botocore takes as a part of it, becomes a line above. A
    /// removed setting takes the comment after its value along; comments on lines of their own stay.
    ///
    /// - Throws: ``DeliveryError`` for a name or value that not every reader would see as it is; then nothing is changed. The
    ///   message names the setting and never the value.
    package mutating func set(_ settings: [(name: String, value: String?)], in section: String) throws(DeliveryError) {
        let section = try ConfigurationSectionName(checking: section)
        var changes: [(name: [UInt8], value: [UInt8]?)] = []
        for (name, value) in settings {
            try Self.check(name)
            if let value { try Self.check(value, of: name) }
            let wanted = name.utf8.map(\.lowercased)
            changes.removeAll { $0.name.map(\.lowercased) == wanted }
            changes.append((Array(name.utf8), value.map { Array($0.utf8) }))
        }
        if bytes.starts(with: ConfigurationLine.byteOrderMark) {
            bytes.removeFirst(ConfigurationLine.byteOrderMark.count)
        }
        bytes = ConfigurationEdit(bytes, section: section).repairingHeader()
        for (name, value) in changes {
            bytes = ConfigurationEdit(bytes, section: section).setting(name, to: value)
        }
    }

    /// Removes settings of a section, by their names in lower case, and the section's header if it has no other settings.
    /// Comments stay, and a section that has none of the settings stays as it is.
    ///
    /// - Throws: As ``set(_:in:)``.
    package mutating func remove(_ names: [String], in section: String) throws(DeliveryError) {
        guard settings(in: section)?.contains(where: { names.contains($0.name) }) == true else { return }
        try set(names.map { ($0, nil) }, in: section)
        bytes = ConfigurationEdit(bytes, section: try ConfigurationSectionName(checking: section))
            .removingEmptySection()
    }

    private static func check(_ name: String) throws(DeliveryError) {
        let isGood = name.utf8.allSatisfy { byte in
            (0x21...0x7E).contains(byte) && !"=:#;[]".utf8.contains(byte)
        }
        guard isGood, !name.isEmpty else {
            throw DeliveryError(.invalidArgument, "no setting can have the name “\(printable(name, limit: 100))”")
        }
    }

    private static func check(_ value: String, of name: String) throws(DeliveryError) {
        func refusal(_ reason: String) -> DeliveryError {
            DeliveryError(.invalidArgument, "the value of \(name) cannot be in an AWS config file: \(reason)")
        }
        let scalars = value.unicodeScalars
        if scalars.contains(where: \.endsOrControlsLines) {
            throw refusal("it holds a line end or a control character")
        }
        if let first = scalars.first, let last = scalars.last,
            first.properties.isWhitespace || last.properties.isWhitespace
        {
            throw refusal("it begins or ends with a blank")
        }
        if value.holdsComment {
            throw refusal("the AWS SDKs take a “#” or “;” in front or behind a blank as the beginning of a comment")
        }
    }
}

extension SharedConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "SharedConfiguration(\(bytes.count) bytes)" }

    package var debugDescription: String { description }

    package var customMirror: Mirror { Mirror(self, children: ["count": bytes.count], displayStyle: .struct) }
}

/// One change of one section: the ranges to replace, and their new text.
struct ConfigurationEdit {
    private let bytes: [UInt8]
    private let section: ConfigurationSectionName
    private let lines: [ConfigurationLine]
    private let lineEnd: [UInt8]
    /// In order, without overlaps.
    private var replacements: [(range: Range<Int>, text: [UInt8])] = []

    init(_ bytes: [UInt8], section: ConfigurationSectionName) {
        self.bytes = bytes
        self.section = section
        lines = ConfigurationLine.lines(of: bytes)
        lineEnd =
            lines.first.flatMap { line in
                line.end < line.range.upperBound ? Array(bytes[line.end..<line.range.upperBound]) : nil
            } ?? [.lineFeed]
    }

    /// The contents with a setting changed, or removed if the value is `nil`.
    consuming func setting(_ name: [UInt8], to value: [UInt8]?) -> [UInt8] {
        let found = occurrences(of: name)
        if found.isEmpty {
            guard let value else { return bytes }
            let line = name + Array(value.isEmpty ? " =".utf8 : " = ".utf8) + value
            if let place = placeOfNewSetting() {
                append(indented(line, behind: place), behind: place)
            } else {
                appendSection(line)
            }
        }
        for (line, setting, continuation) in found {
            if let value {
                replace(setting, in: lines[line], by: value, isAlone: continuation.isEmpty)
            } else {
                replacements.append((lines[line].range, []))
            }
            for index in continuation { replacements.append((lines[index].range, [])) }
        }
        return result()
    }

    /// The contents with the section's header in its plain spelling, unless some header has that already, or more than the
    /// name would be lost.
    consuming func repairingHeader() -> [UInt8] {
        var header: Range<Int>?
        for line in lines {
            guard case .header(let name) = line.kind, name.bytes == section.bytes else { continue }
            if name.isPlain { return bytes }
            let range = line.content.lowerBound..<line.content.lowerBound + name.spelling.count + 2
            if !name.spelling.contains(.rightBracket) { header = range }
        }
        guard let header else { return bytes }
        replacements.append((header, section.header))
        return result()
    }

    /// The contents without the section's headers, and the blank line that divides each from what is above, if nothing but
    /// blank lines and comments is below them.
    consuming func removingEmptySection() -> [UInt8] {
        var isInside = false
        for (index, line) in lines.enumerated() {
            switch line.kind {
            case .header(let header):
                isInside = header.bytes == section.bytes
                guard isInside else { continue }
                if index > 0, case .blank = lines[index - 1].kind,
                    lines[(index + 1)...].first(where: { !$0.content.isEmpty }).map(\.isHeader) ?? true
                {
                    replacements.append((lines[index - 1].range, []))
                }
                replacements.append((line.range, []))
            case .blank, .comment: continue
            default: if isInside { return bytes }
            }
        }
        return result()
    }

    /// Where the section sets a name: the line, its parts, and the lines that continue its value.
    private func occurrences(
        of name: [UInt8]
    ) -> [(line: Int, setting: ConfigurationLine.Setting, continuation: [Int])] {
        let wanted = name.map(\.lowercased)
        var result: [(line: Int, setting: ConfigurationLine.Setting, continuation: [Int])] = []
        var isInside = false
        var isFound = false
        for (index, line) in lines.enumerated() {
            switch line.kind {
            case .header(let header):
                isInside = header.bytes == section.bytes
                isFound = false
            case .setting(let setting):
                isFound = isInside && bytes[setting.name].elementsEqual(wanted) { $0.lowercased == $1 }
                if isFound { result.append((index, setting, [])) }
            case .continuation where isFound:
                result[result.count - 1].continuation.append(index)
            default: continue
            }
        }
        return result
    }

    private mutating func replace(
        _ setting: ConfigurationLine.Setting, in line: ConfigurationLine, by value: [UInt8], isAlone: Bool
    ) {
        if isAlone, setting.comment == nil, bytes[setting.value].elementsEqual(value) { return }
        if let comment = setting.comment {
            let own = line.end < line.range.upperBound ? Array(bytes[line.end..<line.range.upperBound]) : lineEnd
            let text = bytes[line.indentation] + bytes[comment] + own
            replacements.append((line.range.lowerBound..<line.range.lowerBound, Array(text)))
        }
        let old = setting.value.lowerBound..<(setting.comment?.upperBound ?? setting.value.upperBound)
        // After "name =", whose trailing blank an editor removed, the blank comes back.
        let isTight = old.lowerBound == setting.delimiter + 1 && bytes[setting.delimiter - 1].isBlank
        replacements.append((old, isTight && old.isEmpty && !value.isEmpty ? [.space] + value : value))
    }

    /// The line after which a new setting goes: the last line of the last section of this name that every program
    /// understands, else of any such section.
    private func placeOfNewSetting() -> Int? {
        var plain: Int?
        var any: Int?
        var isInside = false
        var isPlain = false
        for (index, line) in lines.enumerated() {
            switch line.kind {
            case .header(let header):
                isInside = header.bytes == section.bytes
                isPlain = header.isPlain
            case .setting, .continuation: break
            default: continue
            }
            guard isInside else { continue }
            any = index
            if isPlain { plain = index }
        }
        return plain ?? any
    }

    /// Indents a new setting so that it does not continue the value above it, nor the next line continue its own.
    private func indented(_ line: [UInt8], behind place: Int) -> [UInt8] {
        var above = place
        while case .continuation = lines[above].kind { above = belowWhich(above) }
        let own = bytes[lines[above].indentation]
        guard case .header = lines[above].kind,
            let next = lines[(place + 1)...].first(where: \.isSignificant),
            next.indentation.count > own.count
        else { return own + line }
        return bytes[next.indentation] + line
    }

    /// The line above that is neither blank nor a comment.
    private func belowWhich(_ index: Int) -> Int { lines[..<index].lastIndex(where: \.isSignificant) ?? 0 }

    private mutating func append(_ text: [UInt8], behind index: Int) {
        let line = lines[index]
        let isOpen = line.end == line.range.upperBound
        replacements.append((line.range.upperBound..<line.range.upperBound, (isOpen ? lineEnd : []) + text + lineEnd))
    }

    private mutating func appendSection(_ line: [UInt8]) {
        var text: [UInt8] = []
        if let last = lines.last {
            if last.end == last.range.upperBound { text += lineEnd }
            if !last.content.isEmpty { text += lineEnd }
        }
        text += section.header + lineEnd + line + lineEnd
        replacements.append((bytes.count..<bytes.count, text))
    }

    private func result() -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + replacements.reduce(0) { $0 + $1.text.count })
        var position = 0
        for (range, text) in replacements {
            result += bytes[position..<range.lowerBound] + text
            position = range.upperBound
        }
        return result + bytes[position...]
    }
}

extension ConfigurationLine {
    /// Whether the line is neither blank nor a comment.
    fileprivate var isSignificant: Bool {
        switch kind {
        case .blank, .comment: false
        default: true
        }
    }

    fileprivate var isHeader: Bool {
        if case .header = kind { return true }
        return false
    }
}
