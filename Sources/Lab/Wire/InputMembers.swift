// SPDX-License-Identifier: Apache-2.0

import AWSModel
import FoundationEssentials
import SystemSupport

/// The members of a JSON object that was received, read with the limits of the service's model. A refusal names the
/// member by its path. Reading an absent member, or one that is null, gives `nil`.
struct InputMembers {
    private let body: JSONValue
    private let place: String

    /// Reads a body. An empty one has no members.
    init(reading bytes: [UInt8]) throws(ServiceRefusal) {
        let body: JSONValue
        do {
            body = bytes.isEmpty ? [:] : try JSONReader.value(of: bytes)
        } catch {
            throw .validation("the body is not JSON: \(error.message)", hint: error.hint)
        }
        try self.init(body, at: "")
    }

    private init(_ value: JSONValue, at place: String) throws(ServiceRefusal) {
        guard case .object = value else {
            throw .validation("\(place.isEmpty ? "the body" : place) is \(value.kind), not an object")
        }
        (body, self.place) = (value, place)
    }

    /// Whether the member is there, and not null.
    func contains(_ name: String) -> Bool { body[name] ?? .null != .null }

    private func path(_ name: String) -> String { place.isEmpty ? name : "\(place).\(name)" }

    private func member<Value>(
        _ name: String, _ kind: String, _ read: (JSONValue) -> Value?
    ) throws(ServiceRefusal) -> Value? {
        guard let member = body[name], member != .null else { return nil }
        guard let value = read(member) else { throw .validation("\(path(name)) is \(member.kind), not \(kind)") }
        return value
    }

    func string(_ name: String, _ length: ClosedRange<Int>, _ form: TextForm = .any) throws(ServiceRefusal) -> String? {
        guard let text = try member(name, "a string", \.string) else { return nil }
        return try Self.check(text, path(name), length, form)
    }

    /// A text that must be there.
    func required(_ name: String, _ length: ClosedRange<Int>, _ form: TextForm = .any) throws(ServiceRefusal) -> String
    {
        guard let text = try string(name, length, form) else { throw .validation("\(path(name)) is missing") }
        return text
    }

    /// The `name` of a trust anchor, profile or CRL.
    func resourceName() throws(ServiceRefusal) -> String {
        try required("name", AWSLimit.resourceNameLength.range, .resourceName)
    }

    private static func check(
        _ text: String, _ path: String, _ length: ClosedRange<Int>, _ form: TextForm
    ) throws(ServiceRefusal) -> String {
        let count = text.unicodeScalars.count
        guard length.contains(count) else {
            throw .validation("\(path) has \(count) characters, not \(length.lowerBound) to \(length.upperBound)")
        }
        guard form.admits(text) else {
            throw .validation("\(path) is \"\(text.prefix(80))\", not \(form.expected)")
        }
        return text
    }

    func strings(
        _ name: String, _ count: ClosedRange<Int>, _ length: ClosedRange<Int>, _ form: TextForm = .any
    ) throws(ServiceRefusal) -> [String]? {
        try elements(name, count) { element, place throws(ServiceRefusal) in
            guard let text = element.string else { throw .validation("\(place) is \(element.kind), not a string") }
            return try Self.check(text, place, length, form)
        }
    }

    func objects(_ name: String, _ count: ClosedRange<Int>) throws(ServiceRefusal) -> [InputMembers]? {
        try elements(name, count) { element, place throws(ServiceRefusal) in try InputMembers(element, at: place) }
    }

    private func elements<Element>(
        _ name: String, _ count: ClosedRange<Int>, _ read: (JSONValue, String) throws(ServiceRefusal) -> Element
    ) throws(ServiceRefusal) -> [Element]? {
        guard let elements = try member(name, "an array", \.array) else { return nil }
        let path = path(name)
        guard count.contains(elements.count) else {
            throw .validation("\(path) has \(elements.count) elements, not \(count.lowerBound) to \(count.upperBound)")
        }
        var found: [Element] = []
        for (index, element) in elements.enumerated() { found.append(try read(element, "\(path)[\(index)]")) }
        return found
    }

