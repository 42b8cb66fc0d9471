// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOPosix
internal import SystemSupport

/// An open listener.
struct BoundListener: Sendable {
    /// With the port that the system chose.
    let listener: HTTPListener

    /// The most connections that may wait to be accepted.
    private static let backlog: CInt = 1_024

    private let channel: any Channel
    private let file: UnixSocketFile?

    init(
        _ listener: HTTPListener, on group: MultiThreadedEventLoopGroup,
        admit: @escaping @Sendable (any Channel) throws -> Void
    ) async throws(HTTPServerError) {
        var bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Self.backlog)
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
                (descriptor, file) = try await UnixSocketFile.listen(at: path, backlog: Self.backlog)
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
            let options = ListeningSocket.hopLimitOptions
            let version4 = ChannelOptions.Types.SocketOption(level: .ip, name: .init(rawValue: options.version4))
            let version6 = ChannelOptions.Types.SocketOption(level: .ipv6, name: .init(rawValue: options.version6))
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
            throw Self.unavailable(listener, error, hint: "find out who listens there: ss -ltnp")
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
        ThisProcess.closeOnExec(descriptor)
        do {
            let channel = try await bootstrap.withBoundSocket(descriptor).get()
            // SwiftNIO has just set it to a smaller number.
            try? ListeningSocket.setBacklog(Self.backlog, of: descriptor)
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

/// The file of a unix socket that this process listens on.
struct UnixSocketFile: Sendable {
    private let directory: Directory
    private let name: String
    private let stamp: FileStamp

    /// Creates a listening socket and its file.
    static func listen(
        at path: String, backlog: CInt
    ) async throws(HTTPServerError) -> (descriptor: CInt, file: UnixSocketFile) {
        guard !path.isEmpty, !path.utf8.contains(0) else {
            throw HTTPServerError(.invalidAddress, "the path of a unix socket is empty or has a zero byte")
        }
        guard let address = UnixSocketAddress(path: path) else {
            throw HTTPServerError(
                .invalidAddress,
                "the path of the unix socket has \(path.utf8.count) bytes; the system takes "
                    + "\(UnixSocketAddress.longestPath): \(path)",
                hint: "choose a shorter path")
        }
        // Another server that starts now must not take a socket that does not listen yet for an old one.
        let directory = try await lockedDirectory(of: path)
        defer { withExtendedLifetime(directory) {} }
        do {
            let socket = try UnixSocket(.stream)
            let file = try bind(socket, to: address, at: path, in: directory)
            do {
                // A umask may have taken the owner's own rights away. No program can connect before the socket listens.
                try directory.setMode(of: file.name, mode)
                try socket.listen(backlog: backlog)
            } catch {
                file.remove()
                throw error
            }
            return (socket.release(), file)
        } catch {
            if let error = error as? HTTPServerError { throw error }
            throw unavailable(path, (error as? FileError).map(Self.reason) ?? "\(error)")
        }
    }

    private static let mode: UInt32 = 0o600

    /// Removes the file, unless it was replaced. To be called while the socket is open: its inode number could belong to another
    /// file afterwards.
    func remove() {
        if directory.status(of: name)?.stamp.isSameFile(as: stamp) == true { directory.unlink(name) }
    }

    private static func bind(
        _ socket: borrowing UnixSocket, to address: UnixSocketAddress, at path: String, in lock: Directory
    ) throws -> UnixSocketFile {
        let name = FilePath.name(of: path)
        do {
            try socket.bind(to: address, mode: mode)
        } catch SystemError.addressInUse {
            try removeAbandoned(name, in: lock, path, address)
            try socket.bind(to: address, mode: mode)
        }
        guard let status = lock.status(of: name), status.kind == .socket else {
            throw unavailable(path, "something took its place")
        }
        // The lock is released with its directory value, so the file keeps another without a lock.
        return UnixSocketFile(directory: try Directory(lock.path, for: .output), name: name, stamp: status.stamp)
    }

    /// Removes the file of a socket that no one listens on.
    private static func removeAbandoned(
        _ name: String, in directory: Directory, _ path: String, _ address: UnixSocketAddress
    ) throws {
        guard let kind = directory.status(of: name)?.kind else { return }
        guard kind == .socket else {
            throw unavailable(path, "a file that is not a socket is there", hint: "choose another path")
        }
        let probe = try UnixSocket(.stream, isBlocking: false)
        do {
            try probe.connect(to: address)
            throw inUse(path)
        } catch let error as SystemError {
            // Only this error means that no one listens; a server with a full queue gives another.
            guard error == .connectionRefused else { throw inUse(path) }
        }
        guard directory.unlink(name) || !directory.contains(name) else {
            throw unavailable(path, "an old socket is there, and cannot be removed")
        }
    }

    /// Opens the directory and locks it, until the value is released.
    private static func lockedDirectory(of path: String) async throws(HTTPServerError) -> Directory {
        let directory: Directory
        do { directory = try Directory(FilePath.parent(of: path), for: .output) } catch {
            throw unavailable(path, reason(error))
        }
        for _ in 0..<100 {
            do { if try directory.tryLock() { return directory } } catch { throw unavailable(path, error.message) }
            do { try await Task.sleep(for: .milliseconds(10)) } catch { break }
        }
        throw unavailable(path, "another program has locked the directory \(printable(directory.path))")
    }

    private static func reason(_ error: FileError) -> String {
        error.number == 0 ? error.message : systemErrorText(error.number)
    }

    private static func inUse(_ path: String) -> HTTPServerError {
        unavailable(path, "another program listens there", hint: "end that program, or choose another path")
    }

    private static func unavailable(_ path: String, _ why: String, hint: String? = nil) -> HTTPServerError {
        HTTPServerError(
            .addressUnavailable, "cannot listen on unix:\(path): \(why)",
            hint: hint ?? "choose another path, in a directory that is there and yours")
    }
}
