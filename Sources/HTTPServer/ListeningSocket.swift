// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import SystemSupport

/// An open listener.
struct BoundListener: Sendable {
    /// With the port that the system chose.
    let listener: HTTPListener

    private let channel: any Channel
    private let file: UnixSocketFile?

    init(
        _ listener: HTTPListener, on group: MultiThreadedEventLoopGroup,
        admit: @escaping @Sendable (any Channel) throws -> Void
    ) async throws(HTTPServerError) {
        var bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: ListeningSocket.backlog)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            // However much a client sends at once, the loop's other connections get their turn after a few pages.
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 64, initial: 2_048, maximum: 16_384)
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
                level: .ipv6, name: NIOBSDSocket.Option(rawValue: IPV6_UNICAST_HOPS))
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

    /// Stops listening, and removes the file of a unix socket unless it was replaced.
    func close() async {
        file?.remove()
        try? await channel.close()
    }

    private static func take(
        _ descriptor: CInt, _ bootstrap: ServerBootstrap, _ listener: HTTPListener, _ file: UnixSocketFile?
    ) async throws(HTTPServerError) -> any Channel {
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

    private static func unavailable(_ listener: HTTPListener, _ error: any Error, hint: String?) -> HTTPServerError {
        let reason = (error as? IOError).map { systemErrorText($0.errnoCode) } ?? "\(error)"
        return HTTPServerError(.addressUnavailable, "cannot listen on \(listener.name): \(reason)", hint: hint)
    }
}

/// Facts about sockets by their descriptors.
enum ListeningSocket {
    /// The most connections that may wait to be accepted.
    static let backlog: CInt = 1_024

    /// The address that a socket listens on. Throws if it is not a listening stream socket of TCP or unix.
    static func address(of descriptor: CInt) throws(HTTPServerError) -> SocketAddress {
        guard let type = option(SO_TYPE, of: descriptor) else { throw unusable(descriptor, "is not a socket") }
        guard type == CInt(SOCK_STREAM.rawValue) else { throw unusable(descriptor, "is not a stream socket") }
        guard option(SO_ACCEPTCONN, of: descriptor) == 1 else { throw unusable(descriptor, "does not listen") }
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = unsafe withUnsafeMutablePointer(to: &storage) { storage in
            unsafe storage.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getsockname(descriptor, $0, &size)
            }
        }
        guard status == 0 else { throw unusable(descriptor, "has no address: \(systemErrorText(errno))") }
        return try unsafe withUnsafeBytes(of: storage) { bytes throws(HTTPServerError) in
            switch CInt(storage.ss_family) {
            case AF_INET: return unsafe SocketAddress(bytes.loadUnaligned(as: sockaddr_in.self))
            case AF_INET6: return unsafe SocketAddress(bytes.loadUnaligned(as: sockaddr_in6.self))
            case AF_UNIX: return unsafe SocketAddress(bytes.loadUnaligned(as: sockaddr_un.self))
            default: throw unusable(descriptor, "speaks neither TCP nor unix")
            }
        }
    }

    /// The name of a unix socket: a path, or for one without a file `@` and its name, as systemd writes it.
    static func path(_ address: sockaddr_un) -> String {
        unsafe withUnsafeBytes(of: address.sun_path) { bytes in
            let isAbstract = unsafe bytes.first == 0
            let name = unsafe bytes.dropFirst(isAbstract ? 1 : 0).prefix { $0 != 0 }
            return unsafe (isAbstract ? "@" : "") + String(decoding: name, as: UTF8.self)
        }
    }

    static func option(_ name: CInt, level: CInt = SOL_SOCKET, of descriptor: CInt) -> CInt? {
        var value: CInt = 0
        var size = socklen_t(MemoryLayout<CInt>.size)
        guard unsafe getsockopt(descriptor, level, name, &value, &size) == 0 else { return nil }
        return value
    }

    private static func unusable(_ descriptor: CInt, _ why: String) -> HTTPServerError {
        HTTPServerError(
            .invalidAddress, "the file descriptor \(descriptor) \(why)",
            hint: "hand over a TCP or unix stream socket that listens already (in systemd: ListenStream= and Accept=no)"
        )
    }
}
