// SPDX-License-Identifier: Apache-2.0

/// Percent-encoding (RFC 3986 §2.1), read strictly and written in one way only.
public enum PercentEncoding {
    /// Reads encoded text.
    ///
    /// - Parameter text: Text as it stands in a path or a query. A `+` is a plus.
    /// - Returns: The text that was meant; nothing when a `%` is not followed by two hexadecimal digits or the bytes are
    ///   not UTF-8.
    public static func decode(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        var rest = text.utf8.makeIterator()
        while let byte = rest.next() {
            guard byte == 0x25 else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.next().flatMap(value), let low = rest.next().flatMap(value) else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// Writes text so that only letters, digits, `-`, `.`, `_` and `~` stand for themselves, as AWS signs it.
    ///
    /// - Parameter text: Any text.
    /// - Returns: The encoded text, with capital hexadecimal digits.
    public static func encode(_ text: String) -> String {
        func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x41 + value - 10 }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count * 3)
        for byte in text.utf8 {
            switch byte {
            case 0x41...0x5a, 0x61...0x7a, 0x30...0x39, 0x2d, 0x2e, 0x5f, 0x7e: bytes.append(byte)
            default:
                bytes.append(0x25)
                bytes.append(digit(byte >> 4))
                bytes.append(digit(byte & 15))
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x41 + 10
        case 0x61...0x66: digit - 0x61 + 10
        default: nil
        }
    }
}
