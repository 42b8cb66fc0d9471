// SPDX-License-Identifier: Apache-2.0

/// The text of an AWS config or credentials file, which can be edited without losing a byte of anything else
/// (AWS SDKs and Tools Reference Guide, "Shared config and credentials files").
///
/// Comments, order, spacing, line ends, unknown sections, repeated sections, bytes that are no UTF-8: what is not edited
/// comes out as it went in. The file may hold secrets, so no description shows what is in it.
public struct SharedConfiguration: Hashable, Sendable {
    /// The file's contents.
    public private(set) var bytes: [UInt8]

    /// Takes the contents of a file.
    ///
    /// - Parameter bytes: Any bytes; none for a file that does not exist yet.
    public init(_ bytes: [UInt8] = []) {
        self.bytes = bytes
    }

    /// The names of the sections in their order, each once, in one form: `default` for `[ default ]`, and `profile my web`
    /// for `[profile "my web"]`.
    public var sectionNames: [String] {
        var names: [String] = []
        for line in ConfigurationLine.lines(of: bytes) {
            if case .header(let name) = line.kind, !names.contains(name) { names.append(name) }
        }
        return names
    }

    /// What a section sets, in order: names in lower case, values without the blanks around them. A name that is set
    /// several times, or in several sections of the same name, is here once with its last value.
    ///
    /// - Parameter section: The section's name.
    /// - Returns: The settings; nothing when there is no such section. The lines of a nested block are the lines of its
    ///   value.
    public func settings(in section: String) -> [(name: String, value: String)]? {
        let scan = SectionScan(bytes, section)
        guard scan.isThere else { return nil }
        var settings: [(name: String, value: String)] = []
        for setting in scan.settings {
            let parts = [setting.value] + setting.continuations.map { ConfigurationLine.trimmed(bytes, $0.content) }
            let value = parts.map { String(decoding: bytes[$0], as: UTF8.self) }.joined(separator: "\n")
            if let index = settings.firstIndex(where: { $0.name == setting.name }) {
                settings[index].value = value
            } else {
                settings.append((setting.name, value))
            }
        }
        return settings
    }

    /// The value of a setting.
    ///
    /// - Parameters:
    ///   - name: The setting's name, in any case.
    ///   - section: The section's name.
    /// - Returns: The value; nothing when it is not set.
    public func value(of name: String, in section: String) -> String? {
        settings(in: section)?.first { $0.name == name.lowercased() }?.value
    }

    /// Changes settings of a section, which is made at the end of the file when it is not there.
    ///
    /// A setting that is there keeps its place, spelling and spacing, and gets a new value, wherever it stands several times;
    /// a comment behind the old value, which some programs take for a part of the value, gets a line of its own above. A
    /// new setting goes behind the section's last one.
    ///
    /// - Parameters:
    ///   - settings: Names and their values; nothing removes the setting.
    ///   - section: The section's name.
    /// - Throws: ``DeliveryError`` when a name or value cannot stand in such a file. No error shows a value.
    public mutating func set(
        _ settings: [(name: String, value: String?)],
        in section: String
    ) throws(DeliveryError) {
        try Self.check(settings, in: section)
        for setting in settings { change(setting.name, to: setting.value, in: section) }
    }

    private mutating func change(_ name: String, to value: String?, in section: String) {
        let scan = SectionScan(bytes, section)
        let found = scan.settings.filter { $0.name == name.lowercased() }
        guard found.isEmpty else {
            for setting in found.reversed() { replace(setting, by: value) }
            return
        }
        guard let value else { return }
        if scan.isThere {
            insert([name + " = " + value], at: scan.end)
        } else {
            let header = Self.header(section)
            insert(
                bytes.isEmpty ? [header, name + " = " + value] : ["", header, name + " = " + value],
                at: bytes.count
            )
        }
    }

