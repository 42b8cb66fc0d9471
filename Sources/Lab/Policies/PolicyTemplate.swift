// SPDX-License-Identifier: Apache-2.0

/// A value of a policy, with the variables that the request fills (IAM User Guide, "Variables and tags").
struct PolicyTemplate: Sendable, Hashable {
    /// How a text is read.
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

    /// Whether the request has a say in what the value is.
    var hasVariables: Bool { fixed == nil }

    /// Reads a value; there is nothing when a variable has no end, no name, or a default that is not in apostrophes.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - style: How it is read.
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

    /// The value for a request.
    ///
    /// What a variable brings is compared as it is: a wildcard in it is none.
    ///
    /// - Parameter context: What is known of the request.
    /// - Returns: Nothing when a variable's key is absent or has several values; then nothing is equal or like.
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

    /// The value for a request as text for people; nothing when a variable has no value.
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
