// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOSSL
import SystemSupport

/// Where a server listens, and how it is spoken to there: at an address and port, at a unix socket's file, or on a socket
/// that another program opened for this one.
package struct HTTPListener: Sendable {
    /// An IPv4 or IPv6 address in numbers; empty for a unix socket.
    package internal(set) var address: String

    /// The port; 0 lets the system choose one. Always 0 for a unix socket.
    package internal(set) var port: Int

    /// The file of a unix socket, or `@` and a name for one without a file; nothing for an address and port.
    package let path: String?

    /// The number of the socket that was inherited; nothing when the server opens its own.
    package let descriptor: CInt?

    /// How many hops an answer may take (IP_TTL, IPV6_UNICAST_HOPS), 1 to 255; nothing for the system's default. With 1
    /// no answer passes a router or a container's bridge. It means nothing for a unix socket.
    package var timeToLive: Int?

    /// The certificate and key for TLS; nothing for plain HTTP.
    package var identity: TLSIdentity?

    /// Makes a listener at an address and port.
    ///
    /// - Parameters:
    ///   - address: An IPv4 or IPv6 address in numbers, without brackets: names can mean several places.
    ///   - port: The port; 0 lets the system choose one.
    ///   - identity: The certificate and key for TLS.
    ///   - timeToLive: How many hops an answer may take, 1 to 255; nothing for the system's default.
    package init(
        address: String = "127.0.0.1",
        port: Int = 0,
        identity: TLSIdentity? = nil,
        timeToLive: Int? = nil
    ) {
        self.address = address
        self.port = port
        self.identity = identity
        self.timeToLive = timeToLive
        path = nil
        descriptor = nil
    }

    /// Makes a listener at a unix socket.
    ///
    /// The server makes the file with a mode of 0600 whatever the umask, so that only this user (and root) can connect:
    /// the mode is the socket's own before it has a name, and nobody can connect before it is set. A file that a
    /// server left behind is replaced; a socket that is in use, and what is not a socket, is not. Who may put something
    /// in the file's place is a matter of its directory, which should be the user's own. The file goes away with the server.
    ///
    /// - Parameters:
    ///   - path: Where the file will be, in at most 107 bytes (unix(7)). Its directory must be there and allow reading,
    ///     because the server locks it while it looks whether the file is in use.
    ///   - identity: The certificate and key for TLS.
    package init(path: String, identity: TLSIdentity? = nil) {
        address = ""
        port = 0
        self.path = path
        descriptor = nil
        self.identity = identity
    }

    /// Makes a listener of a socket that was inherited bound and listening, as systemd hands them over
    /// (sd_listen_fds(3)). Its address is asked from the system.
    ///
    /// The server that is started with it owns the socket from then on and closes it; a unix socket's file stays, because
    /// it belongs to whoever made it.
    ///
    /// - Parameters:
    ///   - descriptor: The number of the socket.
    ///   - identity: The certificate and key for TLS.
    ///   - timeToLive: How many hops an answer may take, 1 to 255; nothing for what the socket came with.
    /// - Throws: ``HTTPServiceError`` with ``HTTPServiceErrorCode/invalidAddress`` when it is no stream socket of TCP or
    ///   unix that listens.
    package init(
        inheriting descriptor: CInt,
        identity: TLSIdentity? = nil,
        timeToLive: Int? = nil
    ) throws(HTTPServiceError) {
        self.descriptor = descriptor
        self.identity = identity
        self.timeToLive = timeToLive
        switch try ListeningSocket.address(of: descriptor) {
        case .unixDomainSocket(let name):
            address = ""
            port = 0
            path = ListeningSocket.path(name.address)
        case let other:
            address = other.ipAddress ?? ""
            port = other.port ?? 0
            path = nil
        }
    }

    /// Whether only this machine can reach the address.
    package var isLoopback: Bool {
        if path != nil { return true }
        return (try? SocketAddress(ipAddress: address, port: 0))?.isLoopback ?? false
    }

    /// The beginning of URLs that lead here: `https://[::1]:8443`; for a unix socket `unix:` and its path.
    package var origin: String {
        if let path { return "unix:\(path)" }
        let host = address.contains(":") ? "[\(address)]" : address
        return "\(identity == nil ? "http" : "https")://\(host):\(port)"
    }

    /// Where clients on this machine find it: nobody connects to the address that means all of them.
    package var reachableOrigin: String {
        var local = self
        if address == "0.0.0.0" { local.address = "127.0.0.1" }
        if address == "::" { local.address = "::1" }
        return local.origin
    }

    /// What an error calls this place.
    var name: String { path.map { "unix:\($0)" } ?? "\(address) port \(port)" }

    func socketAddress() throws(HTTPServiceError) -> SocketAddress {
        guard (0...65_535).contains(port) else {
            throw HTTPServiceError(.invalidAddress, "the port \(port) is not 0 to 65535")
        }
        do {
            return try SocketAddress(ipAddress: address, port: port)
        } catch {
            throw HTTPServiceError(
                .invalidAddress,
                "\"\(address)\" is not an IP address",
                hint: "write it in numbers, for example 127.0.0.1 or ::1"
            )
        }
    }

    /// The time to live, when it is one.
    func checkedTimeToLive() throws(HTTPServiceError) -> Int? {
        guard let timeToLive else { return nil }
        guard (1...255).contains(timeToLive) else {
            throw HTTPServiceError(.invalidTimeToLive, "the time to live \(timeToLive) is not 1 to 255")
        }
        return timeToLive
    }
}

extension SocketAddress {
    /// Whether it is an address of this machine's own: 127.0.0.0/8, also as an IPv6 address, ::1, or a unix socket.
    var isLoopback: Bool {
        // The system writes addresses in one way only, whatever was read.
        switch self {
        case .v4, .v6: clientAddress == "::1" || clientAddress?.hasPrefix("127.") ?? false
        case .unixDomainSocket: true
        }
    }

    /// The address as text, that of IPv4 also where IPv6 stands for it (RFC 4291, 2.5.5.2); nothing for a unix socket.
    var clientAddress: String? {
        guard let text = ipAddress else { return nil }
        let prefix = "::ffff:"
        return text.hasPrefix(prefix) && text.contains(".") ? String(text.dropFirst(prefix.count)) : text
    }
}
