// SPDX-License-Identifier: Apache-2.0

import Certificates
import Enrolment
import Synchronization

/// The nonces of ACME (RFC 8555 §6.5): each is a number with a MAC, so that none is stored when it is given out.
///
/// One bit a nonce tells which of the last ones were redeemed; older ones are refused, and so are those of another
/// process. A client that is refused gets a fresh one and asks again.
final class ACMENonces: NonceSource {
    /// As many as are remembered.
    static let count = 1 << 20

    private struct State {
        var last: UInt64 = 0
        var redeemed = [UInt64](repeating: 0, count: ACMENonces.count / 64)
    }

    private let key: [UInt8]
    private let state = Mutex(State())

    /// - Parameter key: 32 random octets.
    init(key: [UInt8]) { self.key = key }

    /// A new nonce in base64url.
    func next() -> String {
        let number = state.withLock { state in
            state.last += 1
            let (word, bit) = Self.place(of: state.last)
            state.redeemed[word] &= ~bit
            return state.last
        }
        return Base64URL.encode(Self.octets(number) + code(number))
    }

    /// Whether a nonce was given out and not redeemed; it is redeemed then.
    func redeem(_ nonce: String) -> Bool {
        guard nonce.utf8.count == 32, let octets = Base64URL.decode(nonce), octets.count == 24 else { return false }
        let number = octets.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard areEqual(Array(octets.dropFirst(8)), code(number)) else { return false }
        return state.withLock { state in
            guard number <= state.last, state.last - number < UInt64(Self.count) else { return false }
            let (word, bit) = Self.place(of: number)
            guard state.redeemed[word] & bit == 0 else { return false }
            state.redeemed[word] |= bit
            return true
        }
    }

    private func code(_ number: UInt64) -> [UInt8] {
        Array(HMACSHA256.code(Array("nonce".utf8) + Self.octets(number), key: key).prefix(16))
    }

    private static func octets(_ number: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - 8 * $0)) }
    }

    private static func place(of number: UInt64) -> (word: Int, bit: UInt64) {
        let index = Int(number % UInt64(count))
        return (index / 64, 1 << UInt64(index % 64))
    }
}
