// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// The name of a section, in the one form that all spellings of it have in common.
///
/// Blanks around it, how many there are behind `profile`, and quotes there make no difference. Upper and lower case do.
struct ConfigurationSectionName {
    /// The name without what makes no difference: `default`, `profile web`, `profile my name`.
    let bytes: [UInt8]

    /// Whether every program understands the header. botocore does not know `[ default ]`, and a name with blanks behind
    /// `profile` only in quotes.
    let isPlain: Bool

    /// What comes in front of a name that may be quoted.
    private static let kinds = ["profile", "sso-session", "services"].map { Array($0.utf8) }

    /// Takes what stands between the brackets.
    init(_ header: some Collection<UInt8>) {
        let header = Array(header)
        let trimmed = Array(header[header.trimmed(0..<header.count)])
        guard let blank = trimmed.firstIndex(where: \.isBlank), Self.kinds.contains(Array(trimmed[..<blank])) else {
            bytes = trimmed
            isPlain = trimmed.count == header.count
            return
        }
        var name = Array(trimmed[trimmed.trimmed(blank..<trimmed.count)])
        var isQuoted = false
        if name.count >= 2, let quote = name.first, quote == name.last, Self.quotes.contains(quote) {
            isQuoted = true
            name = Array(name[name.trimmed(1..<name.count - 1)])
        }
        bytes = trimmed[..<blank] + [.space] + name
        isPlain = trimmed.first == header.first && (isQuoted || !name.contains(where: \.isBlank))
    }

    /// Takes a name that someone wants to change.
    ///
    /// - Parameter name: The name in any spelling.
    /// - Throws: ``DeliveryError`` when not every program could find a section of this name.
    init(checking name: String) throws(DeliveryError) {
        func refusal(_ reason: String) -> DeliveryError {
            DeliveryError(.invalidArgument, "no section can have the name “\(printable(name, limit: 100))”: \(reason)")
        }
        self.init(name.utf8)
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

    /// The line that begins the section, with the name quoted when it has to be; nothing when no quotes do.
    var header: [UInt8] { [.leftBracket] + (quotedHeader ?? bytes) + [.rightBracket] }

    private var quotedHeader: [UInt8]? {
        guard let blank = bytes.firstIndex(of: .space), Self.kinds.contains(Array(bytes[..<blank])) else {
            return bytes
        }
        let name = bytes[(blank + 1)...]
        let special = name.filter { $0.isBlank || Self.quotes.contains($0) || $0 == Self.backslash }
        guard !special.isEmpty else { return bytes }
        // In single quotes nothing is special, in double ones a backslash is.
        guard special.contains(Self.quotes[0]) else {
            return bytes[...blank] + [Self.quotes[0]] + name + [Self.quotes[0]]
        }
        if special.contains(Self.quotes[1]) || special.contains(Self.backslash) { return nil }
        return bytes[...blank] + [Self.quotes[1]] + name + [Self.quotes[1]]
    }

    private static let quotes = [UInt8(ascii: "'"), UInt8(ascii: "\"")]
    private static let backslash = UInt8(ascii: "\\")
}

extension Unicode.Scalar {
    /// Whether this must not stand in a line: a control character, or what some reader takes as the end of a line.
    var endsOrControlsLines: Bool {
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}

extension String {
    /// Whether some reader would take the text from some place on as a comment: a `#` or `;` in front or behind a blank.
    var holdsComment: Bool {
        var isBehindBlank = true
        for scalar in unicodeScalars {
            if isBehindBlank, scalar == "#" || scalar == ";" { return true }
            isBehindBlank = scalar.properties.isWhitespace
        }
        return false
    }
}
