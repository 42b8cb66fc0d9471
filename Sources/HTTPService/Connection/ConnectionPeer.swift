// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// Who is at the other end of a connection.
struct ConnectionPeer: Sendable {
    /// `address:port`; `unix` for a unix socket.
    var address: String

    /// Whether it is this machine.
    var isLocal = false

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
        if listener.path != nil {
            address = "unix"
            isLocal = true
        } else if let remote = channel.remoteAddress, let text = remote.ipAddress {
            address = "\(text.contains(":") ? "[\(text)]" : text):\(remote.port ?? 0)"
            isLocal = remote.isLoopback
        } else {
            address = "unknown"
        }
    }
}
