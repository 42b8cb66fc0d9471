// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
package import SystemSupport

/// Where a server listens: at an address and port, at a unix socket's file, or on a socket that another program opened for it.
package struct HTTPListener: Sendable {
    /// An IP address; empty for a unix socket.
    package internal(set) var address: String

    /// The port; 0 lets the system choose one. Always 0 for a unix socket.
    package internal(set) var port: Int

    /// The path of a unix socket, or `@` and a name for one without a file; `nil` for an address and port.
    package let path: String?

    /// The descriptor of an inherited socket; `nil` if the server opens its own.
    package let descriptor: CInt?

    /// How many hops a response may take (IP_TTL, IPV6_UNICAST_HOPS), 1 to 255; `nil` for the system's default. With 1 no
    /// response passes a router or a container's bridge. Ignored for a unix socket.
    package var timeToLive: Int?

    /// The certificate and key for TLS; `nil` for plain HTTP.
    package var identity: TLSIdentity?

    /// Creates a listener at an IP address and port: names can mean several addresses. Port 0 lets the system choose one.
    package init(address: String = "127.0.0.1", port: Int = 0, identity: TLSIdentity? = nil, timeToLive: Int? = nil) {
        self.address = address
        self.port = port
        self.identity = identity
        self.timeToLive = timeToLive
        path = nil
        descriptor = nil
    }

    /// Creates a listener at a unix socket.
    ///
    /// The server creates the file with mode 0600 whatever the umask, so that only this user (and root) can connect. A file that
    /// a server left behind is replaced; a socket that is in use, and a file that is not a socket, is not. Its directory should be
    /// the user's own. The file is removed with the server.
    ///
    /// - Parameter path: At most 107 bytes (unix(7)). Its directory must exist and be readable, because the server locks it while
    ///   it checks whether the file is in use.
    package init(path: String, identity: TLSIdentity? = nil) {
        address = ""
        port = 0
        self.path = path
        descriptor = nil
        self.identity = identity
    }

    /// Creates a listener from a socket that was inherited bound and listening, as systemd passes them (sd_listen_fds(3)).
    ///
    /// The server closes the socket; a unix socket's file stays, because it belongs to the program that created it.
    ///
    /// - Throws: ``HTTPServerError/Code/invalidAddress`` if it is not a listening stream socket of TCP or unix.
    package init(
        inheriting descriptor: CInt, identity: TLSIdentity? = nil, timeToLive: Int? = nil
    ) throws(HTTPServerError) {
        self.descriptor = descriptor
        self.identity = identity
        self.timeToLive = timeToLive
        do {
            switch try ListeningSocket.address(of: descriptor) {
            case .unix(let path): (address, port, self.path) = ("", 0, path)
            case .network(let address, let port): (self.address, self.port, path) = (address, port, nil)
            }
        } catch {
            throw HTTPServerError(
                .invalidAddress, "the file descriptor \(descriptor) \(error.reason)",
                hint: "pass a TCP or unix stream socket that already listens (in systemd: ListenStream= and Accept=no)")
        }
    }

    /// Whether only this machine can reach the address.
    package var isLoopback: Bool {
        if path != nil { return true }
        return IPAddress.octets(address).map(IPAddress.isLoopback) ?? false
    }

    /// The origin of its URLs, such as `https://[::1]:8443`; for a unix socket `unix:` and its path.
    package var origin: String {
        if let path { return "unix:\(path)" }
        let host = address.contains(":") ? "[\(address)]" : address
        return "\(identity == nil ? "http" : "https")://\(host):\(port)"
    }

    /// The origin for clients on this machine, also if it listens at all addresses.
    package var reachableOrigin: String {
        var local = self
        if address == "0.0.0.0" { local.address = "127.0.0.1" }
        if address == "::" { local.address = "::1" }
        return local.origin
    }

    var name: String { path.map { "unix:\($0)" } ?? "\(address) port \(port)" }

    func socketAddress() throws(HTTPServerError) -> SocketAddress {
        guard (0...65_535).contains(port) else {
            throw HTTPServerError(.invalidAddress, "the port \(port) is not 0 to 65535")
        }
        do {
            return try SocketAddress(ipAddress: address, port: port)
        } catch {
            throw HTTPServerError(
                .invalidAddress, "\"\(address)\" is not an IP address",
                hint: "write it in numbers, for example 127.0.0.1 or ::1")
        }
    }

    func checkedTimeToLive() throws(HTTPServerError) -> Int? {
        guard let timeToLive else { return nil }
        guard (1...255).contains(timeToLive) else {
            throw HTTPServerError(.invalidTimeToLive, "the time to live \(timeToLive) is not 1 to 255")
        }
        return timeToLive
    }
}

extension SocketAddress {
    /// Whether it is 127.0.0.0/8, also as an IPv6 address, ::1, or a unix socket.
    var isLoopback: Bool {
        // The system writes addresses in one way only, whatever was read.
        switch self {
        case .v4, .v6: clientAddress == "::1" || clientAddress?.hasPrefix("127.") ?? false
        case .unixDomainSocket: true
        }
    }

    /// The address as text, an IPv4-mapped one as IPv4 (RFC 4291, 2.5.5.2); `nil` for a unix socket.
    var clientAddress: String? {
        guard let text = ipAddress else { return nil }
        let prefix = "::ffff:"
        return text.hasPrefix(prefix) && text.contains(".") ? String(text.dropFirst(prefix.count)) : text
    }
}

/// Thrown for addresses, identities and routes that a server cannot use; never for a bad request, which is answered.
package typealias HTTPServerError = CodedError<HTTPServerErrorCode>

package enum HTTPServerErrorCode: Sendable {
    case invalidAddress, invalidTimeToLive, addressUnavailable, invalidIdentity, invalidRoute
}
