// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import SystemSupport

/// Tells a connection that its handshake is over.
struct TLSHandshakeCompleted: Sendable {
    /// What the client proved its identity by, in DER, its own first.
    let clientCertificates: [[UInt8]]
}

/// TLS for the handlers behind it, which send and receive plain bytes.
///
/// - Nothing is kept for later: what is written is encrypted and passed on at once, so that the channel's limits and the promises of
///   writes mean what they mean without TLS. A handshake has the time that the connection has for its first head.
/// - close_notify ends the client's input, as the end of the stream does without TLS. An end of the stream without it is an error.
final class TLSHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What a client may make TLS itself answer, renegotiation and new keys for instance, while it reads nothing.
    private static let backlog = 16_384

    private let connection: TLSConnection
    private var isEstablished = false
    private var isInputClosed = false
    private var isOutputClosed = false
    private var unread = 0

    init(_ identity: TLSIdentity) throws(TLSError) { connection = try TLSConnection(identity.settings) }

    // MARK: From the client

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // What comes after close_notify is ignored (RFC 8446 §6.1).
        guard !isInputClosed else { return }
        connection.receive(unwrapInboundIn(data))
        var bytes = context.channel.allocator.buffer(capacity: 0)
        var progress = TLSConnection.Progress.bytes
        do throws(TLSError) {
            while progress == .bytes { progress = try connection.read(into: &bytes) }
            send(context)
            if unread > Self.backlog { throw TLSError(.flooded, "the client does not read what it asks for") }
        } catch {
            return fail(error, context)
        }
        if !isEstablished, connection.isEstablished {
            isEstablished = true
            context.fireUserInboundEventTriggered(
                TLSHandshakeCompleted(clientCertificates: connection.clientCertificates))
        }
        if bytes.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(bytes)) }
        if progress == .closed {
            isInputClosed = true
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
        endInput(context)
        if !isInputClosed { context.fireUserInboundEventTriggered(event) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        endInput(context)
        context.fireChannelInactive()
    }

    /// The end of the stream. A connection that was ended from here is not missed.
    private func endInput(_ context: ChannelHandlerContext) {
        guard !isInputClosed, !isOutputClosed else { return }
        fail(TLSError(.truncated, "the connection was cut\(isEstablished ? "" : " in the handshake")"), context)
    }

    /// Ends the connection, with the alert that libssl has for the client.
    private func fail(_ error: TLSError, _ context: ChannelHandlerContext) {
        (isInputClosed, isOutputClosed) = (true, true)
        send(context)
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }

    // MARK: To the client

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let bytes = unwrapOutboundIn(data)
        guard !isOutputClosed else { return promise?.fail(ChannelError.outputClosed) ?? () }
        guard bytes.readableBytes > 0 else { return context.write(data, promise: promise) }
        do {
            try connection.write(bytes)
            context.write(wrapOutboundOut(connection.takeOutput()), promise: promise)
        } catch {
            promise?.fail(error)
            fail(error, context)
        }
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode != .input, !isOutputClosed {
            isOutputClosed = true
            if isEstablished { connection.close() }
            send(context)
        }
        // Before the handshake is over there is no half of a connection.
        context.close(mode: isEstablished || mode != .output ? mode : .all, promise: promise)
    }

    /// Sends what TLS itself has to say.
    private func send(_ context: ChannelHandlerContext) {
        let bytes = connection.takeOutput()
        guard bytes.readableBytes > 0 else { return }
        unread = context.channel.isWritable ? 0 : unread + bytes.readableBytes
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }
}
