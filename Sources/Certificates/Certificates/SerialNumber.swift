// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// A certificate's serial number: a positive integer of up to 20 octets (RFC 5280 §4.1.2.2). Some CAs have made negative
/// ones; they keep their sign.
public struct SerialNumber: Hashable, Sendable {
    /// The big-endian magnitude without leading zeros; empty for zero.
    public let magnitude: [UInt8]

    /// Whether it is below zero.
    public let isNegative: Bool

    /// Creates a serial number from the big-endian octets of its magnitude; leading zeros are dropped.
    public init(_ bytes: some Sequence<UInt8>, isNegative: Bool = false) {
        magnitude = Array(bytes.drop { $0 == 0 })
        self.isNegative = isNegative && !magnitude.isEmpty
    }

    /// Reads what ``stored`` gave.
    package init(stored: [UInt8]) { self.init(stored, isNegative: stored.first == 0) }

    /// The octets for a database: the magnitude, after a zero for a negative number.
    package var stored: [UInt8] { isNegative ? [0] + magnitude : magnitude }

    /// The number, if it is positive and the next one fits into 64 bits too.
    package var integer: Int64? {
        guard !isNegative, magnitude.count <= 8 else { return nil }
        let value = magnitude.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return value < Int64.max ? Int64(value) : nil
    }

    /// Reads the contents of an INTEGER; `nil` if it has no octets.
    init?(derContents contents: ArraySlice<UInt8>) {
        guard let first = contents.first else { return nil }
        guard first >= 0x80 else {
            self.init(contents)
            return
        }
        // Two's complement: all bits inverted, and one more.
        var octets = contents.map { ~$0 }
        for index in octets.indices.reversed() {
            octets[index] &+= 1
            if octets[index] != 0 { break }
        }
        self.init(octets, isNegative: true)
    }

    /// The INTEGER in DER.
    var derEncoded: [UInt8] {
        guard isNegative else { return DER.unsignedInteger(magnitude) }
        // Two's complement: all bits of the magnitude less one, inverted.
        var octets = [0] + magnitude
        for index in octets.indices.reversed() {
            octets[index] &-= 1
            if octets[index] != 0xff { break }
        }
        octets = octets.map { ~$0 }
        while octets.count > 1, octets[0] == 0xff, octets[1] >= 0x80 { octets.removeFirst() }
        return DER.encode(DER.integer, octets)
    }

    /// Returns a serial number of 159 random bits, the most that stay positive in 20 octets; never zero.
    public static func random(using generator: inout some RandomNumberGenerator) -> SerialNumber {
        while true {
            let words = (0..<3).map { _ in generator.next() }
            var bytes = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
            bytes.removeLast(4)
            bytes[0] &= 0x7f
            let serial = SerialNumber(bytes)
            if !serial.magnitude.isEmpty { return serial }
        }
    }

    /// Whether the INTEGER has at most the 20 octets that RFC 5280 allows, one of which may go to the sign.
    var fitsInTwentyOctets: Bool { magnitude.count < 20 || magnitude.count == 20 && magnitude[0] < 0x80 }

    /// Lower-case hexadecimal with an even number of digits, as `openssl x509 -serial` prints it but for the case.
    public var hexadecimal: String {
        magnitude.isEmpty ? "00" : (isNegative ? "-" : "") + SystemSupport.hexadecimal(magnitude)
    }

    /// Decimal digits, as the `Credential` of a Roles Anywhere request wants them.
    public var decimal: String {
        // Long division of the magnitude by 10^9, nine digits at a time.
        var quotient = magnitude
        var groups: [UInt64] = []
        while !quotient.isEmpty {
            var remainder: UInt64 = 0
            for index in quotient.indices {
                let value = remainder << 8 | UInt64(quotient[index])
                quotient[index] = UInt8(value / 1_000_000_000)
                remainder = value % 1_000_000_000
            }
            groups.append(remainder)
            quotient.trimPrefix { $0 == 0 }
        }
        guard let first = groups.popLast() else { return "0" }
        return groups.reversed().reduce(into: (isNegative ? "-" : "") + String(first)) { digits, group in
            let text = String(group)
            digits += String(repeating: "0", count: 9 - text.count) + text
        }
    }
}

extension SerialNumber: Comparable {
    /// Compares the numbers.
    public static func < (left: SerialNumber, right: SerialNumber) -> Bool {
        if left.isNegative != right.isNegative { return left.isNegative }
        let (low, high) = left.isNegative ? (right.magnitude, left.magnitude) : (left.magnitude, right.magnitude)
        return low.count != high.count ? low.count < high.count : low.lexicographicallyPrecedes(high)
    }
}

extension SerialNumber: CustomStringConvertible {
    /// The hexadecimal form.
    public var description: String { hexadecimal }
}
