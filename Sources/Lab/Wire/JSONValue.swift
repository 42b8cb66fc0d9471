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
    /// The members in their order.
    case object([JSONMember])

    /// Finds a member of an object. There is none in anything else.
    subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// The text, when it is one.
    var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// The number, when it is whole and fits.
    var integer: Int? {
        guard case .number(let digits) = self else { return nil }
        return Int(digits)
    }

    /// Yes or no, when it is one of them.
    var boolean: Bool? {
        guard case .boolean(let boolean) = self else { return nil }
        return boolean
    }

    /// The elements, when it is an array.
    var array: [JSONValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    /// The members, when it is an object.
    var members: [JSONMember]? {
        guard case .object(let members) = self else { return nil }
        return members
    }

    /// What a person calls its kind.
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

/// A member of a JSON object.
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

    /// A whole number.
    static func integer(_ value: Int) -> JSONValue { .number("\(value)") }

    /// Text, or null.
    init(_ text: String?) { self = text.map(JSONValue.string) ?? .null }

    /// Texts.
    init(_ texts: [String]) { self = .array(texts.map(JSONValue.string)) }

    /// A moment in the way of the service: `2026-01-01T00:00:00Z`.
    init(_ date: Date) { self = .string(timestamp(date)) }

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

    /// The text on one line.
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
