// SPDX-License-Identifier: Apache-2.0

/// Draws random bytes from the system, eight at a time: each draw is a call of the kernel.
///
/// - Parameter count: How many.
/// - Returns: The bytes.
@Sendable func randomBytes(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 7)
    while bytes.count < count {
        var word = generator.next()
        for _ in 0..<8 {
            bytes.append(UInt8(truncatingIfNeeded: word))
            word >>= 8
        }
    }
    bytes.removeLast(bytes.count - count)
    return bytes
}
