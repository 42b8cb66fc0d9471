// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import SystemSupport

/// A listener that takes connections.
struct BoundListener: Sendable {
    /// Where it listens, with the port that the system chose.
    let listener: HTTPListener

    private let channel: any Channel
    private let file: UnixSocketFile?

    /// Begins to listen.
    ///
    /// - Parameters:
    ///   - listener: Where.
    ///   - group: The threads for its connections.
    ///   - admit: Sets up each connection.
    /// - Throws: ``HTTPServiceError`` when it cannot.
    init(
        _ listener: HTTPListener,
        on group: MultiThreadedEventLoopGroup,
        admit: @escaping @Sendable (any Channel) throws -> Void
    ) async throws(HTTPServiceError) {
        var bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: ListeningSocket.backlog)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            // However much a client sends in one breath, the loop's other connections have their turn after a few pages.
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 64, initial: 2_048, maximum: 16_384)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try admit(channel) }
            }
        if listener.path != nil {
            var descriptor = listener.descriptor
            var file: UnixSocketFile?
            if descriptor == nil, let path = listener.path {
                (descriptor, file) = try await UnixSocketFile.listen(at: path)
            }
            channel = try await Self.take(descriptor ?? -1, bootstrap, listener, file)
            self.file = file
            self.listener = listener
            return
        }
        file = nil
        bootstrap = bootstrap.childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
        if let timeToLive = try listener.checkedTimeToLive() {
            // Connections inherit it. A socket for IPv6 has both, because it may carry IPv4.
            let version4 = ChannelOptions.Types.SocketOption(level: .ip, name: NIOBSDSocket.Option(rawValue: IP_TTL))
            let version6 = ChannelOptions.Types.SocketOption(
                level: .ipv6,
                name: NIOBSDSocket.Option(rawValue: IPV6_UNICAST_HOPS)
            )
            bootstrap = bootstrap.serverChannelOption(version4, value: timeToLive)
            if listener.address.contains(":") {
                bootstrap = bootstrap.serverChannelOption(version6, value: timeToLive)
            }
        }
        if let descriptor = listener.descriptor {
            channel = try await Self.take(descriptor, bootstrap, listener, nil)
            self.listener = listener
            return
        }
        let address = try listener.socketAddress()
        do {
            channel =
                try await bootstrap
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .bind(to: address)
                .get()
        } catch {
            throw Self.unavailable(listener, error, hint: "choose another port; port 0 lets the system choose")
        }
        var actual = listener
        actual.port = channel.localAddress?.port ?? listener.port
        self.listener = actual
    }

    /// Stops listening, and removes the file of a unix socket if it is still this one's.
    func close() async {
        file?.remove()
        try? await channel.close()
    }

    private static func take(
        _ descriptor: CInt,
        _ bootstrap: ServerBootstrap,
        _ listener: HTTPListener,
        _ file: UnixSocketFile?
    ) async throws(HTTPServiceError) -> any Channel {
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        do {
            let channel = try await bootstrap.withBoundSocket(descriptor).get()
            // SwiftNIO has just set it to a smaller number.
            _ = Glibc.listen(descriptor, ListeningSocket.backlog)
            return channel
        } catch {
            file?.remove()
            throw unavailable(listener, error, hint: nil)
        }
    }

    private static func unavailable(
        _ listener: HTTPListener,
        _ error: any Error,
        hint: String?
    ) -> HTTPServiceError {
        let reason = (error as? IOError).map { systemErrorText($0.errnoCode) } ?? "\(error)"
        return HTTPServiceError(.addressUnavailable, "cannot listen on \(listener.name): \(reason)", hint: hint)
    }
}
