// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// The members of a request's body, read with the limits of the service's model.
struct InputMembers {
    private let body: JSONValue
    private let place: String

    /// Reads a body. An empty one has no members.
    ///
    /// - Parameter bytes: The body.
    /// - Throws: ``ServiceRefusal`` when it is not a JSON object.
    init(reading bytes: [UInt8]) throws(ServiceRefusal) {
        guard !bytes.isEmpty else {
            self.init([:])
            return
        }
        let body: JSONValue
        do {
            body = try JSONReader.value(of: bytes)
        } catch {
            throw .validation("the body is not JSON: \(error.message)", hint: error.hint)
        }
        try self.init(member: body, of: "")
    }

    private init(_ body: JSONValue) { (self.body, place) = (body, "") }

    private init(member: JSONValue, of place: String) throws(ServiceRefusal) {
        guard case .object = member else {
            throw .validation("\(place.isEmpty ? "the body" : place) is \(member.kind), not an object")
        }
        (body, self.place) = (member, place)
    }

    /// Whether the member is there, and not null.
    func contains(_ name: String) -> Bool { body[name] ?? .null != .null }

    private func path(_ name: String) -> String { place.isEmpty ? name : "\(place).\(name)" }

    private func member<Value>(
        _ name: String,
        _ kind: String,
        _ read: (JSONValue) -> Value?
    ) throws(ServiceRefusal) -> Value? {
        guard let member = body[name], member != .null else { return nil }
        guard let value = read(member) else { throw .validation("\(path(name)) is \(member.kind), not \(kind)") }
        return value
    }

    /// What a text may consist of.
    enum Form {
        case any
        /// `[ a-zA-Z0-9-_]*`
        case resourceName
        /// `[ a-zA-Z0-9_.:/=+@-]*`
        case tag
        /// `(?!.*//)([A-Za-z]([A-Za-z0-9_/-]*[A-Za-z0-9_-])?)?`
        case alias
        /// `arn:aws(-[^:]+)?:iam(:.*){2}(:role.*)`
        case roleARN
        /// `[\w+=,.@-]*`
        case roleName
        /// `/`, or printable ASCII between two slashes
        case rolePath

        fileprivate func admits(_ text: String) -> Bool {
            switch self {
            case .any: return true
            case .resourceName: return text.utf8.allSatisfy { isWord($0) || $0 == 0x20 || $0 == 0x2d }
            case .tag: return text.utf8.allSatisfy { isWord($0) || " .:/=+@-".utf8.contains($0) }
            case .alias:
                guard let first = text.utf8.first, let last = text.utf8.last else { return true }
                return (0x41...0x5a).contains(first & 0xdf) && last != 0x2f && !text.contains("//")
                    && text.utf8.allSatisfy { isWord($0) || $0 == 0x2f || $0 == 0x2d }
                    && !text.lowercased().hasPrefix("aws/")
            case .roleARN:
                guard let arn = AmazonResourceName(text) else { return false }
                return arn.service == "iam" && arn.region.isEmpty && arn.resource.hasPrefix("role/")
            case .roleName: return text.utf8.allSatisfy { isWord($0) || "+=,.@-".utf8.contains($0) }
            case .rolePath:
                return text == "/"
                    || text.utf8.count > 2 && text.hasPrefix("/") && text.hasSuffix("/")
                        && text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
            }
        }

        fileprivate var words: String {
            switch self {
            case .any: "text"
            case .resourceName: "letters, digits, blanks, \"-\" and \"_\""
            case .tag: "letters, digits, blanks and _.:/=+@-"
            case .alias: "a letter, then letters, digits, \"_\", \"-\" and single \"/\" inside, but not \"aws/\" first"
            case .roleARN: "the ARN of a role"
            case .roleName: "letters, digits and _+=,.@-"
            case .rolePath: "\"/\", or a path that begins and ends with one"
            }
        }

