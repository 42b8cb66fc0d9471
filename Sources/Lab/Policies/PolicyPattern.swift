// SPDX-License-Identifier: Apache-2.0

/// A text with wildcards, ready to be compared: `*` is any number of characters, `?` is one.
///
/// The time is at worst the product of the lengths: only the last star is tried again. fnmatch(3) would read brackets and
/// backslashes too, and its time has no such bound.
struct PolicyPattern: Sendable, Hashable {
    /// An octet of UTF-8, or one of the two wildcards, which are no octets.
    typealias Element = UInt16

    static let anyRun: Element = 0x100
    static let anyCharacter: Element = 0x101

    private static let colon = Element(UInt8(ascii: ":"))

    let elements: [Element]
    private let hasWildcards: Bool

    init(_ elements: [Element]) {
        self.elements = elements
        hasWildcards = elements.contains { $0 >= 0x100 }
    }

    init(wildcards text: String) { self.init(Self.elements(of: text, wildcards: true)) }

    static func elements(of text: some StringProtocol, wildcards: Bool) -> [Element] {
        text.utf8.map { octet in
            switch octet {
            case UInt8(ascii: "*") where wildcards: anyRun
            case UInt8(ascii: "?") where wildcards: anyCharacter
            default: Element(octet)
            }
        }
    }

    func matches(_ text: String) -> Bool {
        guard hasWildcards else {
            return text.utf8.count == elements.count && text.utf8.elementsEqual(elements) { Element($0) == $1 }
        }
        return Self.matches(elements[...], Array(text.utf8)[...])
    }

    /// Whether a text is an ARN of which each of the six parts matches the pattern's: no wildcard reaches over a colon
    /// but in the last part, which may hold some (IAM User Guide, "ARN condition operators").
    func matchesARN(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        let parts = bytes.split(separator: UInt8(ascii: ":"), maxSplits: 5, omittingEmptySubsequences: false)
        let patterns = elements.split(separator: Self.colon, maxSplits: 5, omittingEmptySubsequences: false)
        guard parts.count == 6, patterns.count == 6 else { return false }
        return zip(patterns, parts).allSatisfy { Self.matches($0, $1) }
    }

    private static func matches(_ pattern: ArraySlice<Element>, _ text: ArraySlice<UInt8>) -> Bool {
        var inPattern = pattern.startIndex
        var inText = text.startIndex
        var retry: (inPattern: Int, inText: Int)?
        while inText < text.endIndex {
            let element = inPattern < pattern.endIndex ? pattern[inPattern] : 0x1ff
            if element == anyRun {
                inPattern += 1
                retry = (inPattern, inText)
            } else if element == anyCharacter {
                inPattern += 1
                inText = characterEnd(inText, text)
            } else if element == Element(text[inText]) {
                inPattern += 1
                inText += 1
            } else if let last = retry {
                inPattern = last.inPattern
                inText = characterEnd(last.inText, text)
                retry = (inPattern, inText)
            } else {
                return false
            }
        }
        return pattern[inPattern...].allSatisfy { $0 == anyRun }
    }

    /// Where the next character begins: after the continuation octets.
    private static func characterEnd(_ index: Int, _ text: ArraySlice<UInt8>) -> Int {
        var end = index + 1
        while end < text.endIndex, text[end] & 0xc0 == 0x80 { end += 1 }
        return end
    }
}

/// A value of a policy, with the variables that the request fills (IAM User Guide, "Variables and tags").
struct PolicyTemplate: Sendable, Hashable {
    struct Style: Sendable, Hashable {
        /// Whether `*` and `?` are wildcards.
        var hasWildcards = false
        /// Whether `${…}` is a variable, which is so since version 2012-10-17 of the language.
        var hasVariables = false
        /// Whether case counts.
        var ignoresCase = false
    }

    private enum Part: Sendable, Hashable {
        case fixed([PolicyPattern.Element])
        case variable(key: String, fallback: String?)
    }

    /// The text as written.
    let text: String

    private let style: Style
    private let parts: [Part]
    private let fixed: PolicyPattern?

    /// Whether the value depends on the request.
    var hasVariables: Bool { fixed == nil }

    /// Reads a value; `nil` if a variable has no end, no name, or a default that is not in apostrophes.
    init?(_ text: String, _ style: Style) {
        self.text = text
        self.style = style
        var parts: [Part] = []
        var rest = (style.ignoresCase ? text.lowercased() : text)[...]
        // The default keeps its case until it is compared; names have none.
        while style.hasVariables, let start = rest.firstRange(of: "${") {
            parts.append(.fixed(PolicyPattern.elements(of: rest[..<start.lowerBound], wildcards: style.hasWildcards)))
            guard let end = rest[start.upperBound...].firstIndex(of: "}"),
                let part = Self.part(rest[start.upperBound..<end])
            else { return nil }
            parts.append(part)
            rest = rest[rest.index(after: end)...]
        }
        parts.append(.fixed(PolicyPattern.elements(of: rest, wildcards: style.hasWildcards)))
        var elements: [PolicyPattern.Element]? = []
        for part in parts {
            if case .fixed(let some) = part { elements?.append(contentsOf: some) } else { elements = nil }
        }
        self.parts = parts
        fixed = elements.map(PolicyPattern.init)
    }

    private static func part(_ variable: Substring) -> Part? {
        if ["*", "?", "$"].contains(variable) {
            return .fixed(PolicyPattern.elements(of: variable, wildcards: false))
        }
        guard let comma = variable.firstIndex(of: ",") else {
            let key = trimmed(variable)
            return key.isEmpty ? nil : .variable(key: key.lowercased(), fallback: nil)
        }
        let key = trimmed(variable[..<comma])
        let fallback = trimmed(variable[variable.index(after: comma)...])
        guard !key.isEmpty, fallback.utf8.count >= 2, fallback.hasPrefix("'"), fallback.hasSuffix("'") else {
            return nil
        }
        return .variable(key: key.lowercased(), fallback: String(fallback.dropFirst().dropLast()))
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " }
        while text.last == " " { text = text.dropLast() }
        return text
    }

    /// The value for a request; `nil`, which matches nothing, if a variable's key is absent or has several values. A
    /// wildcard in the value of a variable is an ordinary character.
    func pattern(in context: PolicyContext) -> PolicyPattern? {
        if let fixed { return fixed }
        var elements: [PolicyPattern.Element] = []
        for part in parts {
            switch part {
            case .fixed(let some): elements += some
            case .variable(let key, let fallback):
                let values = context.values(ofFolded: key)
                guard values.count <= 1, let value = values.first ?? fallback else { return nil }
                let text = style.ignoresCase ? value.lowercased() : value
                elements += PolicyPattern.elements(of: text, wildcards: false)
            }
        }
        return PolicyPattern(elements)
    }

    /// The value for a request as text for people; `nil` if a variable has no value.
    func resolved(in context: PolicyContext) -> String? {
        guard hasVariables else { return text }
        return pattern(in: context).map { pattern in
            let octets = pattern.elements.map { element in
                switch element {
                case PolicyPattern.anyRun: UInt8(ascii: "*")
                case PolicyPattern.anyCharacter: UInt8(ascii: "?")
                default: UInt8(truncatingIfNeeded: element)
                }
            }
            return String(decoding: octets, as: UTF8.self)
        }
    }
}
