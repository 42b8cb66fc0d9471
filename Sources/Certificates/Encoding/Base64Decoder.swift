// SPDX-License-Identifier: Apache-2.0

/// Decodes base64 (RFC 4648 §4) that arrives in pieces, into a place that the caller gives: a private key is to have no copy
/// that is not wiped.
@safe struct Base64Decoder {
    // SAFETY: the owner of the place keeps it as long as it uses this value.
    private let output: UnsafeMutableBufferPointer<UInt8>
    private var bits: UInt32 = 0
    private var digits = 0
    private var padding = 0

    /// How many bytes have been written.
    private(set) var count = 0

    /// Begins.
    ///
    /// - Parameter output: Where the bytes go; three for every four digits.
    init(into output: UnsafeMutableBufferPointer<UInt8>) { unsafe self.output = unsafe output }

    /// Takes one more character.
    ///
    /// - Parameter character: A digit of base64, or padding.
    /// - Returns: Whether it may stand here.
    mutating func take(_ character: UInt8) -> Bool {
        if character == UInt8(ascii: "=") {
            padding += 1
            return digits & 3 >= 2 && padding <= 2
        }
        guard padding == 0, let value = Self.value(of: character) else { return false }
        bits = bits << 6 | UInt32(value)
        digits += 1
        return digits & 3 != 0 || write(3)
    }

    /// Ends: writes what the last, incomplete group holds.
    ///
    /// - Parameter isPadded: Whether padding must fill that group.
    /// - Returns: Whether the number of digits and padding is right.
    mutating func finish(isPadded: Bool = true) -> Bool {
        let missing = (4 - digits & 3) & 3
        switch (digits & 3, isPadded || padding > 0 ? padding : missing) {
        case (0, 0): return true
        case (2, 2):
            bits <<= 12
            return write(1)
        case (3, 1):
            bits <<= 6
            return write(2)
        default: return false
        }
    }

    private mutating func write(_ octets: Int) -> Bool {
        guard unsafe count + octets <= output.count else { return false }
        for octet in 0..<octets {
            unsafe output[count] = UInt8(truncatingIfNeeded: bits >> (16 - 8 * UInt32(octet)))
            count += 1
        }
        bits = 0
        return true
    }

    private static func value(of character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