    func object(_ name: String) throws(ServiceRefusal) -> InputMembers? {
        guard contains(name), let member = body[name] else { return nil }
        return try InputMembers(member, at: path(name))
    }

    func integer(_ name: String, _ range: ClosedRange<Int>) throws(ServiceRefusal) -> Int? {
        guard let number = try member(name, "a whole number", \.integer) else { return nil }
        guard range.contains(number) else {
            throw .validation("\(path(name)) is \(number), not \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func boolean(_ name: String) throws(ServiceRefusal) -> Bool? { try member(name, "a boolean", \.boolean) }

    /// Bytes in base64.
    func bytes(_ name: String) throws(ServiceRefusal) -> [UInt8]? {
        guard let text = try member(name, "a string", \.string) else { return nil }
        guard let data = Data(base64Encoded: text) else { throw .validation("\(path(name)) is not base64") }
        return Array(data)
    }

    /// One of a few words, which must be there.
    func word<Word: RawRepresentable & CaseIterable>(
        _ name: String, of type: Word.Type
    ) throws(ServiceRefusal) -> Word where Word.RawValue == String {
        let text = try required(name, 0...Int.max)
        guard let word = Word(rawValue: text) else {
            throw .validation(
                "\(path(name)) is \"\(text.prefix(80))\", not \(Word.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return word
    }

    /// Texts by their names.
    func texts(_ name: String) throws(ServiceRefusal) -> [String: String]? {
        guard let object = try object(name) else { return nil }
        var texts: [String: String] = [:]
        for member in object.body.members ?? [] { texts[member.name] = try object.required(member.name, 0...Int.max) }
        return texts
    }

    /// A policy that limits sessions, as text or as an object.
    func policyText(_ name: String) throws(ServiceRefusal) -> String? {
        guard let member = body[name], member != .null else { return nil }
        let text = try Self.check(member.string ?? member.text, path(name), AWSLimit.sessionPolicyLength.range, .any)
        do {
            _ = try PolicyDocument(text, kind: .identity)
        } catch {
            throw .validation("\(path(name)) is malformed: \(error.detail)", hint: error.hint)
        }
        return text
    }

    /// A policy that is written as an object, as text.
    func objectText(_ name: String) throws(ServiceRefusal) -> String? {
        try member(name, "an object") { $0.members == nil ? nil : $0.text }
    }

    /// Tags: no key twice, none of AWS's own.
    func tags() throws(ServiceRefusal) -> [Tag]? {
        guard let objects = try objects("tags", AWSLimit.tagCount.range) else { return nil }
        var tags: [Tag] = []
        for object in objects {
            let key = try object.required("key", AWSLimit.tagKeyLength.range, .tag)
            let value = try object.required("value", AWSLimit.tagValueLength.range, .tag)
            guard !key.lowercased().hasPrefix("aws:") else {
                throw .validation("the tag key \(key) begins with \"aws:\", which is AWS's own")
            }
            guard !tags.contains(where: { $0.key == key }) else {
                throw .validation("the tag key \(key) appears twice")
            }
            tags.append(Tag(key: key, value: value))
        }
        return tags
    }

    /// Refuses members that nothing reads: they are misspelt.
    func refuseOthers(than names: Set<String>) throws(ServiceRefusal) {
        for member in body.members ?? [] where !names.contains(member.name) {
            throw .validation(
                "\(path(member.name)) is not known", hint: "known are: \(names.sorted().joined(separator: ", "))")
        }
    }
}

/// What a text may consist of.
struct TextForm: Sendable {
    /// In words for the control plane, as the expression of the service's model for IAM and STS.
    let expected: String
    let admits: @Sendable (String) -> Bool

    private init(_ description: String, _ admits: @escaping @Sendable (String) -> Bool) {
        (expected, self.admits) = (description, admits)
    }

    private init(_ text: AWSText) { self.init(text.words) { text.allows($0) } }

    /// A form that allows or refuses each character.
    private static func characters(
        _ description: String, _ isAllowed: @escaping @Sendable (Unicode.Scalar) -> Bool
    ) -> TextForm {
        TextForm(description) { $0.unicodeScalars.allSatisfy(isAllowed) }
    }

    private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_": true
        default: false
        }
    }

    /// `[\w+=,.@-]`; in these services `\w` is ASCII's.
    static func isNameCharacter(_ scalar: Unicode.Scalar) -> Bool { isWord(scalar) || "+=,.@-".has(scalar) }

    private static func isPath(_ text: String) -> Bool {
        let scalars = text.unicodeScalars
        return text == "/"
            || scalars.count > 2 && scalars.first == "/" && scalars.last == "/"
                && scalars.allSatisfy { ("\u{21}"..."\u{7e}").contains($0) }
    }

    static let any = TextForm(".*") { _ in true }

    // MARK: The control plane, and seeds

    /// `[ a-zA-Z0-9-_]*`
    static let resourceName = TextForm(AWSText.resourceName)

    /// `[ a-zA-Z0-9_.:/=+@-]*`
    static let tag = TextForm(AWSText.tag)

    /// `(?!.*//)([A-Za-z]([A-Za-z0-9_/-]*[A-Za-z0-9_-])?)?`
    static let alias = TextForm(
        "a letter, then letters, digits, \"_\", \"-\" and single \"/\" inside, but not \"aws/\" first"
    ) { text in
        guard let first = text.utf8.first, let last = text.utf8.last else { return true }
        return (0x41...0x5a).contains(first & 0xdf) && last != 0x2f && !text.contains("//")
            && text.unicodeScalars.allSatisfy { isWord($0) || "/-".has($0) }
            && !text.lowercased().hasPrefix("aws/")
    }

    /// `arn:aws(-[^:]+)?:iam(:.*){2}(:role.*)`
    static let roleARN = TextForm("the ARN of a role") { text in
        guard let arn = AmazonResourceName(text) else { return false }
        return arn.isA(.role)
    }

    static let roleName = TextForm(AWSText.sessionName)
    static let rolePath = TextForm("\"/\", or a path that begins and ends with one", isPath)

    // MARK: IAM and STS

    static let name = characters(#"[\w+=,.@-]+"#, isNameCharacter)
    static let externalIdentifier = characters(#"[\w+=,.@:\/-]*"#) { isNameCharacter($0) || ":/".has($0) }
    static let path = TextForm(#"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)"#, isPath)
    static let pathPrefix = TextForm(#"\u002F[\u0021-\u007F]*"#) { text in
        text.hasPrefix("/") && text.unicodeScalars.allSatisfy { ("\u{21}"..."\u{7f}").contains($0) }
    }
    static let description = characters(#"[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*"#) {
        "\t\n\r".has($0) || ("\u{20}"..."\u{7e}").contains($0) || ("\u{a1}"..."\u{ff}").contains($0)
    }
    static let policy = characters(#"[\u0009\u000A\u000D\u0020-\u00FF]+"#) {
        "\t\n\r".has($0) || ("\u{20}"..."\u{ff}").contains($0)
    }
    static let policyVersion = TextForm(#"v[1-9][0-9]*(\.[A-Za-z0-9-]*)?"#) { text in
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let (number, suffix) = (parts[0].unicodeScalars, parts.dropFirst().first?.unicodeScalars)
        return number.count > 1 && number.first == "v" && number.dropFirst().first != "0"
            && number.dropFirst().allSatisfy { ("0"..."9").contains($0) }
            && suffix?.allSatisfy { $0 == "-" || isWord($0) && $0 != "_" } ?? true
    }
    static let roleTag = characters(#"[\p{L}\p{Z}\p{N}_.:/=+\-@]+"#, CertificateAttribute.isTaggable)
}

extension String {
    fileprivate func has(_ scalar: Unicode.Scalar) -> Bool { unicodeScalars.contains(scalar) }
}
