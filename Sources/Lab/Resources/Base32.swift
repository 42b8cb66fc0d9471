// SPDX-License-Identifier: Apache-2.0

import Certificates

/// The alphabet of AWS's unique identifiers: capitals and the digits 2 to 7 (RFC 4648 §6).
enum Base32 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)

    /// Writes one character for each byte, by its lower five bits.
    static func characters(_ bytes: some Sequence<UInt8>) -> String {
        String(decoding: bytes.map { alphabet[Int($0 & 31)] }, as: UTF8.self)
    }

    /// Derives characters from a message; the same message gives the same ones.
    ///
    /// - Parameters:
    ///   - message: Any bytes.
    ///   - count: How many characters, at most 32.
    /// - Returns: The characters.
    static func text(of message: [UInt8], count: Int) -> String {
        characters(Digest.sha256.hash(message).prefix(count))
    }
}
