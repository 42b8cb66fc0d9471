// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// A certificate's serial number: a positive integer of up to 20 octets (RFC 5280 §4.1.2.2).
public struct SerialNumber: Hashable, Sendable {
    /// The big-endian magnitude without leading zeros; empty for zero.
    public let magnitude: [UInt8]

    /// Creates a serial number from big-endian octets; leading zeros are dropped.
    public init(_ bytes: some Sequence<UInt8>) {
        magnitude = Array(bytes.drop { $0 == 0 })
    }

    /// Creates a serial number from a magnitude without leading zeros, which is not checked.
    package init(magnitude: [UInt8]) { self.magnitude = magnitude }

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
        magnitude.isEmpty ? "00" : SystemSupport.hexadecimal(magnitude)
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
        return groups.reversed().reduce(into: String(first)) { digits, group in
            let text = String(group)
            digits += String(repeating: "0", count: 9 - text.count) + text
        }
    }
}

extension SerialNumber: Comparable {
    /// Compares the numbers.
    public static func < (left: SerialNumber, right: SerialNumber) -> Bool {
        if left.magnitude.count != right.magnitude.count { return left.magnitude.count < right.magnitude.count }
        return left.magnitude.lexicographicallyPrecedes(right.magnitude)
    }
}

extension SerialNumber: CustomStringConvertible {
    /// The hexadecimal form.
    public var description: String { hexadecimal }
}
