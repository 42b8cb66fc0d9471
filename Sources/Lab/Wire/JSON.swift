// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SystemSupport

/// A JSON value (RFC 8259) as it was written: members keep their order, numbers their digits.
enum JSONValue: Hashable, Sendable {
    case null
    case boolean(Bool)
    /// A number by its digits.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([JSONMember])

    /// The value of a member; `nil` if there is none, or if this is not an object.
    subscript(name: String) -> JSONValue? { members?.first { $0.name == name }?.value }

    var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// The number; `nil` if it is not whole or does not fit.
    var integer: Int? {
        guard case .number(let digits) = self else { return nil }
        return Int(digits)
    }

    var boolean: Bool? {
        guard case .boolean(let boolean) = self else { return nil }
        return boolean
    }

    var array: [JSONValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    var members: [JSONMember]? {
        guard case .object(let members) = self else { return nil }
        return members
    }

    /// The kind of value, for messages.
    var kind: String {
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

struct JSONMember: Hashable, Sendable {
    var name: String
    var value: JSONValue
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    init(stringLiteral value: String) { self = .string(value) }
    init(booleanLiteral value: Bool) { self = .boolean(value) }
    init(integerLiteral value: Int) { self = .integer(value) }
    init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(elements.map { JSONMember(name: $0.0, value: $0.1) })
    }
    init(nilLiteral: ()) { self = .null }

    static func integer(_ value: Int) -> JSONValue { .number("\(value)") }

    init(_ text: String?) { self = text.map(JSONValue.string) ?? .null }
    init(_ texts: [String]) { self = .array(texts.map(JSONValue.string)) }
    init(_ date: Date) { self = .string(timestamp(date)) }

    /// An object of texts, sorted by their names.
    init(sorted texts: [String: String]) {
        self = .object(texts.sorted { $0.key < $1.key }.map { JSONMember(name: $0.key, value: .string($0.value)) })
    }

    /// An object without the members that are null.
    static func compact(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue {
        .object(members.compactMap { $0.value == .null ? nil : JSONMember(name: $0.key, value: $0.value) })
    }
}

// MARK: - Writing

extension JSONValue {
    /// The text in UTF-8, on one line.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(512)
        write(to: &bytes)
        return bytes
    }

    var text: String { String(decoding: bytes, as: UTF8.self) }

    private func write(to bytes: inout [UInt8]) {
        switch self {
        case .null: bytes += "null".utf8
        case .boolean(let value): bytes += (value ? "true" : "false").utf8
        case .number(let digits): bytes += digits.utf8
        case .string(let text): bytes += Quoting.json(text).utf8
        case .array(let elements):
            bytes.append(0x5b)
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(0x2c) }
                element.write(to: &bytes)
            }
            bytes.append(0x5d)
        case .object(let members):
            bytes.append(0x7b)
            for (index, member) in members.enumerated() {
                if index > 0 { bytes.append(0x2c) }
                bytes += Quoting.json(member.name).utf8
                bytes.append(0x3a)
                member.value.write(to: &bytes)
            }
            bytes.append(0x7d)
        }
    }
}

/// A text that is not JSON.
struct JSONError: Error, Equatable {
    /// What is wrong, and where: line and column.
    let message: String

    let hint: String?
}

/// Reads JSON (RFC 8259) as strictly as IAM does: an object may not name a member twice, nothing follows the value.
///
/// No library's reader notices two members of one name, which in a policy hides a condition.
struct JSONReader {
    /// The limit of objects and arrays within one another; a policy needs six.
    static let depthLimit = 32

    private let bytes: [UInt8]
    private var position = 0
    private var depth = 0

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Reads one value, and throws an error that names line and column.
    static func value(of bytes: [UInt8]) throws(JSONError) -> JSONValue {
        var reader = JSONReader(bytes)
        reader.skipBlanks()
        let value = try reader.value()
        reader.skipBlanks()
        guard reader.position == reader.bytes.count else { throw reader.fault("there is something behind the end") }
        return value
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func fault(_ what: String, at position: Int? = nil, hint: String? = nil) -> JSONError {
        let before = bytes[..<min(position ?? self.position, bytes.count)]
        let line = before.count { $0 == 0x0a } + 1
        // Columns count characters: a continuation octet of UTF-8 begins none.
        let lineStart = before.lastIndex(of: 0x0a).map { $0 + 1 } ?? 0
        let column = before[lineStart...].count { $0 & 0xc0 != 0x80 } + 1
        return JSONError(message: "line \(line), column \(column): \(what)", hint: hint)
    }

    private mutating func skipBlanks() {
        while let octet = next, octet == 0x20 || octet == 0x0a || octet == 0x0d || octet == 0x09 { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard let octet = next, UInt32(octet) == character.value else { return false }
        position += 1
        return true
    }

    private mutating func value() throws(JSONError) -> JSONValue {
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
