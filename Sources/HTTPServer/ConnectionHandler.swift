// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import NIOCore
internal import NIOPosix
internal import SystemSupport

/// Asks a connection to close after the response to the request in work.
enum ConnectionEvent { case shutDown }

/// One connection: reads requests, has each answered before it looks at the next, and keeps the limits and deadlines.
///
/// It is used on its event loop only. While a request is in work at most a little of what follows is read; the rest waits in
/// the kernel, so that a client cannot make the server hold what it does not work on.
final class ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Phase {
        /// Waiting for a request, or in the middle of one.
        case reading
        /// A handler has the request.
        case working
        /// The body of a response is being sent in parts.
        case streaming
        /// The last response was sent; what still arrives is dropped, so that a reset does not overtake the response.
        case draining
        case closed
    }

    private static let readAhead = 65_536
    private static let drainLimit = 1_048_576
    private static let drainTime = Duration.seconds(1)

    let shared: ServerContext
    private var parser: RequestParser
    private var encoder: ResponseEncoder
    private var timer = ConnectionTimer()

    private(set) var phase = Phase.reading
    private var context: ChannelHandlerContext?
    private var isProceeding = false
    private var isWithinRead = false
    private var mustFlush = false
    private var readIsPending = false
    private var isInputClosed = false
    private var isShuttingDown = false
    private var drained = 0

    // The request in work.
    private var isHead = false
    private var keepsAlive = true
    private var streamIsChunked = false
    private var writer: HTTPBodyWriter?
    private weak var responder: HTTPResponder?

    init(_ shared: ServerContext, _ peer: ConnectionPeer) {
        self.shared = shared
        parser = RequestParser(limits: shared.limits, peer: peer)
        encoder = ResponseEncoder(now: shared.now)
    }

    // MARK: Events of the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        setTimer(.head, shared.limits.headTime)
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Resets and failed TLS handshakes: there is no one to answer.
        shared.logger.debug("connection failed", metadata: ["remote": "\(parser.peer.address)", "error": "\(error)"])
        context.close(promise: nil)
    }

    func read(context: ChannelHandlerContext) {
        if takesInput { context.read() } else { readIsPending = true }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        isWithinRead = true
        switch phase {
        case .closed: return
        case .draining:
            drained += buffer.readableBytes
            if drained > Self.drainLimit { context.close(promise: nil) }
        case .reading, .working, .streaming:
            parser.append(Array(buffer.readableBytesView))
            proceed()
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isWithinRead = false
        flushIfNeeded()
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            if timer.purpose == .write { timer.clear() }
            proceed()
        } else if phase != .draining {
            setTimer(.write, shared.limits.writeTime)
        }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            isInputClosed = true
            switch phase {
            case .reading: proceed()
            case .working: keepsAlive = false
            // A client that reads a stream does not close half of the connection: this is a closed browser tab.
            case .streaming, .draining: context.close(promise: nil)
            case .closed: break
            }
        case let handshake as TLSHandshakeCompleted: parser.peer.certificates = handshake.clientCertificates
        case ConnectionEvent.shutDown:
            isShuttingDown = true
            switch phase {
            case .reading where !parser.isWithinRequest: context.close(promise: nil)
            case .streaming: finishStream()
            case .reading, .working, .draining, .closed: break
            }
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    private func end() {
        phase = .closed
        timer.cancel()
        writer?.connectionClosed()
        writer = nil
        responder?.connectionClosed()
        context = nil
    }

    // MARK: Requests

    private var takesInput: Bool {
        switch phase {
        case .reading: context?.channel.isWritable ?? false
        case .working, .streaming: parser.waitingCount < Self.readAhead
        case .draining, .closed: true
        }
    }

    private func proceed() {
        // A handler that responds at once calls this through `send`: the loop below is enough.
        guard !isProceeding, let context else { return }
        isProceeding = true
        defer { isProceeding = false }
        while phase == .reading, context.channel.isWritable {
            do {
                switch try parser.next() {
                case .complete(let request): work(on: request)
                case .expectsContinue:
                    write("HTTP/1.1 100 Continue\r\n\r\n")
                    continue
                case .incomplete:
                    if isInputClosed { context.close(promise: nil) } else { awaitInput() }
                    flushIfNeeded()
                    return
                }
            } catch {
                refuse(error)
            }
        }
        flushIfNeeded()
    }

    /// Sets the deadline for what comes next, once for each part of a request.
    private func awaitInput() {
        if !parser.isWithinRequest {
            // A connection that was just opened has its deadline for a head.
            if timer.purpose != .idle, timer.purpose != .head { setTimer(.idle, shared.limits.idleTime) }
        } else if parser.isAtHead {
            if timer.purpose != .head { setTimer(.head, shared.limits.headTime) }
        } else if timer.purpose != .body {
            setTimer(.body, shared.limits.bodyTime)
        }
        readIfPending()
    }

    private func readIfPending() {
        guard readIsPending, takesInput else { return }
        readIsPending = false
        context?.read()
    }

    private func work(on request: HTTPRequest) {
        guard let context else { return }
        phase = .working
        timer.clear()
        isHead = request.method == .head
        keepsAlive = parser.keepsAlive
        switch shared.handler.answer(request) {
        case .now(let response): send(response)
        case .work(let work):
            let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
            let eventLoop = context.eventLoop
            shared.workers.submit { state in
                let response =
                    switch state {
                    case .active: work()
                    case .cancelled: HTTPResponse(status: .serviceUnavailable, text: "the server is shutting down\n")
                    }
                eventLoop.execute { connection.value.send(response) }
            }
        case .later(let start):
            let responder = HTTPResponder(self, on: context.eventLoop)
            self.responder = responder
            start(responder)
        }
    }

    /// Sends the refusal and ends the connection.
    private func refuse(_ refusal: RequestRefusal) {
        shared.logger.debug(
            "request refused",
            metadata: [
                "remote": "\(parser.peer.address)", "status": "\(refusal.code.code)", "reason": "\(refusal.message)",
            ])
        phase = .working
        isHead = false
        keepsAlive = false
        send(HTTPResponse(status: refusal.code, text: refusal.message + "\n"))
    }

    // MARK: Answers

    /// Sends the answer to the request in work.
    func send(_ response: HTTPResponse) {
        guard phase == .working, let context else { return }
        if isShuttingDown || isInputClosed || response.closesConnection { keepsAlive = false }
        let isBodyless = response.status.code == 204 || response.status.code == 304 || response.status.code < 200
        var buffer: ByteBuffer
        let sendsBody = !isHead && !isBodyless
        switch response.body {
        case .bytes(let body):
            buffer = context.channel.allocator.buffer(
                capacity: 256 + response.headers.wireBytes.count + (sendsBody ? body.count : 0))
            encode(response, isBodyless ? .none : .length(body.count), into: &buffer)
            if sendsBody { buffer.writeBytes(body) }
            context.write(wrapOutboundOut(buffer), promise: nil)
        case .stream(let stream):
            streamIsChunked = parser.minorVersion == 1
            if !streamIsChunked { keepsAlive = false }
            buffer = context.channel.allocator.buffer(capacity: 256 + response.headers.wireBytes.count)
            encode(response, isBodyless ? .none : streamIsChunked ? .chunked : .untilClose, into: &buffer)
            context.write(wrapOutboundOut(buffer), promise: nil)
            if sendsBody {
                context.flush()
                return startStream(stream)
            }
        }
        mustFlush = true
        finishAnswer()
    }

    private func encode(_ response: HTTPResponse, _ framing: ResponseEncoder.Framing, into buffer: inout ByteBuffer) {
        encoder.encodeHead(response, framing, keepsAlive: keepsAlive, parser.minorVersion, into: &buffer)
    }

    /// Continues with the next request, or ends the connection.
    private func finishAnswer() {
        guard keepsAlive else { return drain() }
        phase = .reading
        if isShuttingDown, !parser.isWithinRequest {
            drain()
        } else if !isProceeding {
            proceed()
        }
    }

    private func drain() {
        guard let context else { return }
        phase = .draining
        context.flush()
        mustFlush = false
        setTimer(.drain, Self.drainTime)
        if isInputClosed {
            context.close(promise: nil)
        } else {
            context.close(mode: .output, promise: nil)
            readIfPending()
        }
    }

    private func write(_ text: StaticString) {
        guard let context else { return }
        var buffer = context.channel.allocator.buffer(capacity: text.utf8CodeUnitCount)
        buffer.writeStaticString(text)
        context.write(wrapOutboundOut(buffer), promise: nil)
        mustFlush = true
    }

    private func flushIfNeeded() {
        guard mustFlush, !isWithinRead else { return }
        mustFlush = false
        context?.flush()
    }

    // MARK: Streams

    private func startStream(_ stream: @Sendable (HTTPBodyWriter) -> Void) {
        guard let context else { return }
        phase = .streaming
        let writer = HTTPBodyWriter(self, on: context.eventLoop, limit: shared.limits.streamBacklogBytes)
        self.writer = writer
        stream(writer)
        if isShuttingDown { finishStream() }
        readIfPending()
    }

    /// Sends a part of the body. Calls `whenSent` when it left this process, or never will.
    func writeStream(_ bytes: [UInt8], whenSent: @escaping @Sendable () -> Void) {
        guard phase == .streaming, let context else { return whenSent() }
        var buffer = context.channel.allocator.buffer(capacity: bytes.count + 16)
        if streamIsChunked {
            buffer.writeString(String(bytes.count, radix: 16))
            buffer.writeStaticString("\r\n")
        }
        buffer.writeBytes(bytes)
        if streamIsChunked { buffer.writeStaticString("\r\n") }
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.whenComplete { _ in whenSent() }
        context.writeAndFlush(wrapOutboundOut(buffer), promise: promise)
    }

    func finishStream() {
        guard phase == .streaming else { return }
        writer?.connectionClosed()
        writer = nil
        if streamIsChunked { write("0\r\n\r\n") }
        phase = .working
        finishAnswer()
        flushIfNeeded()
    }

    /// Disconnects a client that reads too slowly.
    func abandonStream() { context?.close(promise: nil) }

    // MARK: Time

    private func setTimer(_ purpose: ConnectionTimer.Purpose, _ time: Duration) {
        guard let context else { return }
        timer.set(purpose, after: TimeAmount(time), on: context.eventLoop) { [weak self] in self?.timeIsUp() }
    }

    private func timeIsUp() {
        guard let context,
            let purpose = timer.expiredPurpose(on: context.eventLoop, { [weak self] in self?.timeIsUp() })
        else { return }
        switch purpose {
        case .head where parser.isWithinRequest:
            refuse(RequestRefusal(.requestTimeout, "the head of the request did not arrive in time"))
        case .body: refuse(RequestRefusal(.requestTimeout, "the body of the request did not arrive in time"))
        case .head, .idle, .write, .drain: context.close(promise: nil)
        }
    }
}
