// SPDX-License-Identifier: Apache-2.0

/// The header fields of a message, in their order, with their duplicates, exactly as received.
///
/// They are kept as the bytes that stood on the wire; a name or a value becomes a string when it is asked for. Whoever
/// verifies a signature over headers finds here what was signed, and whoever does not look pays nothing.
package struct HTTPHeaders: Sendable {
    /// Where a field stands in the bytes.
    struct Position: Sendable {
        var nameStart: Int32
        var nameEnd: Int32
        var valueStart: Int32
        var valueEnd: Int32
    }

    /// One header field.
    package struct Field: Hashable, Sendable {
        /// The name with the capitals it was written in. Names are ASCII.
        package let name: String

        /// The value without the blanks around it. Bytes that are not UTF-8 appear as U+FFFD; see ``valueBytes``.
        package var value: String { String(decoding: valueBytes, as: UTF8.self) }

        /// The bytes of the value, without the blanks around it.
        package let valueBytes: [UInt8]
    }

    /// Holds the fields, and on the request's side also what stood around them.
    private var bytes: [UInt8]
    private var positions: [Position]

    /// No headers.
    package init() {
        bytes = []
        positions = []
    }

    /// Adopts the bytes of a request's head.
    init(bytes: [UInt8], positions: [Position]) {
        self.bytes = bytes
        self.positions = positions
    }

    /// Adds a field behind the others.
    ///
    /// A name or value cannot end its line: control characters become blanks, so that no text from outside can smuggle
    /// a header into an answer.
    ///
    /// - Parameters:
    ///   - name: A token (RFC 9110 §5.1).
    ///   - value: The value.
    package mutating func append(_ name: String, _ value: String) {
        let nameStart = bytes.count
        for byte in name.utf8 { bytes.append(Self.isControl(byte) ? 0x20 : byte) }
        let nameEnd = bytes.count
        bytes.append(0x3a)
        bytes.append(0x20)
        let valueStart = bytes.count
        for byte in value.utf8 { bytes.append(Self.isControl(byte) ? 0x20 : byte) }
        let valueEnd = bytes.count
        bytes.append(0x0d)
        bytes.append(0x0a)
        positions.append(
            Position(
                nameStart: Int32(clamping: nameStart),
                nameEnd: Int32(clamping: nameEnd),
                valueStart: Int32(clamping: valueStart),
                valueEnd: Int32(clamping: valueEnd)
            )
        )
    }

    /// The value of a field that may stand only once.
    ///
    /// - Parameter name: The name, in any case.
    /// - Returns: The value of the first such field; nothing when there is none.
    package subscript(name: String) -> String? {
        guard let position = positions.first(where: { isNamed(name, $0) }) else { return nil }
        return text(position.valueStart, position.valueEnd)
    }

    /// The values of every field of a name, in order.
    ///
    /// - Parameter name: The name, in any case.
    /// - Returns: The values; none when there is no such field. Lists within a value are not taken apart.
    package func values(_ name: String) -> [String] {
        positions.compactMap { isNamed(name, $0) ? text($0.valueStart, $0.valueEnd) : nil }
    }

    /// The values of every field of a name, in order, as bytes.
    ///
    /// - Parameter name: The name, in any case.
    /// - Returns: The values without the blanks around them.
    package func valueBytes(_ name: String) -> [[UInt8]] {
        positions.compactMap { isNamed(name, $0) ? Array(bytes[Int($0.valueStart)..<Int($0.valueEnd)]) : nil }
    }

    /// How many fields bear a name.
    ///
    /// - Parameter name: The name, in any case.
    /// - Returns: The number of fields.
    package func count(_ name: String) -> Int { positions.count { isNamed(name, $0) } }

    /// Whether there is a field of a name.
    ///
    /// - Parameter name: The name, in any case.
    /// - Returns: Whether there is one or more.
    package func contains(_ name: String) -> Bool { positions.contains { isNamed(name, $0) } }

    /// Whether a field holds a word in a list separated by commas, such as `close` in `Connection`.
    ///
    /// - Parameters:
    ///   - token: The word, in any case.
    ///   - name: The field's name, in any case.
    /// - Returns: Whether the word stands in any field of the name.
    package func contains(token: String, in name: String) -> Bool {
        guard contains(name) else { return false }
        return values(name).contains { value in
            value.split(separator: ",").contains { part in
                Self.equalIgnoringCase(
                    part.utf8.drop { $0 == 0x20 || $0 == 0x09 }.prefix { $0 != 0x20 && $0 != 0x09 },
                    token.utf8
                )
            }
        }
    }

    /// The lines as they go over the wire. Only for headers that were made by ``append(_:_:)``.
    var wireBytes: [UInt8] { bytes }

    private func text(_ start: Int32, _ end: Int32) -> String {
        String(decoding: bytes[Int(start)..<Int(end)], as: UTF8.self)
    }

    private func isNamed(_ name: String, _ position: Position) -> Bool {
        guard Int(position.nameEnd - position.nameStart) == name.utf8.count else { return false }
        return Self.equalIgnoringCase(bytes[Int(position.nameStart)..<Int(position.nameEnd)], name.utf8)
    }

    private static func isControl(_ byte: UInt8) -> Bool { (byte < 0x20 && byte != 0x09) || byte == 0x7f }

    static func equalIgnoringCase(_ left: some Sequence<UInt8>, _ right: some Sequence<UInt8>) -> Bool {
        left.elementsEqual(right) { lowercase($0) == lowercase($1) }
    }

    static func lowercase(_ byte: UInt8) -> UInt8 { (0x41...0x5a).contains(byte) ? byte | 0x20 : byte }
}

extension HTTPHeaders: RandomAccessCollection {
    /// The index of the first field.
    package var startIndex: Int { 0 }

    /// One past the index of the last field.
    package var endIndex: Int { positions.count }

    /// A field by its place.
    ///
    /// - Parameter index: Counted from zero.
    package subscript(index: Int) -> Field {
        let position = positions[index]
        return Field(
            name: text(position.nameStart, position.nameEnd),
            valueBytes: Array(bytes[Int(position.valueStart)..<Int(position.valueEnd)])
        )
    }
}

extension HTTPHeaders: ExpressibleByDictionaryLiteral {
    /// Makes headers in the order written; see ``append(_:_:)``.
    ///
    /// - Parameter elements: Names and values. A name may stand more than once.
    package init(dictionaryLiteral elements: (String, String)...) {
        self.init()
        for (name, value) in elements { append(name, value) }
    }
}
