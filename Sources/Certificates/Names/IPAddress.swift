// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemSupport

/// The text form of IP addresses, as the system's own library reads and writes it.
enum IPAddress {
    /// Reads an address.
    ///
    /// - Parameter text: Dotted IPv4 or colon-separated IPv6.
    /// - Returns: 4 or 16 octets, or nothing when the text is neither.
    static func octets(_ text: String) -> [UInt8]? {
        // The system's library would stop reading there.
        guard !text.utf8.contains(0) else { return nil }
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var octets = [UInt8](repeating: 0, count: count)
            if unsafe inet_pton(family, text, &octets) == 1 { return octets }
        }
        return nil
    }

    /// Writes an address; anything that is not 4 or 16 octets long appears as hexadecimal digits.
    static func text(_ octets: [UInt8]) -> String {
        guard octets.count == 4 || octets.count == 16 else { return hexadecimal(octets) }
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = octets.count == 4 ? AF_INET : AF_INET6
        guard unsafe inet_ntop(family, octets, &buffer, socklen_t(buffer.count)) != nil else {
            return hexadecimal(octets)
        }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
