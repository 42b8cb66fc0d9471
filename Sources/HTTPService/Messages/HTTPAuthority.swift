// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// A host and its port, as they stand in `Host`, in an absolute target, and in a URL's origin (RFC 3986 §3.2).
package struct HTTPAuthority: Hashable, Sendable, CustomStringConvertible {
    /// The name in lower case, or the address in the one way that the system writes it, without brackets.
    package let host: String

    /// The port; `nil` if none was given.
    package let port: Int?

    /// Whether the host is an address in numbers, which DNS cannot lead to another machine.
    package let isAddress: Bool

    /// Whether only this machine can be meant: `localhost`, a name below it (RFC 6761 §6.3), 127.0.0.0/8 or ::1.
    package let isLoopback: Bool

    /// Reads a host with or without a port: `localhost:8080`, `[::1]`, `192.0.2.1:443`.
    ///
    /// - Parameter text: The text. `nil` if it is anything else, such as one with a user name, or a port that is none.
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        let isBracketed = bytes.first == UInt8(ascii: "[")
        let end = bytes.firstIndex(of: UInt8(ascii: isBracketed ? "]" : ":")) ?? bytes.endIndex
        guard !isBracketed || end < bytes.endIndex else { return nil }
        let rest = bytes[(isBracketed ? end + 1 : end)...]
        var port: Int?
        if !rest.isEmpty {
            let digits = rest.dropFirst()
            guard rest.first == UInt8(ascii: ":"), (1...5).contains(digits.count),
                digits.allSatisfy({ (0x30...0x39).contains($0) }),
                let number = Int(String(decoding: digits, as: UTF8.self)), number <= 65_535
            else { return nil }
            port = number
        }
        let name = bytes[(isBracketed ? 1 : 0)..<end]
        self.init(host: String(decoding: name, as: UTF8.self), port: port)
        // Brackets are for addresses of IPv6, and only for them.
        guard !isBracketed || isAddress && name.contains(UInt8(ascii: ":")) else { return nil }
    }

    /// Makes one of its parts.
    ///
    /// - Parameters:
    ///   - host: An address in numbers without brackets, or a name. `nil` for what is neither.
    ///   - port: The port.
    package init?(host: String, port: Int?) {
        self.port = port
        if let address = try? SocketAddress(ipAddress: host, port: 0), let text = address.clientAddress {
            self.host = text
            (isAddress, isLoopback) = (true, address.isLoopback)
            return
        }
        guard (1...255).contains(host.utf8.count),
            host.utf8.allSatisfy({ byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
                default: "-._".utf8.contains(byte)
                }
            })
        else { return nil }
        let name = host.lowercased()
        self.host = name
        (isAddress, isLoopback) = (false, name == "localhost" || name.hasSuffix(".localhost"))
    }

    /// As it stands in a URL.
    package var description: String {
        (host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host) + (port.map { ":\($0)" } ?? "")
    }
}
