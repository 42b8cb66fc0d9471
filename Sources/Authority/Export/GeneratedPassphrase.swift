// SPDX-License-Identifier: Apache-2.0

import Certificates
public import SystemSupport

/// Passphrases for what leaves the CA's directory.
public enum GeneratedPassphrase {
    /// Letters and digits that are not taken for one another: without l, o, 0 and 1.
    private static let characters = Array("abcdefghijkmnpqrstuvwxyz23456789".utf8)

    private static let groups = 7
    private static let groupLength = 4

    /// Draws a passphrase of 140 random bits that can be read aloud and typed: seven groups of four letters and digits.
    ///
    /// - Parameter generator: The source of randomness, cryptographically secure outside of tests.
    /// - Returns: The passphrase, for example `k7pq-x3mn-…`, in ASCII and without a line end.
    public static func make(using generator: inout some RandomNumberGenerator) -> SecretBytes {
        unsafe SecretBytes(capacity: groups * (groupLength + 1) - 1) { buffer in
            for index in buffer.indices {
                let isBetween = index % (groupLength + 1) == groupLength
                // A power of two: five bits are one of the characters, each as likely as the others.
                let character = isBetween ? UInt8(ascii: "-") : characters[Int(generator.next() & 0x1f)]
                unsafe buffer[index] = character
            }
            return buffer.count
        }
    }
}
