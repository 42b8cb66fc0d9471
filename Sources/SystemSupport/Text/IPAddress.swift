// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// The text form of IP addresses, as the system reads and writes it.
package enum IPAddress {
    /// Reads dotted IPv4 or colon-separated IPv6: 4 or 16 octets, or `nil`.
    package static func octets(_ text: String) -> [UInt8]? {
        // inet_pton(3) would stop reading at a NUL.
        guard !text.utf8.contains(0) else { return nil }
        let isVersion6 = text.utf8.contains(UInt8(ascii: ":"))
        var octets = [UInt8](repeating: 0, count: isVersion6 ? 16 : 4)
        return unsafe inet_pton(isVersion6 ? AF_INET6 : AF_INET, text, &octets) == 1 ? octets : nil
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

    /// An IPv4 address in the shorter forms and other bases of `inet_aton`, such as 10.1 and 010.0.0.1; `nil` for any other
    /// text, and for a single number.
    package static func octets(short text: String) -> [UInt8]? {
        var address = in_addr()
        guard text.contains("."), unsafe inet_aton(text, &address) != 0 else { return nil }
        return unsafe withUnsafeBytes(of: address.s_addr) { unsafe Array($0) }
    }

    /// An IPv4-mapped address (RFC 4291 §2.5.5.2) as IPv4; any other unchanged.
    package static func unmapped(_ octets: [UInt8]) -> [UInt8] {
        let prefix = [UInt8](repeating: 0, count: 10) + [0xff, 0xff]
        return octets.count == 16 && octets.starts(with: prefix) ? Array(octets[12...]) : octets
    }

    /// Whether an address is in 127.0.0.0/8, also IPv4-mapped, or ::1.
    package static func isLoopback(_ octets: [UInt8]) -> Bool {
        let octets = unmapped(octets)
        return octets.count == 4 ? octets[0] == 127 : octets.last == 1 && octets.dropLast().allSatisfy { $0 == 0 }
    }

    /// Looks up the addresses of a host, in the system's order; empty if it has none.
    package static func addresses(of host: String) -> [String] {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
        defer { unsafe freeaddrinfo(list) }
        var found: [String] = []
        var next = unsafe list
        while let entry = unsafe next {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let length = unsafe entry.pointee.ai_addrlen
            let status = unsafe getnameinfo(
                entry.pointee.ai_addr, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
            let address = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            if status == 0, !found.contains(address) { found.append(address) }
            unsafe next = entry.pointee.ai_next
        }
        return found
    }
}
