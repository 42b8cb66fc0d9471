// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOSSL

/// Where a server listens, and how it is spoken to there.
public struct HTTPListener: Sendable {
    /// An IPv4 or IPv6 address in numbers.
    public var address: String

    /// The port; 0 lets the system choose one.
    public var port: Int

    /// The certificate and key for TLS; nothing for plain HTTP.
    public var identity: TLSIdentity?

    /// Makes a listener.
    ///
    /// - Parameters:
    ///   - address: An IPv4 or IPv6 address in numbers, without brackets: names can mean several places.
    ///   - port: The port; 0 lets the system choose one.
    ///   - identity: The certificate and key for TLS.
    public init(address: String = "127.0.0.1", port: Int = 0, identity: TLSIdentity? = nil) {
        self.address = address
        self.port = port
        self.identity = identity
    }

    /// Whether only this machine can reach the address.
    public var isLoopback: Bool {
        guard let resolved = try? SocketAddress(ipAddress: address, port: 0) else { return false }
        return switch resolved {
        case .v4: address.hasPrefix("127.")
        case .v6: resolved.ipAddress == "::1"
        case .unixDomainSocket: true
        }
    }

    /// The beginning of URLs that lead here: `https://[::1]:8443`.
    public var origin: String {
        let host = address.contains(":") ? "[\(address)]" : address
        return "\(identity == nil ? "http" : "https")://\(host):\(port)"
    }

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
                remedy: "write it in numbers, for example 127.0.0.1 or ::1"
            )
        }
    }
}
