// SPDX-License-Identifier: Apache-2.0

package import struct FoundationEssentials.Date
internal import SystemSupport

/// A request whose head and body have arrived.
package struct HTTPRequest: Sendable {
    package let method: HTTPMethod

    /// The request target as received: printable ASCII, nothing decoded (RFC 9112 §3.2).
    package let target: String

    package let headers: HTTPHeaders

    /// The body without its transfer coding.
    package let body: [UInt8]

    /// The client's `address:port`; `unix` for a unix socket.
    package let remoteAddress: String

    /// The address and port of this machine that the client connected to; `nil` for a unix socket, and for a request that came
    /// over none.
    package let localAddress: HTTPAuthority?

    /// Whether it came from this machine: over a unix socket, or from 127.0.0.0/8 or ::1. A proxy on this machine counts as
    /// local, too.
    package let isLocal: Bool

    /// Whether it came over TLS.
    package let isSecure: Bool

    /// The certificates by which the client proved its identity, in DER: its own first, then up to the root that the server trusts
    /// for it. Empty without TLS, and for a client that sent none.
    package let clientCertificates: [[UInt8]]

    /// When the request was complete.
    package let arrival: ContinuousClock.Instant

    package init(
        method: HTTPMethod, target: String, headers: HTTPHeaders = HTTPHeaders(), body: [UInt8] = [],
        remoteAddress: String = "", localAddress: HTTPAuthority? = nil, isLocal: Bool = false, isSecure: Bool = false,
        clientCertificates: [[UInt8]] = [], arrival: ContinuousClock.Instant
    ) {
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.remoteAddress = remoteAddress
        self.localAddress = localAddress
        self.isLocal = isLocal
        self.isSecure = isSecure
        self.clientCertificates = clientCertificates
        self.arrival = arrival
    }

    /// The client's address for limits; an IPv6 client has a whole /64. `unix` for a unix socket.
    package var remoteNetwork: String { ConnectionPeer.network(of: remoteAddress) }

    /// The path as received, still encoded, without the query. `/` for an absolute target that has none.
    package var path: Substring {
        let start = target.utf8.first == 0x2f ? target.startIndex : authorityEnd
        let end = target.utf8[start...].firstIndex(of: 0x3f) ?? target.endIndex
        return start == end && authority != nil ? "/" : target[start..<end]
    }

    /// The query as received, still encoded, without its `?`; `nil` if the target has no `?`.
    package var query: Substring? {
        guard let mark = target.utf8.firstIndex(of: 0x3f) else { return nil }
        return target[target.utf8.index(after: mark)...]
    }

    /// The host that the request is for: of an absolute target, else of the `Host` header (RFC 9112 §3.2.2).
    package var host: String? { authority.map(String.init) ?? headers["Host"] }

    private var authority: Substring? {
        guard target.utf8.first != 0x2f, let start = Self.authorityStart(target) else { return nil }
        return target[start..<authorityEnd]
    }

    private var authorityEnd: String.Index {
        guard let start = Self.authorityStart(target) else { return target.startIndex }
        return target.utf8[start...].firstIndex { $0 == 0x2f || $0 == 0x3f } ?? target.endIndex
    }

    /// Where the host of an absolute target begins; `nil` if it is not an http or https URL.
    static func authorityStart(_ target: String) -> String.Index? {
        for scheme in ["http://", "https://"]
        where equalIgnoringCase(target.utf8.prefix(scheme.utf8.count), scheme.utf8) {
            return target.utf8.index(target.startIndex, offsetBy: scheme.utf8.count)
        }
        return nil
    }
}

extension HTTPRequest {
    /// Whether the client has what a response would bring (RFC 9110 §13): by its entity tag, which goes first, or by its date.
    ///
    /// - Parameters:
    ///   - tag: The tag of the response, with its quotes.
    ///   - date: When what it brings was last changed.
    package func isCurrent(tag: String, lastModified date: Date) -> Bool {
        let tags = headers.values("If-None-Match")
        guard tags.isEmpty else {
            return tags.joined(separator: ",").split(separator: ",").contains { part in
                let part = part.trimmingPrefix { $0 == " " || $0 == "\t" }
                let given = part.hasPrefix("W/") ? part.dropFirst(2) : part
                return given == "*" || given.prefix { $0 != " " && $0 != "\t" } == tag
            }
        }
        guard let since = headers["If-Modified-Since"].flatMap(CivilTime.date(fromHTTP:)) else { return false }
        return CivilTime(date).date <= since
    }
}

/// A host and its port, as in `Host`, in an absolute target, and in a URL's origin (RFC 3986 §3.2).
package struct HTTPAuthority: Hashable, Sendable, CustomStringConvertible {
    /// The name in lower case, or the address as the system writes it, without brackets.
    package let host: String

    /// `nil` if no port was given.
    package let port: Int?

    /// Whether the host is an IP address, which DNS cannot lead to another machine.
    package let isAddress: Bool

    /// Whether only this machine can be meant: `localhost`, a name below it (RFC 6761 §6.3), 127.0.0.0/8 or ::1.
    package let isLoopback: Bool

    /// Reads a host with or without a port: `localhost:8080`, `[::1]`, `192.0.2.1:443`. `nil` for anything else, such as a host
    /// with a user name, or a port over 65535.
    package init?(_ text: String) {
        let bytes = text.utf8
        let isBracketed = bytes.first == UInt8(ascii: "[")
        let end = bytes.firstIndex(of: UInt8(ascii: isBracketed ? "]" : ":")) ?? bytes.endIndex
        guard !isBracketed || end < bytes.endIndex else { return nil }
        let rest = bytes[(isBracketed ? bytes.index(after: end) : end)...]
        var port: Int?
        if !rest.isEmpty {
            let digits = rest.dropFirst()
            guard rest.first == UInt8(ascii: ":"), (1...5).contains(digits.count),
                digits.allSatisfy({ (0x30...0x39).contains($0) })
            else { return nil }
            let number = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
            guard number <= 65_535 else { return nil }
            port = number
        }
        let name = bytes[(isBracketed ? bytes.index(after: bytes.startIndex) : bytes.startIndex)..<end]
        self.init(host: String(Substring(name)), port: port)
        // Brackets are for IPv6 addresses, and only for them.
        guard !isBracketed || isAddress && name.contains(UInt8(ascii: ":")) else { return nil }
    }

    /// `nil` if the host is neither an IP address without brackets nor a name.
    package init?(host: String, port: Int?) {
        self.port = port
        if let octets = IPAddress.octets(host) {
            // An IPv4 address has one spelling only.
            self.host = octets.count == 4 ? host : IPAddress.text(IPAddress.unmapped(octets))
            (isAddress, isLoopback) = (true, IPAddress.isLoopback(octets))
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

    /// As in a URL.
    package var description: String {
        (host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host) + (port.map { ":\($0)" } ?? "")
    }
}
