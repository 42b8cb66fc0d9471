// SPDX-License-Identifier: Apache-2.0

package import struct FoundationEssentials.Date

/// A JSON value (RFC 8259). Members keep their order, numbers their digits.
///
/// Small objects are written through it because the first use of an encoder costs more than all of them together.
package enum JSONValue: Hashable, Sendable {
    case null
    case boolean(Bool)
    /// A number by its digits.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([JSONMember])

    /// The value of a member; `nil` if there is none, or if this is not an object.
    package subscript(name: String) -> JSONValue? { members?.first { $0.name == name }?.value }

    package var string: String? { if case .string(let text) = self { text } else { nil } }
    /// The number; `nil` if it is not whole or does not fit.
    package var integer: Int? { if case .number(let digits) = self { Int(digits) } else { nil } }
    package var boolean: Bool? { if case .boolean(let boolean) = self { boolean } else { nil } }
    package var array: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }
    package var members: [JSONMember]? { if case .object(let members) = self { members } else { nil } }

    /// The kind of value, for messages.
    package var kind: String {
        switch self {
        case .null: "null"
        case .boolean: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

package struct JSONMember: Hashable, Sendable {
    package var name: String
    package var value: JSONValue

    package init(name: String, value: JSONValue) { (self.name, self.value) = (name, value) }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(booleanLiteral value: Bool) { self = .boolean(value) }
    package init(integerLiteral value: Int) { self = .integer(value) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(elements.map { JSONMember(name: $0.0, value: $0.1) })
    }
    package init(nilLiteral: ()) { self = .null }

    package static func integer(_ value: Int) -> JSONValue { .number("\(value)") }

    package init(_ text: String?) { self = text.map(JSONValue.string) ?? .null }
    package init(_ texts: [String]) { self = .array(texts.map(JSONValue.string)) }
    package init(_ date: Date) { self = .string(CivilTime(date).extended) }

    /// An object of strings, sorted by their names in UTF-8.
    package init(sorted texts: [String: String]) {
        let sorted = texts.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        self = .object(sorted.map { JSONMember(name: $0.key, value: .string($0.value)) })
    }

    /// An object without the members that are null.
    package static func compact(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue {
        .object(members.compactMap { $0.value == .null ? nil : JSONMember(name: $0.key, value: $0.value) })
    }

    /// The members of two objects, one after the other.
    package static func + (left: JSONValue, right: JSONValue) -> JSONValue {
        .object((left.members ?? []) + (right.members ?? []))
    }
}

// MARK: - Writing

extension JSONValue {
    /// The text in UTF-8, on one line.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(512)
        write(to: &bytes)
        return bytes
    }

    package var text: String { String(decoding: bytes, as: UTF8.self) }

    private func write(to bytes: inout [UInt8]) {
        switch self {
        case .null: bytes += "null".utf8
        case .boolean(let value): bytes += (value ? "true" : "false").utf8
        case .number(let digits): bytes += digits.utf8
        case .string(let text): bytes += Quoting.json(text).utf8
        case .array(let elements): Self.write(elements, "[", "]", to: &bytes) { $0.write(to: &$1) }
        case .object(let members):
            Self.write(members, "{", "}", to: &bytes) { member, bytes in
                bytes += Quoting.json(member.name).utf8
                bytes.append(UInt8(ascii: ":"))
                member.value.write(to: &bytes)
            }
        }
    }

    private static func write<Element>(
        _ elements: [Element], _ start: Unicode.Scalar, _ end: Unicode.Scalar, to bytes: inout [UInt8],
        _ write: (Element, inout [UInt8]) -> Void
    ) {
        bytes.append(UInt8(ascii: start))
        for (index, element) in elements.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            write(element, &bytes)
        }
        bytes.append(UInt8(ascii: end))
    }
}

/// A text that is not JSON.
package struct JSONError: Error, Equatable {
    /// What is wrong; where a whole text was read, after line and column.
    package internal(set) var message: String
    package let hint: String?
    /// The index of the first byte that does not fit.
    let position: Int
}

/// Reads JSON (RFC 8259) as strictly as IAM does: an object may not name a member twice, and no text follows the value.
///
/// No library's reader notices two members of one name, which in a policy hides a condition.
package struct JSONReader {
    /// The limit of objects and arrays within one another; a policy needs six.
    static let depthLimit = 32

    private let bytes: [UInt8]
    package private(set) var position = 0
    private var depth = 0

    /// Creates a reader of a sequence of values.
    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Reads a text that is one value.
    package static func value(of bytes: [UInt8]) throws(JSONError) -> JSONValue {
        var reader = JSONReader(bytes)
        do throws(JSONError) {
            reader.skipBlanks()
            let value = try reader.value()
            reader.skipBlanks()
            guard reader.next == nil else { throw reader.fault("there is something behind the end") }
            return value
        } catch {
            let before = bytes[..<min(error.position, bytes.count)]
            let line = before.count { $0 == 0x0a } + 1
            // Columns count characters: a continuation octet of UTF-8 begins none.
            let lineStart = before.lastIndex(of: 0x0a).map { $0 + 1 } ?? 0
            let column = before[lineStart...].count { $0 & 0xc0 != 0x80 } + 1
            var error = error
            error.message = "line \(line), column \(column): \(error.message)"
            throw error
        }
    }

    /// The next byte; `nil` at the end.
    package var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func fault(_ what: String, at position: Int? = nil, hint: String? = nil) -> JSONError {
        JSONError(message: what, hint: hint, position: position ?? self.position)
    }

    package mutating func skipBlanks() {
        while let octet = next, octet == 0x20 || octet == 0x0a || octet == 0x0d || octet == 0x09 { position += 1 }
    }

    package mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard let octet = next, UInt32(octet) == character.value else { return false }
        position += 1
        return true
    }

    /// Goes to the end of the object or array at an index, whatever it holds. Returns `false` if it has no end.
    package mutating func skipNested(from start: Int) -> Bool {
        (position, depth) = (start, 0)
        var level = 0
        var isInString = false
        while let octet = next {
            position += 1
            switch octet {
            case UInt8(ascii: "\\") where isInString: position = min(position + 1, bytes.count)
            case UInt8(ascii: "\""): isInString.toggle()
            case UInt8(ascii: "{") where !isInString, UInt8(ascii: "[") where !isInString: level += 1
            case UInt8(ascii: "}") where !isInString, UInt8(ascii: "]") where !isInString: level -= 1
            default: break
            }
            if level == 0 { return true }
        }
        return false
    }

    /// Reads the value that begins here.
    package mutating func value() throws(JSONError) -> JSONValue {
        switch next {
        case UInt8(ascii: "{"): return try nested { reader throws(JSONError) in try reader.object() }
        case UInt8(ascii: "["): return try nested { reader throws(JSONError) in try reader.array() }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .boolean(true))
        case UInt8(ascii: "f"): return try word("false", .boolean(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case .some(0x30...0x39), UInt8(ascii: "-"): return try number()
        case UInt8(ascii: "'"): throw fault("a string begins with an apostrophe", hint: "use double quotes")
        case nil: throw fault("the text ends where a value should be")
        default: throw fault("there is no value here")
        }
    }

    private mutating func nested(
        _ read: (inout JSONReader) throws(JSONError) -> JSONValue
    ) throws(JSONError) -> JSONValue {
        guard depth < Self.depthLimit else { throw fault("more than \(Self.depthLimit) levels are nested") }
        depth += 1
        position += 1
        let value = try read(&self)
        depth -= 1
        return value
    }

    private mutating func object() throws(JSONError) -> JSONValue {
        var members: [JSONMember] = []
        var names: Set<String> = []
        skipBlanks()
        if take("}") { return .object([]) }
        while true {
            skipBlanks()
            let start = position
            guard next == UInt8(ascii: "\"") else {
                throw fault(
                    next == UInt8(ascii: "}") ? "there is a comma before the closing brace" : "a name should be here")
            }
            let name = try string()
            guard names.insert(name).inserted else {
                throw fault("the name \"\(name)\" appears twice in one object", at: start, hint: "join both values")
            }
            skipBlanks()
            guard take(":") else { throw fault("a colon should follow the name \"\(name)\"") }
            skipBlanks()
            members.append(JSONMember(name: name, value: try value()))
            skipBlanks()
            if take("}") { return .object(members) }
            guard take(",") else { throw fault("a comma or a closing brace should be here") }
        }
    }

    private mutating func array() throws(JSONError) -> JSONValue {
        var elements: [JSONValue] = []
        skipBlanks()
        if take("]") { return .array([]) }
        while true {
            skipBlanks()
            elements.append(try value())
            skipBlanks()
            if take("]") { return .array(elements) }
            guard take(",") else { throw fault("a comma or a closing bracket should be here") }
        }
    }

    private mutating func word(_ word: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
        guard bytes[position...].starts(with: word.utf8) else { throw fault("there is no value here") }
        position += word.utf8.count
        return value
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = position
        _ = take("-")
        if !take("0") { guard digits() > 0 else { throw fault("a digit should be here") } }
        if take(".") { guard digits() > 0 else { throw fault("a digit should be here") } }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            guard digits() > 0 else { throw fault("a digit should be here") }
        }
        return .number(String(decoding: bytes[start..<position], as: UTF8.self))
    }

    private mutating func digits() -> Int {
        let start = position
        while let octet = next, (0x30...0x39).contains(octet) { position += 1 }
        return position - start
    }

    private mutating func string() throws(JSONError) -> String {
        let start = position
        position += 1
        var text: [UInt8] = []
        while let octet = next {
            position += 1
            switch octet {
            case UInt8(ascii: "\""):
                guard let string = String(validating: text, as: UTF8.self) else {
                    throw fault("this string is not UTF-8", at: start)
                }
                return string
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<0x20: throw fault("a string holds a control character", at: position - 1)
            default: text.append(octet)
            }
        }
        throw fault("this string has no end", at: start)
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        let start = position - 1
        guard let octet = next else { throw fault("this string has no end") }
        position += 1
        switch octet {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(octet)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0c)
        case UInt8(ascii: "n"): text.append(0x0a)
        case UInt8(ascii: "r"): text.append(0x0d)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            var code = try hexadecimalQuad(from: start)
            if (0xd800..<0xdc00).contains(code), take("\\"), take("u") {
                let low = try hexadecimalQuad(from: start)
                guard (0xdc00..<0xe000).contains(low) else { throw fault("half of a surrogate pair", at: start) }
                code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw fault("half of a surrogate pair", at: start) }
            text += UTF8.encode(scalar).map(Array.init) ?? []
        default: throw fault("there is no such escape", at: start, hint: "write a backslash as two")
        }
    }

    private mutating func hexadecimalQuad(from start: Int) throws(JSONError) -> UInt32 {
        let digits = bytes[position...].prefix(4).compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count == 4 else { throw fault("four hexadecimal digits should follow \\u", at: start) }
        position += 4
        return digits.reduce(0) { $0 << 4 | UInt32($1) }
    }
}