        private func isWord(_ byte: UInt8) -> Bool {
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte) || byte == 0x5f
        }
    }

    /// A text.
    ///
    /// - Parameters:
    ///   - name: The member's name.
    ///   - length: How many characters it may have.
    ///   - form: What it may consist of.
    /// - Returns: The text; nothing when the member is absent.
    /// - Throws: ``ServiceRefusal`` naming the limit.
    func string(_ name: String, _ length: ClosedRange<Int>, _ form: Form = .any) throws(ServiceRefusal) -> String? {
        guard let text = try member(name, "a string", \.string) else { return nil }
        return try Self.check(text, path(name), length, form)
    }

    /// A text that must be there.
    func required(_ name: String, _ length: ClosedRange<Int>, _ form: Form = .any) throws(ServiceRefusal) -> String {
        guard let text = try string(name, length, form) else { throw .validation("\(path(name)) is missing") }
        return text
    }

    private static func check(
        _ text: String,
        _ path: String,
        _ length: ClosedRange<Int>,
        _ form: Form
    ) throws(ServiceRefusal) -> String {
        let count = text.unicodeScalars.count
        guard length.contains(count) else {
            throw .validation("\(path) has \(count) characters, not \(length.lowerBound) to \(length.upperBound)")
        }
        guard form.admits(text) else {
            throw .validation("\(path) is \"\(text.prefix(80))\", not \(form.words)")
        }
        return text
    }

    /// Texts.
    ///
    /// - Parameters:
    ///   - name: The member's name.
    ///   - count: How many there may be.
    ///   - length: How many characters each may have.
    ///   - form: What each may consist of.
    /// - Returns: The texts; nothing when the member is absent.
    /// - Throws: ``ServiceRefusal`` naming the limit.
    func strings(
        _ name: String,
        _ count: ClosedRange<Int>,
        _ length: ClosedRange<Int>,
        _ form: Form = .any
    ) throws(ServiceRefusal) -> [String]? {
        guard let elements = try elements(name, count) else { return nil }
        var texts: [String] = []
        for (index, element) in elements.enumerated() {
            let place = "\(path(name))[\(index)]"
            guard let text = element.string else { throw .validation("\(place) is \(element.kind), not a string") }
            texts.append(try Self.check(text, place, length, form))
        }
        return texts
    }

    /// Objects.
    func objects(_ name: String, _ count: ClosedRange<Int>) throws(ServiceRefusal) -> [InputMembers]? {
        guard let elements = try elements(name, count) else { return nil }
        var objects: [InputMembers] = []
        for (index, element) in elements.enumerated() {
            objects.append(try InputMembers(member: element, of: "\(path(name))[\(index)]"))
        }
        return objects
    }

    private func elements(_ name: String, _ count: ClosedRange<Int>) throws(ServiceRefusal) -> [JSONValue]? {
        guard let elements = try member(name, "an array", \.array) else { return nil }
        guard count.contains(elements.count) else {
            throw .validation(
                "\(path(name)) has \(elements.count) elements, not \(count.lowerBound) to \(count.upperBound)"
            )
        }
        return elements
    }

    /// An object.
    func object(_ name: String) throws(ServiceRefusal) -> InputMembers? {
        guard contains(name), let member = body[name] else { return nil }
        return try InputMembers(member: member, of: path(name))
    }

    /// A whole number.
    func integer(_ name: String, _ range: ClosedRange<Int>) throws(ServiceRefusal) -> Int? {
        guard let number = try member(name, "a whole number", \.integer) else { return nil }
        guard range.contains(number) else {
            throw .validation("\(path(name)) is \(number), not \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// Yes or no.
    func boolean(_ name: String) throws(ServiceRefusal) -> Bool? { try member(name, "a boolean", \.boolean) }

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
        let text = member.string ?? member.text
        _ = try Self.check(text, path(name), 1...100_000, .any)
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

    /// Refuses members that nobody would read: they are misspelt.
    func refuseOthers(than names: Set<String>) throws(ServiceRefusal) {
        for member in body.members ?? [] where !names.contains(member.name) {
            throw .validation(
                "\(path(member.name)) is not known",
                hint: "known are: \(names.sorted().joined(separator: ", "))"
            )
        }
    }

    /// Bytes in base64.
    func bytes(_ name: String) throws(ServiceRefusal) -> [UInt8]? {
        guard let text = try member(name, "a string", \.string) else { return nil }
        guard let data = Data(base64Encoded: text) else { throw .validation("\(path(name)) is not base64") }
        return Array(data)
    }

    /// Tags: at most 200, no key twice, none of AWS's own.
    func tags() throws(ServiceRefusal) -> [Tag]? {
        guard let objects = try objects("tags", 0...200) else { return nil }
        var tags: [Tag] = []
        for object in objects {
            let tag = Tag(
                key: try object.required("key", 1...128, .tag),
                value: try object.required("value", 0...256, .tag)
            )
            guard !tag.key.lowercased().hasPrefix("aws:") else {
                throw .validation("the tag key \(tag.key) begins with \"aws:\", which is AWS's own")
            }
            guard !tags.contains(where: { $0.key == tag.key }) else {
                throw .validation("the tag key \(tag.key) stands twice")
            }
            tags.append(tag)
        }
        return tags
    }

    /// One of a few words.
    func word<Word: RawRepresentable & CaseIterable>(
        _ name: String,
        of type: Word.Type
    ) throws(ServiceRefusal) -> Word? where Word.RawValue == String {
        guard let text = try member(name, "a string", \.string) else { return nil }
        guard let word = Word(rawValue: text) else {
            throw .validation(
                "\(path(name)) is \"\(text.prefix(80))\", not \(Word.allCases.map(\.rawValue).joined(separator: ", "))"
            )
        }
        return word
    }
}
