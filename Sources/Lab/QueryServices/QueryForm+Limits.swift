// SPDX-License-Identifier: Apache-2.0

import HTTPService

extension QueryForm {
    /// What a text may consist of.
    enum Form: Sendable {
        /// `[\w+=,.@-]*`
        case name
        /// The same with `:` and `/`.
        case externalIdentifier
        case path
        case pathPrefix
        case description
        /// Characters up to U+00FF, and no control characters but tab and line end.
        case policy
        case tag
        case any

        /// `[\w+=,.@-]`; in these services `\w` is ASCII's.
        static func isNameCharacter(_ scalar: Unicode.Scalar) -> Bool {
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "_", "+", "=", ",", ".", "@", "-": true
            default: false
            }
        }

        /// The expression of the service's model.
        var pattern: String {
            switch self {
            case .name: #"[\w+=,.@-]+"#
            case .externalIdentifier: #"[\w+=,.@:\/-]*"#
            case .path: #"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)"#
            case .pathPrefix: #"\u002F[\u0021-\u007F]*"#
            case .description: #"[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*"#
            case .policy: #"[\u0009\u000A\u000D\u0020-\u00FF]+"#
            case .tag: #"[\p{L}\p{Z}\p{N}_.:/=+\-@]+"#
            case .any: ".*"
            }
        }

        func admits(_ text: String) -> Bool {
            let scalars = text.unicodeScalars
            return switch self {
            case .name: scalars.allSatisfy(Self.isNameCharacter)
            case .externalIdentifier: scalars.allSatisfy { Self.isNameCharacter($0) || $0 == ":" || $0 == "/" }
            case .path:
                text == "/"
                    || scalars.count > 2 && scalars.first == "/" && scalars.last == "/"
                        && scalars.allSatisfy { ("\u{21}"..."\u{7e}").contains($0) }
            case .pathPrefix: scalars.first == "/" && scalars.allSatisfy { ("\u{21}"..."\u{7f}").contains($0) }
            case .description:
                scalars.allSatisfy {
                    Self.isBlank($0) || ("\u{20}"..."\u{7e}").contains($0) || ("\u{a1}"..."\u{ff}").contains($0)
                }
            case .policy: scalars.allSatisfy { Self.isBlank($0) || ("\u{20}"..."\u{ff}").contains($0) }
            case .tag: scalars.allSatisfy(Self.isTagCharacter)
            case .any: true
            }
        }

        private static func isBlank(_ scalar: Unicode.Scalar) -> Bool { "\t\n\r".unicodeScalars.contains(scalar) }

        private static func isTagCharacter(_ scalar: Unicode.Scalar) -> Bool {
            if "_.:/=+-@".unicodeScalars.contains(scalar) { return true }
            return switch scalar.properties.generalCategory {
            case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .spaceSeparator,
                .lineSeparator, .paragraphSeparator, .decimalNumber, .letterNumber, .otherNumber:
                true
            default: false
            }
        }
    }

    /// A text.
    ///
    /// - Parameters:
    ///   - name: The parameter's name.
    ///   - length: How many characters it may have.
    ///   - form: What it may consist of.
    /// - Returns: The text; nothing when it is absent.
    /// - Throws: ``ServiceRefusal`` naming the constraint.
    func text(_ name: String, _ length: ClosedRange<Int>, _ form: Form = .any) throws(ServiceRefusal) -> String? {
        guard let text = self[name] else { return nil }
        try Self.check(text, Self.member(name), length, form)
        return text
    }

    /// A text that must be there.
    func required(_ name: String, _ length: ClosedRange<Int>, _ form: Form = .any) throws(ServiceRefusal) -> String {
        guard let text = try text(name, length, form) else {
            throw .constraint(nil, Self.member(name), "not be null")
        }
        return text
    }

    /// A whole number.
    func integer(_ name: String, _ range: ClosedRange<Int>) throws(ServiceRefusal) -> Int? {
        guard let text = self[name] else { return nil }
        guard let number = Int(text) else {
            throw ServiceRefusal(
                code: .init("MalformedInput", .badRequest),
                message: "Invalid Argument",
                detail: "\(name) is \"\(text.prefix(80))\", not a whole number"
            )
        }
        guard number >= range.lowerBound else {
            throw .constraint(text, Self.member(name), "have value greater than or equal to \(range.lowerBound)")
        }
        guard number <= range.upperBound else {
            throw .constraint(text, Self.member(name), "have value less than or equal to \(range.upperBound)")
        }
        return number
    }

    /// Texts, as ``list(_:)`` finds them.
    func texts(
        _ name: String,
        atMost count: Int,
        _ length: ClosedRange<Int>,
        _ form: Form
    ) throws(ServiceRefusal) -> [String] {
        let texts = list(name)
        try Self.check(count: texts.count, atMost: count, name)
        for (index, text) in texts.enumerated() {
            try Self.check(text, "\(Self.member(name)).\(index + 1).member", length, form)
        }
        return texts
    }

    /// Tags: at most 50, no key twice, in whatever case, and none of AWS's own.
    ///
    /// - Returns: The tags in their order.
    /// - Throws: ``ServiceRefusal`` naming the constraint.
    func checkedTags() throws(ServiceRefusal) -> [Tag] {
        let tags = tags()
        try Self.check(count: tags.count, atMost: 50, "Tags")
        var keys: Set<String> = []
        for (index, tag) in tags.enumerated() {
            try Self.check(tag.key, "tags.\(index + 1).member.key", 1...128, .tag)
            try Self.check(tag.value, "tags.\(index + 1).member.value", 0...256, .tag)
            guard !tag.key.lowercased().hasPrefix("aws:") else {
                throw .unacceptable("Tag keys starting with \"aws:\" are reserved for AWS: \(tag.key)")
            }
            guard keys.insert(tag.key.lowercased()).inserted else {
                throw .unacceptable("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
            }
        }
        return tags
    }

    private static func check(count: Int, atMost limit: Int, _ name: String) throws(ServiceRefusal) {
        guard count <= limit else {
            throw .constraint("[\(count) members]", member(name), "have length less than or equal to \(limit)")
        }
    }

    private static func check(
        _ text: String,
        _ member: String,
        _ length: ClosedRange<Int>,
        _ form: Form
    ) throws(ServiceRefusal) {
        let count = text.unicodeScalars.count
        guard count >= length.lowerBound else {
            throw .constraint(text, member, "have length greater than or equal to \(length.lowerBound)")
        }
        guard count <= length.upperBound else {
            throw .constraint(text, member, "have length less than or equal to \(length.upperBound)")
        }
        guard form.admits(text) else {
            throw .constraint(text, member, "satisfy regular expression pattern: \(form.pattern)")
        }
    }

    private static func member(_ name: String) -> String { name.prefix(1).lowercased() + name.dropFirst() }
}
