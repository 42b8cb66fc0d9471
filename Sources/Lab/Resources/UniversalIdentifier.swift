// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// UUIDs as text (RFC 9562).
enum UniversalIdentifier {
    /// An identifier that is the same whenever the same things are said, so that scripts can keep the lab's ARNs.
    ///
    /// - Parameter parts: What the identifier stands for.
    /// - Returns: A UUID of version 8, made from a SHA-256.
    static func derived(from parts: [[UInt8]]) -> String {
        var message: [UInt8] = []
        for part in parts {
            message += "\(part.count):".utf8
            message += part
        }
        return text(Array(Digest.sha256.hash(message).prefix(16)), version: 8)
    }

    /// Writes sixteen bytes as a UUID.
    ///
    /// - Parameters:
    ///   - bytes: Sixteen bytes; missing ones are zero. The bits of version and variant are overwritten.
    ///   - version: The version, 1 to 8.
    /// - Returns: 36 characters.
    static func text(_ bytes: [UInt8], version: UInt8) -> String {
        var bytes = Array((bytes + [UInt8](repeating: 0, count: 16)).prefix(16))
        bytes[6] = bytes[6] & 0x0f | version << 4
        bytes[8] = bytes[8] & 0x3f | 0x80
        var text = Array(hexadecimal(bytes).utf8)
        for place in [20, 16, 12, 8] { text.insert(0x2d, at: place) }
        return String(decoding: text, as: UTF8.self)
    }
}
