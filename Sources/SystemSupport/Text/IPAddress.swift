// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The text form of IP addresses, by the system's own functions.
package enum IPAddress {
    /// Reads dotted IPv4 or colon-separated IPv6: 4 or 16 octets, or `nil`.
    package static func octets(_ text: String) -> [UInt8]? {
        // inet_pton(3) would stop reading at a NUL.
        guard !text.utf8.contains(0) else { return nil }
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var octets = [UInt8](repeating: 0, count: count)
            if unsafe inet_pton(family, text, &octets) == 1 { return octets }
        }
        return nil
    }

    /// Writes an address, or hexadecimal digits for anything that is not 4 or 16 octets long.
    package static func text(_ octets: [UInt8]) -> String {
        guard octets.count == 4 || octets.count == 16 else { return hexadecimal(octets) }
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = octets.count == 4 ? AF_INET : AF_INET6
        guard unsafe inet_ntop(family, octets, &buffer, socklen_t(buffer.count)) != nil else {
            return hexadecimal(octets)
        }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
