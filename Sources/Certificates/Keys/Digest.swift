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
    var digits: [UInt8] = []
    digits.reserveCapacity(bytes.underestimatedCount * 2)
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            digits.append(nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10)
        }
    }
    return String(decoding: digits, as: UTF8.self)
}
