// SPDX-License-Identifier: Apache-2.0

/// Distinguished encoding (X.690 §10) of the few ASN.1 shapes that a certificate is put together from.
///
/// Names, keys and extension values come from libcrypto ready encoded; this joins them, so that an issuer's name goes
/// into a certificate as the very bytes of the issuer's subject, and so that any ``SigningKey`` can sign.
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
    ///
    /// - Parameters:
    ///   - tag: The identifier octet.
    ///   - contents: The contents octets.
    /// - Returns: The whole encoding.
    package static func encode(_ tag: UInt8, _ contents: [UInt8]) -> [UInt8] {
        var encoded: [UInt8] = []
        encoded.reserveCapacity(contents.count + 6)
        append(tag, contents, to: &encoded)
        return encoded
    }

    /// Appends a value with its tag and length to what is encoded already, so that many values need no array each.
    ///
    /// - Parameters:
    ///   - tag: The identifier octet.
    ///   - contents: The contents octets.
    ///   - encoded: Where the encoding is appended.
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

    /// A BIT STRING of whole octets.
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
