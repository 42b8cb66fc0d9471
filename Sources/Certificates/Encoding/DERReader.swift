// SPDX-License-Identifier: Apache-2.0

extension DER {
    /// A value with its tag, as it stands in an encoding.
    package struct Element {
        /// The identifier octet.
        package var tag: UInt8
        /// The contents octets.
        package var contents: ArraySlice<UInt8>
        /// Tag, length and contents.
        package var encoding: ArraySlice<UInt8>
    }

    /// Takes apart values that follow one another.
    ///
    /// Tags have one octet and lengths are definite. Whether a length is as short as it could be, ``defect(in:)`` says.
    ///
    /// - Parameter bytes: Whole values.
    /// - Returns: The values in their order, or nothing when the bytes are not that.
    package static func elements(in bytes: ArraySlice<UInt8>) -> [Element]? {
        var elements: [Element] = []
        var rest = bytes
        while let tag = rest.first {
            let start = rest.startIndex
            rest = rest.dropFirst()
            guard let first = rest.popFirst() else { return nil }
            var count = Int(first)
            if first >= 0x80 {
                let octets = rest.prefix(Int(first & 0x7f))
                guard (1...4).contains(octets.count), octets.count == Int(first & 0x7f) else { return nil }
                count = octets.reduce(0) { $0 << 8 | Int($1) }
                rest = rest.dropFirst(octets.count)
            }
            guard count <= rest.count else { return nil }
            let contents = rest.prefix(count)
            elements.append(Element(tag: tag, contents: contents, encoding: bytes[start..<contents.endIndex]))
            rest = rest.dropFirst(count)
        }
        return elements
    }

    /// The values in a SEQUENCE, or nothing when the bytes are not one.
    package static func elements(inSequence bytes: [UInt8]) -> [Element]? { elements(in: sequence, bytes[...]) }

    /// The values in one value of a constructed type, or nothing when the bytes are not that.
    static func elements(in tag: UInt8, _ bytes: ArraySlice<UInt8>) -> [Element]? {
        guard let outer = elements(in: bytes), outer.count == 1, outer[0].tag == tag else { return nil }
        return elements(in: outer[0].contents)
    }

    /// The dots and digits of an OBJECT IDENTIFIER.
    ///
    /// - Parameter contents: The contents octets.
    /// - Returns: The text; nothing when the octets are malformed, or an arc goes beyond 64 bits.
    static func objectIdentifierText(_ contents: ArraySlice<UInt8>) -> String? {
        var arcs: [UInt64] = []
        var arc: UInt64 = 0
        var isOpen = true
        for octet in contents {
            guard arc <= UInt64.max >> 7 else { return nil }
            arc = arc << 7 | UInt64(octet & 0x7f)
            isOpen = octet & 0x80 != 0
            if isOpen { continue }
            arcs.append(arc)
            arc = 0
        }
        guard !isOpen, let first = arcs.first else { return nil }
        let root = min(first / 40, 2)
        return ([root, first - root * 40] + arcs.dropFirst()).map(String.init).joined(separator: ".")
    }

    static let identifier: UInt8 = 0x06
}
