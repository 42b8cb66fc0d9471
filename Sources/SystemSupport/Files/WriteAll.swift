// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Writes all that there is, however many calls of the system that takes.
///
/// - Parameters:
///   - bytes: What is written.
///   - descriptor: An open file, from where it stands.
/// - Returns: 0, or the system's number for what is in the way.
package func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: CInt) -> CInt {
    var position = 0
    while position < bytes.count {
        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[position...])
        let count = unsafe write(descriptor, rest.baseAddress, rest.count)
        if count < 0, errno == EINTR { continue }
        // A file that takes nothing and does not say why.
        guard count != 0 else { return EIO }
        guard count > 0 else { return errno }
        position += count
    }
    return 0
}

/// Writes all that there is, however many calls of the system that takes.
///
/// - Parameters:
///   - bytes: What is written.
///   - descriptor: An open file, from where it stands.
/// - Returns: 0, or the system's number for what is in the way.
package func writeAll(_ bytes: [UInt8], to descriptor: CInt) -> CInt {
    unsafe bytes.withUnsafeBytes { unsafe writeAll($0, to: descriptor) }
}

/// Writes a secret without a copy of it.
///
/// - Parameters:
///   - secret: What is written.
///   - descriptor: An open file, from where it stands.
/// - Returns: 0, or the system's number for what is in the way.
package func writeAll(_ secret: SecretBytes, to descriptor: CInt) -> CInt {
    unsafe secret.withUnsafeBytes { unsafe writeAll($0, to: descriptor) }
}
