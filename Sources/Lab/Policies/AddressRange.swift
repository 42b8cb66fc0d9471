// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A range of IPv4 or IPv6 addresses in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3); one address is a range of its own.
struct AddressRange: Sendable, Hashable {
    private let octets: [UInt8]
    private let length: Int

    /// Reads `203.0.113.0/24`, `2001:db8::/32` or an address. Bits behind the prefix are passed over.
    init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let octets = Self.octets(String(first)) else { return nil }
        self.octets = octets
        guard parts.count == 2 else {
            length = octets.count * 8
            return
        }
        guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let length = Int(parts[1]), length <= octets.count * 8
        else { return nil }
        self.length = length
    }

    /// Whether an address lies in the range.
    func contains(_ address: String) -> Bool {
        guard let other = Self.octets(address), other.count == octets.count else { return false }
        let whole = length / 8
        guard other[..<whole] == octets[..<whole] else { return false }
        let rest = length % 8
        return rest == 0 || (other[whole] ^ octets[whole]) >> UInt8(8 - rest) == 0
    }

    private static func octets(_ text: String) -> [UInt8]? {
        // A NUL would end the text for the C function.
        guard text.utf8.allSatisfy({ $0 != 0 }) else { return nil }
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var octets = [UInt8](repeating: 0, count: count)
            if unsafe inet_pton(family, text, &octets) == 1 { return octets }
        }
        return nil
    }
}