    /// Gives a setting another value, or takes it away, from its last line to its first.
    private mutating func replace(_ setting: SectionScan.Setting, by value: String?) {
        guard let value else {
            for line in setting.continuations.reversed() { bytes.removeSubrange(line.whole) }
            bytes.removeSubrange(setting.line.whole)
            return
        }
        guard !setting.continuations.isEmpty || !bytes[setting.value].elementsEqual(value.utf8) else { return }
        for line in setting.continuations.reversed() { bytes.removeSubrange(line.whole) }
        let comment = Self.comment(in: bytes[setting.value])
        let end = lineEnd
        let indent = bytes[setting.line.content].prefix { $0 == 0x20 || $0 == 0x09 }
        var replacement = Array(value.utf8)
        // `name =` with nothing behind it gets the blank that stands before its `=`.
        let previous = bytes[setting.value.lowerBound - 1]
        if previous == UInt8(ascii: "=") || previous == UInt8(ascii: ":"), setting.value.isEmpty,
            bytes[setting.value.lowerBound - 2] == 0x20
        {
            replacement.insert(0x20, at: 0)
        }
        bytes.replaceSubrange(setting.value.lowerBound..<setting.line.content.upperBound, with: replacement)
        if let comment { bytes.insert(contentsOf: indent + comment + end, at: setting.line.whole.lowerBound) }
    }

    /// The comment behind a value: `#` or `;` after a blank, and all that follows.
    private static func comment(in value: ArraySlice<UInt8>) -> [UInt8]? {
        for index in value.indices.dropFirst()
        where (value[index] == UInt8(ascii: "#") || value[index] == UInt8(ascii: ";"))
            && (value[index - 1] == 0x20 || value[index - 1] == 0x09)
        {
            return Array(value[index...])
        }
        return nil
    }

    /// Puts lines at a place between two lines, or behind the last one, which may lack its end.
    private mutating func insert(_ lines: [String], at place: Int) {
        let end = lineEnd
        var text: [UInt8] = []
        let isOpen = place > 0 && bytes[place - 1] != 0x0a && !(place == 3 && bytes.starts(with: [0xef, 0xbb, 0xbf]))
        if isOpen { text += end }
        for line in lines { text += Array(line.utf8) + end }
        bytes.insert(contentsOf: text, at: place)
    }

    /// How the file's first line ends, and with it the lines that are added.
    private var lineEnd: [UInt8] {
        guard let feed = bytes.firstIndex(of: 0x0a), feed > 0, bytes[feed - 1] == 0x0d else { return [0x0a] }
        return [0x0d, 0x0a]
    }

    private static func header(_ section: String) -> String {
        let name = ConfigurationLine.canonicalName(section)
        guard name.hasPrefix("profile "), name.dropFirst("profile ".count).contains(where: { $0 == " " || $0 == "\t" })
        else { return "[\(name)]" }
        return "[profile \"\(name.dropFirst("profile ".count))\"]"
    }

    private static func check(
        _ settings: [(name: String, value: String?)],
        in section: String
    ) throws(DeliveryError) {
        func isPlain(_ text: String) -> Bool { text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f } }
        guard !ConfigurationLine.canonicalName(section).isEmpty, isPlain(section), !section.contains("]"),
            !section.contains("[")
        else {
            throw DeliveryError(.invalidArgument, "\"\(section.filter { $0 >= " " })\" cannot be a section's name")
        }
        for (name, value) in settings {
            let isName = name.utf8.allSatisfy { (0x21...0x7e).contains($0) && !"=:[]#;".utf8.contains($0) }
            guard isName, !name.isEmpty else {
                throw DeliveryError(.invalidArgument, "\"\(name.filter { $0 >= " " })\" cannot be a setting's name")
            }
            guard let value else { continue }
            guard isPlain(value), value.first != " ", value.last != " " else {
                throw DeliveryError(
                    .invalidArgument,
                    "the value of \(name) has a control character, or a blank at its beginning or end"
                )
            }
        }
    }
}

extension SharedConfiguration: CustomStringConvertible, CustomReflectable {
    /// The number of bytes, and none of them.
    public var description: String { "SharedConfiguration(<\(bytes.count) bytes>)" }

    /// The number of bytes, and none of them.
    public var customMirror: Mirror { Mirror(self, children: ["bytes": "<\(bytes.count) bytes>"]) }
}
