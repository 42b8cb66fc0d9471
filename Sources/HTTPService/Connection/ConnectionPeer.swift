// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// Who is at the other end of a connection.
struct ConnectionPeer: Sendable {
    /// `address:port`; `unix` for a unix socket. A client by IPv4 has its IPv4 address, whatever socket took it.
    var address: String

    /// Whether it is this machine.
    var isLocal = false

    /// The address of this machine that it connected to; `nil` for a unix socket.
    var localAddress: HTTPAuthority?

    /// Whether TLS is spoken.
    var isSecure = false
}

extension ConnectionPeer {
    /// The peer of a connection.
    ///
    /// - Parameters:
    ///   - channel: The connection.
    ///   - listener: Where it came in.
    init(of channel: any Channel, at listener: HTTPListener) {
        isSecure = listener.identity != nil
        if listener.path == nil, let local = channel.localAddress, let text = local.clientAddress {
            localAddress = HTTPAuthority(host: text, port: local.port)
        }
        if listener.path != nil {
            address = "unix"
            isLocal = true
        } else if let remote = channel.remoteAddress, let text = remote.clientAddress {
            address = "\(text.contains(":") ? "[\(text)]" : text):\(remote.port ?? 0)"
            isLocal = remote.isLoopback
        } else {
            address = "unknown"
        }
    }
}
