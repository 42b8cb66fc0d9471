// SPDX-License-Identifier: Apache-2.0

extension DER {
    /// A value with its tag, as it stands in an encoding.
    package struct Element {
        /// The identifier octet.
        package var tag: UInt8
        /// The contents octets.
        package var contents: ArraySlice<UInt8>
    }

    /// Takes apart values that follow one another.
    ///
    /// Made for what libcrypto has encoded or checked already: tags of one octet, lengths that are definite.
    ///
    /// - Parameter bytes: Whole values.
    /// - Returns: The values in their order, or nothing when the bytes are not that.
    package static func elements(in bytes: ArraySlice<UInt8>) -> [Element]? {
        var elements: [Element] = []
        var rest = bytes
        while let tag = rest.popFirst() {
            guard let first = rest.popFirst() else { return nil }
            var count = Int(first)
            if first >= 0x80 {
                let octets = rest.prefix(Int(first & 0x7f))
                guard (1...4).contains(octets.count), octets.count == Int(first & 0x7f) else { return nil }
                count = octets.reduce(0) { $0 << 8 | Int($1) }
                rest = rest.dropFirst(octets.count)
            }
            guard count <= rest.count else { return nil }
            elements.append(Element(tag: tag, contents: rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        return elements
    }

    /// The values in a SEQUENCE, or nothing when the bytes are not one.
    package static func elements(inSequence bytes: [UInt8]) -> [Element]? {
        guard let outer = elements(in: bytes[...]), outer.count == 1, outer[0].tag == sequence else { return nil }
        return elements(in: outer[0].contents)
    }
}
