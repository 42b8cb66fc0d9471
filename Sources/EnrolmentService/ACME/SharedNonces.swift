// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import Enrolment
import FoundationEssentials
import Synchronization

/// Where the nonces of ACME come from.
protocol NonceSource: Sendable {
    /// A new nonce in base64url.
    func next() -> String
    /// Whether a nonce was given out and not redeemed; it is redeemed then.
    func redeem(_ nonce: String) throws -> Bool
}

/// The nonces of several servers: what one gives out, the others take, and all of them once. Those that were redeemed are in
/// the inventory.
final class SharedNonces: NonceSource {
    /// How long a nonce can be redeemed, in seconds. It is twice as long where the clocks of two servers differ by as much.
    private static let lifetime: Int64 = 3_600

    private struct State {
        var key: [UInt8]
        var forgottenAt: Date
    }

    private let inventory: Inventory
    private let now: @Sendable () -> Date
    private let state: Mutex<State>

    /// `nil` if the inventory is in the directory, where one server uses it.
    init?(_ inventory: Inventory, now: @escaping @Sendable () -> Date) throws {
        guard let key = try inventory.nonceKey(orMaking: ACMEService.randomOctets(32)) else { return nil }
        self.inventory = inventory
        self.now = now
        state = Mutex(State(key: key, forgottenAt: now()))
    }

    func next() -> String {
        let time = Int64(now().timeIntervalSince1970)
        let number = (0..<4).map { UInt8(truncatingIfNeeded: time >> (24 - 8 * $0)) } + ACMEService.randomOctets(8)
        return Base64URL.encode(number + code(number, state.withLock(\.key)))
    }

    func redeem(_ nonce: String) throws -> Bool {
        guard nonce.utf8.count == 40, let octets = Base64URL.decode(nonce), octets.count == 30 else { return false }
        let number = Array(octets.prefix(12))
        let key = state.withLock(\.key)
        let now = now()
        let time = number.prefix(4).reduce(Int64(0)) { $0 << 8 | Int64($1) }
        let isOurs = areEqual(Array(octets.dropFirst(12)), code(number, key))
        if isOurs, abs(Int64(now.timeIntervalSince1970) - time) <= Self.lifetime,
            try inventory.redeem(nonce: number, madeWith: key, now: now)
        {
            try forget(now)
            return true
        }
        // The database may have lost the key, and those of the other servers with it.
        if let current = try inventory.nonceKey(orMaking: ACMEService.randomOctets(32)) {
            state.withLock { $0.key = current }
        }
        return false
    }

    /// Now and then, what is too old to be redeemed again is forgotten.
    private func forget(_ now: Date) throws {
        let isTime = state.withLock { state in
            guard abs(now.timeIntervalSince(state.forgottenAt)) > 600 else { return false }
            state.forgottenAt = now
            return true
        }
        if isTime { try inventory.forgetNonces(before: now.addingTimeInterval(-3 * Double(Self.lifetime))) }
    }

    private func code(_ number: [UInt8], _ key: [UInt8]) -> [UInt8] {
        Array(HMACSHA256.code(Array("nonce".utf8) + number, key: key).prefix(18))
    }
}
