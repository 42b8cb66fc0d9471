// SPDX-License-Identifier: Apache-2.0

/// Finds where the objects of a JSON text begin and end, without reading what is in them.
///
/// The text is an array of objects, or objects with nothing but blanks between them.
struct JSONObjectCutter {
    /// Where an object is.
    struct Object {
        /// The line on which it begins, from 1.
        var line: Int
        /// Its bytes.
        var range: Range<Int>
        /// How many members it has, doubled ones included.
        var memberCount: Int
    }

    /// The line that was reached, from 1.
    private(set) var line = 1

    /// What is wrong with the text between objects, which ends the reading.
    private(set) var fault: String?

    private let bytes: [UInt8]
    private var position = 0
    private let isArray: Bool
    private var isFirst = true

    /// Makes a cutter.
    ///
    /// - Parameter bytes: The whole text.
    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        let first = bytes.first { !Self.isBlank($0) }
        isArray = first == UInt8(ascii: "[")
    }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    /// The next object; nothing at the end, or when there is a fault.
    mutating func next() -> Object? {
        guard fault == nil else { return nil }
        skipBlanks()
        if isArray {
            if isFirst {
                advance()
                skipBlanks()
            }
            if current == UInt8(ascii: "]") { return end() }
            if !isFirst {
                guard current == UInt8(ascii: ",") else {
                    return refuse(
                        current == nil ? "the array is not closed" : "a comma or the end of the array is expected"
                    )
                }
                advance()
                skipBlanks()
            }
        } else if current == nil {
            return nil
        }
        isFirst = false
        guard current == UInt8(ascii: "{") else {
            return refuse("an object is expected, such as {\"name\": \"web-1\"}")
        }
        return object()
    }

    private mutating func object() -> Object? {
        let firstLine = line
        let start = position
        var depth = 0
        var memberCount = 0
        while let octet = current {
            switch octet {
            case UInt8(ascii: "\""):
                skipString()
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: ":") where depth == 1: memberCount += 1
            default: break
            }
            advance()
            if depth == 0 { return Object(line: firstLine, range: start..<position, memberCount: memberCount) }
        }
        line = firstLine
        return refuse("the object is not closed")
    }

    /// Goes behind a string, or to the end when it is not closed.
    private mutating func skipString() {
        position += 1
        while let octet = current {
            advance()
            if octet == UInt8(ascii: "\"") { return }
            if octet == UInt8(ascii: "\\"), current != nil { advance() }
        }
    }

    /// Sees to it that nothing stands behind the array.
    private mutating func end() -> Object? {
        advance()
        skipBlanks()
        if current != nil { return refuse("text stands behind the end of the array") }
        position = bytes.count
        fault = nil
        return nil
    }

    private mutating func refuse(_ text: String) -> Object? {
        fault = text
        return nil
    }

    private mutating func skipBlanks() {
        while let octet = current, Self.isBlank(octet) { advance() }
    }

    private mutating func advance() {
        if bytes[position] == 0x0a { line += 1 }
        position += 1
    }

    private static func isBlank(_ octet: UInt8) -> Bool {
        octet == 0x20 || octet == 0x09 || octet == 0x0a || octet == 0x0d
    }
}
