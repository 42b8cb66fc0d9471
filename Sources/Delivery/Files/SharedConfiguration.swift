// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// The text of an AWS config or credentials file, which can be edited without losing a byte of anything else
/// (AWS SDKs and Tools Reference Guide, "Shared config and credentials files").
///
/// Comments, order, spacing, line ends, unknown sections, repeated sections, bytes that are no UTF-8: what is not edited
/// comes out as it went in. Lines end with LF or CRLF and can have any length; what is added ends as the file's first line
/// does.
///
/// Where readers disagree, botocore decides, which takes the files as Python's `configparser` does; only a CR alone, which ends a
/// line for Python, does not here. Sections are found in
/// every spelling that some reader accepts: `[ default ]`, `[profile  "web"] # comment`.
///
/// Such files hold secrets, so that no description, mirror or dump shows the contents.
package struct SharedConfiguration: Hashable, Sendable {
    /// The file's contents.
    package private(set) var bytes: [UInt8]

    /// Takes the contents of a file.
    ///
    /// - Parameter bytes: Any bytes; none for a file that does not exist yet.
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

    /// What a section sets, in order: names in lower case, values without the blanks around them. A name that is set
    /// several times, or in several sections of the same name, is here once with its last value.
    ///
    /// A comment behind a value does not belong to it. The value of a setting with nested ones, such as `s3 =`, is the text
    /// of its lines, each without the blanks around it, joined by line feeds; what it begins with is then a line feed.
    ///
    /// - Parameter section: The section's name, in any spelling.
    /// - Returns: The settings; nothing when there is no such section.
    package func settings(in section: String) -> [(name: String, value: String)]? {
        let wanted = ConfigurationSectionName(section.utf8).bytes
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

    /// The value of a setting, as ``settings(in:)`` has it.
    ///
    /// - Parameters:
    ///   - name: The setting's name, in any case.
    ///   - section: The section's name, in any spelling.
    /// - Returns: The value; nothing when it is not set.
    package func value(of name: String, in section: String) -> String? {
        let wanted = String(decoding: name.utf8.map(\.lowercased), as: UTF8.self)
        return settings(in: section)?.first { $0.name == wanted }?.value
    }

    /// Changes settings of a section, which is made at the end of the file when it is not there.
    ///
    /// A setting that is there keeps its place, spelling and spacing, and gets a new value; a new one goes behind the
    /// section's last setting. Afterwards every reader sees the same value: a setting that occurs several times is changed
    /// wherever it occurs, whether the first or the last one counts; nested settings below it go; and a comment behind the
    /// value, which botocore takes as a part of it, becomes a line above. A setting that is removed takes the comment behind
    /// its value along; comments on lines of their own stay always.
    ///
    /// - Parameters:
    ///   - settings: Names and their values; nothing removes the setting. Of several with one name the last counts.
    ///   - section: The section's name, in any spelling.
    /// - Throws: ``DeliveryError`` when a name or value cannot stand in such a file so that every reader sees the same;
    ///   nothing is changed then. The message names the setting and never holds the value.
    package mutating func set(
        _ settings: [(name: String, value: String?)],
        in section: String
    ) throws(DeliveryError) {
        let section = try ConfigurationSectionName(checking: section)
        var changes: [(name: [UInt8], value: [UInt8]?)] = []
        for (name, value) in settings {
            try Self.check(name)
            if let value { try Self.check(value, of: name) }
            let wanted = name.utf8.map(\.lowercased)
            changes.removeAll { $0.name.map(\.lowercased) == wanted }
            changes.append((Array(name.utf8), value.map { Array($0.utf8) }))
        }
        for (name, value) in changes {
            bytes = ConfigurationEdit(bytes, section: section).setting(name, to: value)
        }
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
            DeliveryError(.invalidArgument, "the value of \(name) cannot stand in an AWS config file: \(reason)")
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
    /// How long the contents are, and nothing of them.
    package var description: String { "SharedConfiguration(\(bytes.count) bytes)" }

    /// The same as the description.
    package var debugDescription: String { description }

    /// How long the contents are, and nothing of them.
    package var customMirror: Mirror { Mirror(self, children: ["count": bytes.count], displayStyle: .struct) }
}
