// SPDX-License-Identifier: Apache-2.0

import struct FoundationEssentials.Date
import SystemSupport

/// Distinguished encoding (X.690 §10) of the ASN.1 types that a certificate is made of. Names, keys and extension values
/// come from libcrypto encoded, so that an issuer's name is the very bytes of its subject, and any ``SigningKey`` can
/// sign.
package enum DER {
    package static let boolean: UInt8 = 0x01
    package static let integer: UInt8 = 0x02
    package static let bitString: UInt8 = 0x03
    package static let octetString: UInt8 = 0x04
    package static let enumerated: UInt8 = 0x0a
    package static let utcTime: UInt8 = 0x17
    package static let generalizedTime: UInt8 = 0x18
    package static let bmpString: UInt8 = 0x1e
    package static let sequence: UInt8 = 0x30
    package static let set: UInt8 = 0x31

    /// A context-specific tag that replaces the type's own (IMPLICIT) on a primitive type.
    package static func implicit(_ number: UInt8) -> UInt8 { 0x80 | number }

    /// A context-specific tag around a complete value (EXPLICIT), or IMPLICIT on a constructed type.
    package static func constructed(_ number: UInt8) -> UInt8 { 0xa0 | number }

    /// A value with its tag and length.
    package static func encode(_ tag: UInt8, _ contents: [UInt8]) -> [UInt8] {
        var encoded: [UInt8] = []
        encoded.reserveCapacity(contents.count + 6)
        append(tag, contents, to: &encoded)
        return encoded
    }

    /// Appends a value with its tag and length, so that many values need no array each.
    package static func append(_ tag: UInt8, _ contents: [UInt8], to encoded: inout [UInt8]) {
        encoded.append(tag)
        if contents.count < 0x80 {
            encoded.append(UInt8(contents.count))
        } else {
            let octets = (Int.bitWidth - contents.count.leadingZeroBitCount + 7) / 8
            encoded.append(0x80 | UInt8(octets))
            for index in (0..<octets).reversed() {
                encoded.append(UInt8(truncatingIfNeeded: contents.count >> (8 * index)))
            }
        }
        encoded += contents
    }

    /// A SEQUENCE of values that are encoded already.
    package static func sequence(_ elements: [[UInt8]]) -> [UInt8] { encode(sequence, elements.flatMap(\.self)) }

    /// A SET OF values that are encoded already, in the order that DER wants (X.690 §11.6).
    package static func set(of elements: [[UInt8]]) -> [UInt8] {
        encode(set, elements.sorted { $0.lexicographicallyPrecedes($1) }.flatMap(\.self))
    }

    /// A non-negative INTEGER from its big-endian magnitude.
    package static func unsignedInteger(_ magnitude: [UInt8]) -> [UInt8] {
        var contents = Array(magnitude.drop { $0 == 0 })
        if contents.first.map({ $0 & 0x80 != 0 }) ?? true { contents.insert(0, at: 0) }
        return encode(integer, contents)
    }

    package static func bitString(_ octets: [UInt8]) -> [UInt8] { encode(bitString, [0] + octets) }

    /// An OBJECT IDENTIFIER from its dots and digits.
    package static func objectIdentifier(_ text: String) -> [UInt8] {
        let arcs = text.split(separator: ".").compactMap { UInt64($0) }
        guard arcs.count > 2 else { return [] }
        var contents: [UInt8] = []
        for arc in [arcs[0] * 40 + arcs[1]] + arcs.dropFirst(2) {
            var groups = [UInt8(arc & 0x7f)]
            var rest = arc >> 7
            while rest > 0 {
                groups.append(UInt8(rest & 0x7f) | 0x80)
                rest >>= 7
            }
            contents += groups.reversed()
        }
        return encode(0x06, contents)
    }

    /// BOOLEAN TRUE.
    package static let `true`: [UInt8] = [boolean, 0x01, 0xff]
}

extension DER {
    /// Returns a time as RFC 5280 §4.1.2.5 requires: UTCTime from 1950 through 2049, GeneralizedTime otherwise.
    static func time(_ date: Date) throws(CertificateError) -> [UInt8] {
        var encoded: [UInt8] = []
        try append(time: date, to: &encoded)
        return encoded
    }

    /// Appends a time in the form of ``time(_:)``.
    static func append(time date: Date, to encoded: inout [UInt8]) throws(CertificateError) {
        let time = try civilTime(date)
        guard (1950...2049).contains(time.year) else {
            append(generalized: time, to: &encoded)
            return
        }
        encoded.append(utcTime)
        encoded.append(13)
        append(clock: time, to: &encoded)
    }

    /// Appends a time as GeneralizedTime in any year.
    static func append(generalizedTime date: Date, to encoded: inout [UInt8]) throws(CertificateError) {
        append(generalized: try civilTime(date), to: &encoded)
    }

    private static func append(generalized time: CivilTime, to encoded: inout [UInt8]) {
        encoded.append(generalizedTime)
        encoded.append(15)
        append(digits: time.year / 100, to: &encoded)
        append(clock: time, to: &encoded)
    }

    /// The year without its century, and all that follows.
    private static func append(clock time: CivilTime, to encoded: inout [UInt8]) {
        for number in [time.year % 100, time.month, time.day, time.hour, time.minute, time.second] {
            append(digits: number, to: &encoded)
        }
        encoded.append(UInt8(ascii: "Z"))
    }

    private static func append(digits number: Int, to encoded: inout [UInt8]) {
        encoded.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / 10 % 10))
        encoded.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number % 10))
    }

    private static func civilTime(_ date: Date) throws(CertificateError) -> CivilTime {
        // From the year 0 to the last second of 9999.
        guard (-62_167_219_200..<253_402_300_800).contains(date.timeIntervalSince1970) else {
            throw CertificateError(.forbidden, "a time must lie in the years 0 to 9999")
        }
        return CivilTime(date)
    }
}

extension DER {
    /// A value with its tag.
    package struct Element {
        package var tag: UInt8
        package var contents: ArraySlice<UInt8>
        package var encoding: ArraySlice<UInt8>
    }

    /// Parses a sequence of values; `nil` if it is malformed. Tags have one octet and lengths are definite; whether
    /// lengths are as short as possible is checked by ``defect(in:)``.
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

    /// The values in a SEQUENCE; `nil` if the bytes are not one.
    package static func elements(inSequence bytes: [UInt8]) -> [Element]? { elements(in: sequence, bytes[...]) }

    /// The values in one value of a constructed type; `nil` if the bytes are not that.
    static func elements(in tag: UInt8, _ bytes: ArraySlice<UInt8>) -> [Element]? {
        guard let outer = elements(in: bytes), outer.count == 1, outer[0].tag == tag else { return nil }
        return elements(in: outer[0].contents)
    }

    /// The dots and digits of an OBJECT IDENTIFIER; `nil` if the octets are malformed or an arc needs more than 64 bits.
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

extension DER {
    /// The deepest nesting that is searched; certificates have far less.
    private static let depthLimit = 64

    /// Returns the first violation of DER (X.690 §10, §11), which libcrypto ignores; `nil` if the bytes are DER.
    static func defect(in bytes: ArraySlice<UInt8>) -> String? { defect(in: bytes, depth: 0) }

    private static func defect(in bytes: ArraySlice<UInt8>, depth: Int) -> String? {
        guard depth < depthLimit else { return "values are nested more than \(depthLimit) deep" }
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
                return "a BIT STRING has a wrong count of unused bits"
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
