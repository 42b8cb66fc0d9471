// SPDX-License-Identifier: Apache-2.0

/// Encodes every octet that RFC 3986 §2.3 does not call unreserved as `%XX`, with capitals, as signatures want it.
///
/// - Parameter text: Any text; its UTF-8 is encoded.
/// - Returns: ASCII that can stand anywhere in a URL.
func percentEncoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var encoded: [UInt8] = []
    encoded.reserveCapacity(text.utf8.count)
    for octet in text.utf8 {
        if isUnreserved(octet) {
            encoded.append(octet)
        } else {
            encoded += [UInt8(ascii: "%"), digits[Int(octet >> 4)], digits[Int(octet & 15)]]
        }
    }
    return String(decoding: encoded, as: UTF8.self)
}

/// Whether an octet never needs encoding: a letter, a digit, or one of `-._~` (RFC 3986 §2.3).
func isUnreserved(_ octet: UInt8) -> Bool {
    switch octet {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
    case UInt8(ascii: "0")...UInt8(ascii: "9"): true
    case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"): true
    default: false
    }
}
