// SPDX-License-Identifier: Apache-2.0

import HTTPServer
import NIOCore
import NIOPosix

/// A connection to a server that sends exactly what it is told to and keeps whatever comes back.
struct RawClient {
    private let channel: any Channel
    private let collected: EventLoopFuture<[UInt8]>
    private let first: EventLoopFuture<Void>

    /// Connects.
    ///
    /// - Parameters:
    ///   - server: A server of this process.
    ///   - trusted: Speaks TLS and trusts this certificate.
    ///   - tls: The versions of TLS to offer.
    /// - Returns: The connection.
    /// - Throws: When nobody listens.
    static func connect(
        to server: HTTPServer, trusting trusted: String? = nil, tls: ClosedRange<TLSClient.Version> = .v1_2 ... .v1_3
    ) async throws -> RawClient {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let all = loop.makePromise(of: [UInt8].self)
        let first = loop.makePromise(of: Void.self)
        let listener = server.listeners[0]
        let bootstrap = ClientBootstrap(group: loop)
            .channelOption(.allowRemoteHalfClosure, value: false)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let trusted {
                        let client = TLSClient(trusting: trusted, tls)
                        try channel.pipeline.syncOperations.addHandler(TLSClientHandler(client))
                    }
                    try channel.pipeline.syncOperations.addHandler(Collector(all, first))
                }
            }
        let connecting =
            listener.path.map { bootstrap.connect(unixDomainSocketPath: $0) }
            ?? bootstrap.connect(host: listener.address, port: listener.port)
        // Promises are kept even when nobody is there.
        connecting.whenFailure { error in
            all.fail(error)
            first.fail(error)
        }
        let channel = try await connecting.get()
        return RawClient(channel: channel, collected: all.futureResult, first: first.futureResult)
    }

    /// Sends bytes.
    func send(_ text: String) async throws { try await channel.writeAndFlush(ByteBuffer(string: text)) }

    /// Waits until something has come back.
    func waitForAnswer() async throws { try await first.get() }

    /// Waits until the server closes, and returns everything it sent.
    func text() async throws -> String { String(decoding: try await collected.get(), as: UTF8.self) }

    /// Closes.
    func close() async throws { try await channel.close() }
}

private final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private var bytes: [UInt8] = []
    private let all: EventLoopPromise<[UInt8]>
    private let first: EventLoopPromise<Void>

    init(_ all: EventLoopPromise<[UInt8]>, _ first: EventLoopPromise<Void>) {
        self.all = all
        self.first = first
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes += unwrapInboundIn(data).readableBytesView
        first.succeed()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A server that closes in the middle of the client's words is no failure of the test.
        if error is TLSClient.Failure { all.fail(error) }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        first.succeed()
        all.succeed(bytes)
    }
}

extension HTTPLimits {
    /// The default limits for tests over sockets, which a busy machine may stop between any two of their steps for longer
    /// than a server would wait for a client.
    static let patient: HTTPLimits = {
        var limits = HTTPLimits()
        (limits.headTime, limits.bodyTime) = (.seconds(3_600), .seconds(3_600))
        (limits.idleTime, limits.writeTime) = (.seconds(3_600), .seconds(3_600))
        return limits
    }()
}
