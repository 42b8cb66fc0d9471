// SPDX-License-Identifier: Apache-2.0

/// Text with secrets in it, put together without a copy of them that is not wiped.
package struct SecretText: Sendable {
    private enum Piece {
        case text([UInt8])
        case base64(SecretBytes)
    }

    private var pieces: [Piece] = []

    package init() {}

    /// Appends text that is no secret.
    package mutating func append(_ text: String) { pieces.append(.text(Array(text.utf8))) }

    /// Appends a secret in base64 (RFC 4648 §4), in one line and with padding.
    package mutating func append(base64 secret: SecretBytes) { pieces.append(.base64(secret)) }

    /// The whole text.
    package var bytes: SecretBytes {
        let capacity = pieces.reduce(0) { sum, piece in
            switch piece {
            case .text(let text): sum + text.count
            case .base64(let secret): sum + (secret.count + 2) / 3 * 4
            }
        }
        return unsafe SecretBytes(capacity: capacity) { buffer in
            var count = 0
            for piece in pieces {
                switch piece {
                case .text(let text):
                    for byte in text {
                        unsafe buffer[count] = byte
                        count += 1
                    }
                case .base64(let secret):
                    unsafe secret.withUnsafeBytes { bytes in
                        unsafe Self.encode(bytes, into: buffer, &count)
                    }
                }
            }
            return count
        }
    }

    private static func encode(
        _ bytes: UnsafeRawBufferPointer, into buffer: UnsafeMutableBufferPointer<UInt8>, _ count: inout Int
    ) {
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let octets = min(3, bytes.count - start)
            var group: UInt32 = 0
            for index in 0..<3 { group = unsafe group << 8 | (index < octets ? UInt32(bytes[start + index]) : 0) }
            for index in 0..<4 {
                let digit = UInt8(truncatingIfNeeded: group >> (18 - 6 * UInt32(index)) & 0x3f)
                unsafe buffer[count] = index <= octets ? character(for: digit) : UInt8(ascii: "=")
                count += 1
            }
        }
    }

    /// Computed, not looked up: which table a processor has read is a trace.
    private static func character(for digit: UInt8) -> UInt8 {
        switch digit {
        case 0..<26: digit + UInt8(ascii: "A")
        case 26..<52: digit - 26 + UInt8(ascii: "a")
        case 52..<62: digit - 52 + UInt8(ascii: "0")
        case 62: UInt8(ascii: "+")
        default: UInt8(ascii: "/")
        }
    }
}
