// SPDX-License-Identifier: Apache-2.0

/// A hash function of the SHA-2 family.
public enum Digest: String, CaseIterable, Sendable {
    /// SHA-256, 32 octets.
    case sha256
    /// SHA-384, 48 octets.
    case sha384
    /// SHA-512, 64 octets.
    case sha512
}

/// Lower-case hexadecimal digits of some bytes, two for each.
///
/// - Parameter bytes: Any bytes.
/// - Returns: The digits without separators.
package func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    func digit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 0x30 + nibble : 0x57 + nibble }
    var digits: [UInt8] = []
    digits.reserveCapacity(bytes.underestimatedCount * 2)
    for byte in bytes {
        digits.append(digit(byte >> 4))
        digits.append(digit(byte & 15))
    }
    return String(decoding: digits, as: UTF8.self)
}
