// SPDX-License-Identifier: Apache-2.0

package import struct FoundationEssentials.Date
package import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// What a client may use before it gets an error or its connection is closed.
///
/// A connection has at most one request in work. Further requests on it stay in the kernel's buffer, so pipelining
/// needs no limit of its own.
package struct HTTPLimits: Sendable {
    /// The longest request line, in bytes with its line end. Beyond: 414.
    package var requestLineBytes = 8_192

    /// The longest head, in bytes, with request line and line ends; also the longest trailers. Beyond: 431.
    package var headBytes = 32_768

    /// The most header fields; also the most trailers. Beyond: 431.
    package var headerCount = 100

    /// The longest body, in bytes without its transfer coding. Beyond: 413.
    package var bodyBytes = 1_048_576

    /// From opening a connection, or from the first byte of a further request, until the head is complete; includes the TLS
    /// handshake. Beyond: 408.
    package var headTime: Duration = .seconds(10)

    /// From the end of the head until the body is complete. Beyond: 408.
    package var bodyTime: Duration = .seconds(30)

    /// How long a connection is kept open without a request.
    package var idleTime: Duration = .seconds(60)

    /// How long a client may leave a response unread once the buffers between are full.
    package var writeTime: Duration = .seconds(30)

    /// The most connections at once. For one more, the oldest of the network that has the most is closed, if it has more than
    /// the new one's would; else the new one is answered with 503, or closed where it would need a TLS handshake.
    package var connections = 1_024

    /// The most bytes of a streamed body that may wait for a slow client before its connection is closed.
    package var streamBacklogBytes = 1_048_576

    package init() {}
}

/// An HTTP/1.1 server for loopback clients: TCP or unix sockets, TLS, keep-alive and pipelining, limits on everything a client can
/// make long. It has no HTTP/2, compression, ranges or upgrades.
///
/// ```swift
/// var router = HTTPRouter()
/// try router.on(.get, "/healthz") { _, _ in .now(HTTPResponse(status: .ok, text: "ok\n")) }
/// let server = try await HTTPServer.start(
///     [HTTPListener()], configuration: HTTPServer.Configuration(now: { .now }), handler: router)
/// print(server.listeners[0].origin)
/// await server.shutDown(within: .seconds(5))
/// ```
package final class HTTPServer: Sendable {
    package struct Configuration: Sendable {
        package var limits = HTTPLimits()

        /// The number of threads that serve connections.
        package var eventLoops = min(System.coreCount, 4)

        /// The number of threads for ``HTTPAnswer/work(_:)``.
        package var workers = min(System.coreCount, 4)

        /// Logs failed connections, and requests refused before they reach the handler, at debug level.
        package var logger = Logger(label: "http", factory: { _ in SwiftLogNoOpLogHandler() })

        /// The current time, for the `Date` header.
        package var now: @Sendable () -> Date

        package init(now: @escaping @Sendable () -> Date) { self.now = now }
    }

    /// Where the server listens, with the ports that the system chose.
    package var listeners: [HTTPListener] { bound.map(\.listener) }

    /// The number of open connections.
    package var connectionCount: Int { shared.connections.count }

    private let shared: ServerContext
    private let group: MultiThreadedEventLoopGroup
    private let bound: [BoundListener]
    private let hasShutDown = Atomic(false)

    private init(_ bound: [BoundListener], shared: ServerContext, group: MultiThreadedEventLoopGroup) {
        self.bound = bound
        self.shared = shared
        self.group = group
    }

    /// Starts a server, which takes requests until ``shutDown(within:)``.
    ///
    /// - Throws: ``HTTPServerError`` if it cannot listen at one of the addresses; then it listens at none.
    package static func start(
        _ listeners: [HTTPListener], configuration: Configuration, handler: some HTTPHandler
    ) async throws(HTTPServerError) -> HTTPServer {
        let workers = NIOThreadPool(numberOfThreads: max(1, configuration.workers))
        let shared = ServerContext(
            limits: configuration.limits, handler: handler, now: configuration.now, workers: workers,
            logger: configuration.logger, connections: ConnectionRegistry(limit: configuration.limits.connections))
        let group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, configuration.eventLoops))
        var bound: [BoundListener] = []
        do throws(HTTPServerError) {
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
        let tls = listener.identity
        let pipeline = channel.pipeline.syncOperations
        let peer = ConnectionPeer(of: channel, at: listener)
        guard shared.connections.admit(channel, from: peer.network) else {
            if tls == nil {
                try pipeline.addHandler(ConnectionLimitHandler())
            } else {
                channel.close(promise: nil)
            }
            return
        }
        if let tls { try pipeline.addHandler(TLSHandler(tls)) }
        try pipeline.addHandler(ConnectionHandler(shared, peer))
    }

    /// Stops listening, closes idle connections and streams, and waits for requests in work to be answered.
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

/// What every connection of a server shares.
struct ServerContext: Sendable {
    let limits: HTTPLimits
    let handler: any HTTPHandler
    let now: @Sendable () -> Date
    let workers: NIOThreadPool
    let logger: Logger
    let connections: ConnectionRegistry
}

/// The open connections of a server: no more than the limit, none after shutdown began.
///
/// One client cannot keep the others out by connections that it leaves open: where there is no room, the network with the most
/// connections gives one up.
final class ConnectionRegistry: Sendable {
    private struct Open {
        var channel: any Channel
        var network: String
        /// Its number since the server started.
        var number: Int
    }

    private struct State {
        var open: [ObjectIdentifier: Open] = [:]
        var counts: [String: Int] = [:]
        var last = 0
        var isClosed = false

        mutating func remove(_ identifier: ObjectIdentifier) {
            guard let network = open.removeValue(forKey: identifier)?.network, let count = counts[network] else {
                return
            }
            counts[network] = count > 1 ? count - 1 : nil
        }

        /// Takes the oldest connection of the network that has the most out, if that has more than another would get.
        mutating func makeRoom(for network: String) -> (any Channel)? {
            guard let most = counts.max(by: { $0.value < $1.value }), most.value > counts[network, default: 0] + 1,
                let oldest = open.filter({ $0.value.network == most.key }).min(by: { $0.value.number < $1.value.number }
                )
            else { return nil }
            remove(oldest.key)
            return oldest.value.channel
        }
    }

    private let state = Mutex(State())
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    var count: Int { state.withLock { $0.open.count } }

    /// Keeps a connection until it closes. Returns `false` if there is no room for it.
    ///
    /// - Parameters:
    ///   - channel: The connection.
    ///   - network: Whose it is, see ``ConnectionPeer/network``.
    func admit(_ channel: any Channel, from network: String) -> Bool {
        let identifier = ObjectIdentifier(channel)
        let (isAdmitted, other) = state.withLock { state -> (Bool, (any Channel)?) in
            guard !state.isClosed, limit > 0 else { return (false, nil) }
            var other: (any Channel)?
            if state.open.count >= limit {
                other = state.makeRoom(for: network)
                guard other != nil else { return (false, nil) }
            }
            state.last += 1
            state.open[identifier] = Open(channel: channel, network: network, number: state.last)
            state.counts[network, default: 0] += 1
            return (true, other)
        }
        other?.close(promise: nil)
        if isAdmitted {
            channel.closeFuture.whenComplete { _ in self.state.withLock { $0.remove(identifier) } }
        }
        return isAdmitted
    }

    /// Admits no more connections, and returns those that are open.
    func close() -> [any Channel] {
        state.withLock { state in
            state.isClosed = true
            return state.open.values.map(\.channel)
        }
    }
}
