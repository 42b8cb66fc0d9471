// SPDX-License-Identifier: Apache-2.0

/// HMAC-SHA256 (RFC 2104), with which SigV4 signs by a secret.
package enum HMACSHA256 {
    private static let blockSize = 64

    /// Makes the code of a message.
    ///
    /// - Parameters:
    ///   - message: The message.
    ///   - key: The secret.
    /// - Returns: 32 bytes.
    package static func code(_ message: some Sequence<UInt8>, key: [UInt8]) -> [UInt8] {
        var block = key.count > blockSize ? Digest.sha256.hash(key) : key
        block += [UInt8](repeating: 0, count: blockSize - block.count)
        let inner = Digest.sha256.hash(block.map { $0 ^ 0x36 } + Array(message))
        return Digest.sha256.hash(block.map { $0 ^ 0x5c } + inner)
    }
}
