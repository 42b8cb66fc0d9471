// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import SystemSupport

/// How a password gets to the provider.
enum TPMPassword {
    /// The most that the provider takes, which is the size of the largest hash.
    static let limit = 64

    /// Lends a password as the context of ``giveTPMPassword``.
    ///
    /// - Parameters:
    ///   - password: The password; without one, ``giveTPMPassword`` refuses.
    ///   - body: Must not let the context escape.
    /// - Returns: What the closure returns.
    /// - Throws: What the closure throws.
    static func lend<Result: ~Copyable>(
        _ password: SecretBytes?,
        _ body: (UnsafeMutableRawPointer?) throws -> Result
    ) throws -> Result {
        guard let password else { return try body(nil) }
        return try unsafe withUnsafePointer(to: password) { try unsafe body(UnsafeMutableRawPointer(mutating: $0)) }
    }
}

/// Hands libcrypto the password, so that it does not ask on the terminal. `context` points to a `SecretBytes`.
func giveTPMPassword(
    _ buffer: UnsafeMutablePointer<CChar>?,
    _ capacity: CInt,
    _ writing: CInt,
    _ context: UnsafeMutableRawPointer?
) -> CInt {
    guard let buffer = unsafe buffer, let context = unsafe context else { return -1 }
    let secret = unsafe context.assumingMemoryBound(to: SecretBytes.self).pointee
    guard secret.count <= Int(capacity) else { return -1 }
    unsafe secret.withUnsafeBytes {
        guard let base = $0.baseAddress else { return }
        unsafe UnsafeMutableRawPointer(buffer).copyMemory(from: base, byteCount: $0.count)
    }
    return CInt(secret.count)
}
