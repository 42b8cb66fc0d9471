// SPDX-License-Identifier: Apache-2.0

internal import Certificates
internal import FoundationEssentials
import SystemSupport

/// Makes and checks the tokens of the instance metadata service.
///
/// A token is its time of expiry under a seal that only this process can make. There is no table of tokens: none that
/// could grow, and none to be filled by whoever asks for many.
struct MetadataToken: Sendable {
    private let key: [UInt8]
    private let randomBytes: @Sendable (Int) -> [UInt8]

    /// The longest time that a token may be asked for, in seconds: six hours.
    static let longestTime = 21_600

    private static let sealed = 18
    private static let seal = 24

    init(randomBytes: @escaping @Sendable (Int) -> [UInt8]) {
        self.randomBytes = randomBytes
        key = randomBytes(32)
    }

    /// Makes a token: 42 bytes, as 56 characters of Base64, of which none can be another.
    func make(seconds: Int, at date: Date) -> String {
        let expiry = UInt64(max(0, date.timeIntervalSince1970)) + UInt64(seconds)
        let content = (0..<8).map { UInt8(truncatingIfNeeded: expiry >> (56 - 8 * $0)) } + randomBytes(10)
        return Data(content + code(content)).base64EncodedString()
    }

    /// How many seconds a token is good for yet; nothing when it is none of ours, was altered or has expired.
    func secondsLeft(_ token: String, at date: Date) -> Int? {
        guard token.utf8.count == 56, let bytes = Data(base64Encoded: token), bytes.count == Self.sealed + Self.seal
        else {
            return nil
        }
        let content = Array(bytes.prefix(Self.sealed))
        guard areEqual(Array(bytes.suffix(Self.seal)), code(content)) else { return nil }
        let expiry = content.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let left = Int(clamping: expiry) - Int(date.timeIntervalSince1970)
        return left > 0 ? left : nil
    }

    private func code(_ content: [UInt8]) -> [UInt8] {
        Array(HMACSHA256.code(content, key: key).prefix(Self.seal))
    }
}
