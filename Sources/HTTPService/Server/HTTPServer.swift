// SPDX-License-Identifier: Apache-2.0

package import struct FoundationEssentials.Date
package import Logging
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

/// A small HTTP/1.1 server: TCP or unix sockets, TLS, keep-alive and pipelining, limits on everything a client can make long.
///
/// It serves loopback clients and is meant to be hard to upset rather than rich. HTTP/2, compression, ranges and
/// upgrades are not part of it.
package final class HTTPServer: Sendable {
    /// What a server is made of besides its handler.
    package struct Configuration: Sendable {
        /// What a client is granted.
        package var limits = HTTPLimits()

        /// How many threads serve connections. More than the cores gain nothing.
        package var eventLoops = min(System.coreCount, 4)

        /// How many threads do the work of ``HTTPAnswer/work(_:)``.
        package var workers = min(System.coreCount, 4)

        /// Is told of connections that fail and of requests that are refused before they reach the handler, at debug
        /// level.
        package var logger = Logger(label: "http", factory: { _ in SwiftLogNoOpLogHandler() })

        /// The current time, for the `Date` header.
        package var now: @Sendable () -> Date

        /// Makes the default configuration.
        ///
        /// - Parameter now: The current time.
        package init(now: @escaping @Sendable () -> Date) { self.now = now }
    }

    /// Where the server listens, with the ports that the system chose.
    package var listeners: [HTTPListener] { bound.map(\.listener) }

    private let shared: ServerContext
    private let group: MultiThreadedEventLoopGroup
    private let bound: [BoundListener]
    private let hasShutDown = Atomic(false)

    private init(_ bound: [BoundListener], shared: ServerContext, group: MultiThreadedEventLoopGroup) {
        self.bound = bound
        self.shared = shared
        self.group = group
    }

    /// Starts a server.
    ///
    /// - Parameters:
    ///   - listeners: Where to listen.
    ///   - configuration: Limits, threads, clock.
    ///   - handler: Answers the requests.
    /// - Returns: The server, which takes requests until ``shutDown(within:)``.
    /// - Throws: ``HTTPServiceError`` when one of the addresses cannot be listened on; then none is.
    package static func start(
        _ listeners: [HTTPListener],
        configuration: Configuration,
        handler: some HTTPHandler
    ) async throws(HTTPServiceError) -> HTTPServer {
        let workers = NIOThreadPool(numberOfThreads: max(1, configuration.workers))
        let shared = ServerContext(
            limits: configuration.limits,
            handler: handler,
            now: configuration.now,
            workers: workers,
            logger: configuration.logger
        )
        let group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, configuration.eventLoops))
        var bound: [BoundListener] = []
        do throws(HTTPServiceError) {
            for listener in listeners {
                bound.append(
                    try await BoundListener(listener, on: group) { channel in try admit(channel, listener, shared) }
                )
            }
        } catch {
            for listener in bound { await listener.close() }
            try? await group.shutdownGracefully()
            throw error
        }
        workers.start()
        return HTTPServer(bound, shared: shared, group: group)
    }

    private static func admit(_ channel: any Channel, _ listener: HTTPListener, _ shared: ServerContext) throws {
        let tls = listener.identity?.context
        guard shared.connections.admit(channel) else {
            if tls == nil {
                try channel.pipeline.syncOperations.addHandler(ConnectionLimitHandler())
            } else {
                channel.close(promise: nil)
            }
            return
        }
        if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls)) }
        let peer = ConnectionPeer(of: channel, at: listener)
        try channel.pipeline.syncOperations.addHandler(ConnectionHandler(shared, peer))
    }

    /// How many connections are open.
    package var connectionCount: Int { shared.connections.count }

    /// Stops listening at once, closes idle connections and streams, lets requests in work be answered, then ends.
    ///
    /// - Parameter grace: How long requests in work may take; what is open then is closed.
    package func shutDown(within grace: Duration) async {
        guard !hasShutDown.exchange(true, ordering: .sequentiallyConsistent) else { return }
        for listener in bound { await listener.close() }
        let open = shared.connections.close()
        for channel in open { channel.pipeline.fireUserInboundEventTriggered(ConnectionEvent.shutDown) }
        let loop = group.next()
        let allClosed = EventLoopFuture.andAllComplete(open.map(\.closeFuture), on: loop)
        let deadline = loop.scheduleTask(in: TimeAmount(grace)) {
            for channel in open { channel.close(promise: nil) }
        }
        try? await allClosed.get()
        deadline.cancel()
        try? await shared.workers.shutdownGracefully()
        try? await group.shutdownGracefully()
    }
}
