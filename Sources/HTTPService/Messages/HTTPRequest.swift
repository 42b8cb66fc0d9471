// SPDX-License-Identifier: Apache-2.0

/// A request whose head and body have arrived in full.
package struct HTTPRequest: Sendable {
    /// What is to be done.
    package let method: HTTPMethod

    /// The request target, byte for byte as it was received: printable ASCII, nothing decoded (RFC 9112 §3.2).
    package let target: String

    /// The headers, byte for byte as they were received.
    package let headers: HTTPHeaders

    /// The body without its transfer coding; empty when there was none.
    package let body: [UInt8]

    /// Where the request came from, as `address:port`; `unix` for a unix socket, whose clients have no address.
    package let remoteAddress: String

    /// The address and port of this machine that the client connected to; `nil` for a unix socket, and for a request that came
    /// over none.
    package let localAddress: HTTPAuthority?

    /// Whether it came from this machine: over a unix socket, or from 127.0.0.0/8 or ::1. A proxy on this machine is
    /// local too, whoever stands behind it.
    package let isLocal: Bool

    /// Whether it came over TLS.
    package let isSecure: Bool

    /// When the head was complete.
    package let arrival: ContinuousClock.Instant

    /// Makes a request, as tests of handlers need it.
    ///
    /// - Parameters:
    ///   - method: What is to be done.
    ///   - target: The path and, behind a `?`, the query, still encoded.
    ///   - headers: The headers.
    ///   - body: The body.
    ///   - remoteAddress: Where the request comes from.
    ///   - localAddress: The address of this machine that it came to.
    ///   - isLocal: Whether it comes from this machine.
    ///   - isSecure: Whether it comes over TLS.
    ///   - arrival: When the head was complete.
    package init(
        method: HTTPMethod,
        target: String,
        headers: HTTPHeaders = HTTPHeaders(),
        body: [UInt8] = [],
        remoteAddress: String = "",
        localAddress: HTTPAuthority? = nil,
        isLocal: Bool = false,
        isSecure: Bool = false,
        arrival: ContinuousClock.Instant
    ) {
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.remoteAddress = remoteAddress
        self.localAddress = localAddress
        self.isLocal = isLocal
        self.isSecure = isSecure
        self.arrival = arrival
    }

    /// The path as received, still encoded, without the query. `/` for an absolute target that has none.
    package var path: Substring {
        let start = target.utf8.first == 0x2f ? target.startIndex : authorityEnd
        let end = target.utf8[start...].firstIndex(of: 0x3f) ?? target.endIndex
        return start == end && authority != nil ? "/" : target[start..<end]
    }

    /// The query as received, still encoded, without its `?`; nothing when the target has no `?`.
    package var query: Substring? {
        guard let mark = target.utf8.firstIndex(of: 0x3f) else { return nil }
        return target[target.utf8.index(after: mark)...]
    }

    /// The host that the request is for: of an absolute target, else of the `Host` header (RFC 9112 §3.2.2).
    package var host: String? { authority.map(String.init) ?? headers["Host"] }

    private var authority: Substring? {
        guard target.utf8.first != 0x2f, let start = authorityStart else { return nil }
        return target[start..<authorityEnd]
    }

    private var authorityStart: String.Index? {
        for scheme in ["http://", "https://"]
        where HTTPHeaders.equalIgnoringCase(target.utf8.prefix(scheme.utf8.count), scheme.utf8) {
            return target.utf8.index(target.startIndex, offsetBy: scheme.utf8.count)
        }
        return nil
    }

    private var authorityEnd: String.Index {
        guard let start = authorityStart else { return target.startIndex }
        return target.utf8[start...].firstIndex { $0 == 0x2f || $0 == 0x3f } ?? target.endIndex
    }
}
