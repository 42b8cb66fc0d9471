// SPDX-License-Identifier: Apache-2.0

/// A text that is not JSON: what is wrong, and where.
struct JSONError: Error, Equatable {
    var message: String
    /// How many bytes stand before the place.
    var offset: Int
}

extension JSONValue {
    /// Reads a JSON text.
    ///
    /// - Parameter bytes: The text in UTF-8, nothing but blanks around it.
    /// - Throws: ``JSONError``: for malformed text, for a member that stands twice, and beyond 64 levels.
    init(reading bytes: [UInt8]) throws(JSONError) {
        var reader = JSONReader(bytes: bytes)
        self = try reader.document()
    }

    /// Reads a JSON text.
    ///
    /// - Parameter text: The text.
    /// - Throws: ``JSONError``.
    init(reading text: String) throws(JSONError) { try self.init(reading: Array(text.utf8)) }
}

private struct JSONReader {
    private static let depthLimit = 64

    let bytes: [UInt8]
    private var position = 0
    private var depth = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(JSONError) -> JSONValue {
        let value = try value()
        skipBlanks()
        guard position == bytes.count else { throw error("text after the end") }
        return value
    }

    private func error(_ message: String) -> JSONError { JSONError(message: message, offset: position) }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipBlanks() {
        while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { position += 1 }
    }

    private mutating func skip(_ byte: UInt8) -> Bool {
        skipBlanks()
        guard next == byte else { return false }
        position += 1
        return true
    }

    private mutating func value() throws(JSONError) -> JSONValue {
        skipBlanks()
        guard let byte = next else { throw error("the text ends where a value should stand") }
        switch byte {
        case 0x7b: return try nested { reader throws(JSONError) in try reader.object() }
        case 0x5b: return try nested { reader throws(JSONError) in try reader.array() }
        case 0x22: return .string(try string())
        case 0x74: return try word("true", .boolean(true))
        case 0x66: return try word("false", .boolean(false))
        case 0x6e: return try word("null", .null)
        case 0x2d, 0x30...0x39: return try number()
        default: throw error("this begins no value")
        }
    }

    private mutating func nested(
        _ body: (inout JSONReader) throws(JSONError) -> JSONValue
    ) throws(JSONError) -> JSONValue {
        depth += 1
        guard depth <= Self.depthLimit else { throw error("it is nested more than \(Self.depthLimit) deep") }
        position += 1
        let value = try body(&self)
        depth -= 1
        return value
    }

    private mutating func object() throws(JSONError) -> JSONValue {
        var members: [JSONMember] = []
        var names: Set<String> = []
        if skip(0x7d) { return .object([]) }
        repeat {
            skipBlanks()
            guard next == 0x22 else { throw error("a member's name should stand here") }
            let name = try string()
            guard names.insert(name).inserted else { throw error("the member \"\(name.prefix(60))\" stands twice") }
            guard skip(0x3a) else { throw error("a colon should stand here") }
            members.append(JSONMember(name: name, value: try value()))
        } while skip(0x2c)
        guard skip(0x7d) else { throw error("a comma or a closing brace should stand here") }
        return .object(members)
    }

    private mutating func array() throws(JSONError) -> JSONValue {
        var elements: [JSONValue] = []
        if skip(0x5d) { return .array([]) }
        repeat { elements.append(try value()) } while skip(0x2c)
        guard skip(0x5d) else { throw error("a comma or a closing bracket should stand here") }
        return .array(elements)
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for byte in "\(word)".utf8 {
            guard next == byte else { throw error("this begins no value") }
            position += 1
        }
        return value
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = position
        if next == 0x2d { position += 1 }
        let firstDigit = position
        try digits()
        guard bytes[firstDigit] != 0x30 || position == firstDigit + 1 else { throw error("a number begins with 0") }
        var isWhole = true
        if next == 0x2e {
            isWhole = false
            position += 1
            try digits()
        }
        if next == 0x65 || next == 0x45 {
            isWhole = false
            position += 1
            if next == 0x2b || next == 0x2d { position += 1 }
            try digits()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isWhole, let integer = Int(text) { return .integer(integer) }
        guard let number = Double(text), number.isFinite else { throw error("a number is too large") }
        return .number(number)
    }

    private mutating func digits() throws(JSONError) {
        let start = position
        while let byte = next, (0x30...0x39).contains(byte) { position += 1 }
        guard position > start else { throw error("a digit should stand here") }
    }

    private mutating func string() throws(JSONError) -> String {
        position += 1
        var text: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case 0x22:
                guard let string = String(validating: text, as: UTF8.self) else { throw error("a string is not UTF-8") }
                return string
            case 0x5c: try escape(into: &text)
            case ..<0x20: throw error("a control character stands in a string")
            default: text.append(byte)
            }
        }
        throw error("a string does not end")
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        guard let byte = next else { throw error("a string does not end") }
        position += 1
        switch byte {
        case 0x22, 0x5c, 0x2f: text.append(byte)
        case 0x62: text.append(0x08)
        case 0x66: text.append(0x0c)
        case 0x6e: text.append(0x0a)
        case 0x72: text.append(0x0d)
        case 0x74: text.append(0x09)
        case 0x75:
            var unit = try codeUnit()
            if (0xd800...0xdbff).contains(unit) {
                guard next == 0x5c, position + 1 < bytes.count, bytes[position + 1] == 0x75 else {
                    throw error("half a surrogate pair stands in a string")
                }
                position += 2
                let low = try codeUnit()
                guard (0xdc00...0xdfff).contains(low) else { throw error("half a surrogate pair stands in a string") }
                unit = 0x10000 + (unit - 0xd800) << 10 + (low - 0xdc00)
            }
            guard let scalar = Unicode.Scalar(unit) else { throw error("half a surrogate pair stands in a string") }
            text += String(Character(scalar)).utf8
        default: throw error("there is no such escape")
        }
    }

    private mutating func codeUnit() throws(JSONError) -> UInt32 {
        guard position + 4 <= bytes.count,
            let digits = String(validating: bytes[position..<position + 4], as: UTF8.self),
            digits.utf8.allSatisfy({ $0 != 0x2b && $0 != 0x2d }), let unit = UInt32(digits, radix: 16)
        else { throw error("four hexadecimal digits should stand here") }
        position += 4
        return unit
    }
}
