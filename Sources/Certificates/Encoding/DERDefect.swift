// SPDX-License-Identifier: Apache-2.0

extension DER {
    /// How deep values may stand in one another before the search gives up: nothing in a certificate comes near it.
    private static let depthLimit = 64

    /// Finds what BER allows and DER does not (X.690 §10, §11), which libcrypto reads without a word.
    ///
    /// - Parameter bytes: Whole values.
    /// - Returns: The first defect in words; nothing when the bytes are DER.
    static func defect(in bytes: ArraySlice<UInt8>) -> String? { defect(in: bytes, depth: 0) }

    private static func defect(in bytes: ArraySlice<UInt8>, depth: Int) -> String? {
        guard depth < depthLimit else { return "values stand in one another more than \(depthLimit) deep" }
        guard let elements = elements(in: bytes) else { return "a length is indefinite, or does not fit what follows" }
        for element in elements where element.tag & 0x1f != 0x1f {
            if !hasShortestLength(element) { return "a length is written with more octets than it needs" }
            let isConstructed = element.tag & 0x20 != 0
            if isConstructed {
                if element.tag & 0xc0 == 0, element.tag != sequence, element.tag != set {
                    return "a string is put together from parts"
                }
                if let found = defect(in: element.contents, depth: depth + 1) { return found }
                if element.tag == set, !isSorted(element.contents) { return "the members of a SET are not in order" }
            } else if element.tag & 0xc0 == 0, let found = defect(inPrimitive: element) {
                return found
            }
        }
        return nil
    }

    private static func hasShortestLength(_ element: Element) -> Bool {
        let header = element.encoding.count - element.contents.count
        let octets =
            switch element.contents.count {
            case 0..<0x80: 0
            case 0..<0x100: 1
            case 0..<0x1_0000: 2
            case 0..<0x100_0000: 3
            default: 4
            }
        return header == 2 + octets
    }

    private static func defect(inPrimitive element: Element) -> String? {
        let contents = element.contents
        switch element.tag {
        case boolean:
            return contents.count == 1 && (contents.first == 0 || contents.first == 0xff)
                ? nil : "a BOOLEAN is neither 00 nor FF"
        case integer, enumerated:
            guard let first = contents.first else { return "an INTEGER has no octets" }
            guard let second = contents.dropFirst().first else { return nil }
            let isPadded = first == 0 && second < 0x80 || first == 0xff && second >= 0x80
            return isPadded ? "an INTEGER has more octets than it needs" : nil
        case bitString:
            guard let unused = contents.first, unused < 8, contents.count > 1 || unused == 0 else {
                return "a BIT STRING has no proper count of unused bits"
            }
            guard let last = contents.last, contents.count > 1 else { return nil }
            return last & (1 << unused &- 1) == 0 ? nil : "the unused bits of a BIT STRING are not zero"
        case identifier:
            guard let last = contents.last, last < 0x80 else { return "an OBJECT IDENTIFIER has no end" }
            var starts = true
            for octet in contents {
                if starts, octet == 0x80 { return "an OBJECT IDENTIFIER has an arc with leading zeros" }
                starts = octet < 0x80
            }
            return nil
        case 0x05: return contents.isEmpty ? nil : "a NULL is not empty"
        default: return nil
        }
    }

    private static func isSorted(_ contents: ArraySlice<UInt8>) -> Bool {
        guard let members = elements(in: contents), members.count > 1 else { return true }
        return zip(members, members.dropFirst()).allSatisfy { first, second in
            !second.encoding.lexicographicallyPrecedes(first.encoding)
        }
    }
}
