// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import Synchronization

/// The response to a request.
///
/// The server adds `Date`, `Content-Length` or `Transfer-Encoding`, and `Connection` where they are needed.
package struct HTTPResponse: Sendable {
    enum Body: Sendable {
        case bytes([UInt8])
        case stream(@Sendable (HTTPBodyWriter) -> Void)
    }

    package var status: HTTPStatus
    package var headers: HTTPHeaders

    /// Whether the server closes the connection after this response.
    package var closesConnection = false

    let body: Body

    /// Creates a response with a complete body.
    ///
    /// With 204 and 304 no body is sent; a response to HEAD has the length of the body and not its bytes. A `Date` in the headers
    /// replaces the server's.
    package init(status: HTTPStatus, headers: HTTPHeaders = HTTPHeaders(), body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = .bytes(body)
    }

    /// Creates a response whose body is written in parts, such as server-sent events.
    ///
    /// - Parameter stream: Is given the writer after the head was sent, on the connection's event loop, where it must not block.
    ///     The writer may be kept and used from anywhere. It is not called for HEAD.
    package init(
        status: HTTPStatus, headers: HTTPHeaders = HTTPHeaders(), stream: @escaping @Sendable (HTTPBodyWriter) -> Void
    ) {
        self.status = status
        self.headers = headers
        body = .stream(stream)
    }

    /// Creates a response in plain text.
    package init(status: HTTPStatus, text: String) {
        self.init(status: status, headers: ["Content-Type": "text/plain; charset=utf-8"], body: Array(text.utf8))
    }

    /// The body; `nil` if it is streamed.
    package var bodyBytes: [UInt8]? {
        guard case .bytes(let bytes) = body else { return nil }
        return bytes
    }
}

/// Handles requests.
package protocol HTTPHandler: Sendable {
    /// Returns the response, or how it will be made. Called on the connection's event loop, which it must not block.
    func answer(_ request: HTTPRequest) -> HTTPAnswer
}

/// A response, or how it will be made.
package enum HTTPAnswer: Sendable {
    case now(HTTPResponse)

    /// Makes the response on one of the server's worker threads, where it may block.
    ///
    /// A connection has at most one request in work, so no more work can wait than there are connections.
    case work(@Sendable () -> HTTPResponse)

    /// Responds from anywhere at any time. The closure is called on the connection's event loop, where it must not block.
    case later(@Sendable (HTTPResponder) -> Void)

    /// The response, if it is there.
    package var immediateResponse: HTTPResponse? {
        guard case .now(let response) = self else { return nil }
        return response
    }
}

/// Responds to one request, once. If it is released without a response, the client gets a 500.
package final class HTTPResponder: Sendable {
    private let hasAnswered = Atomic(false)
    private let eventLoop: any EventLoop
    private let connection: NIOLoopBound<ConnectionHandler>

    init(_ connection: ConnectionHandler, on eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        self.connection = NIOLoopBound(connection, eventLoop: eventLoop)
    }

    deinit { answer(HTTPResponse(status: .internalServerError, text: "the request was not answered\n")) }

    /// Sends the response. Only the first call does; the response is dropped if the client has gone.
    package func answer(_ response: HTTPResponse) {
        guard !hasAnswered.exchange(true, ordering: .relaxed) else { return }
        let connection = connection
        eventLoop.execute { connection.value.send(response) }
    }

    func connectionClosed() { hasAnswered.store(true, ordering: .relaxed) }
}

/// Writes a body in parts. It may be used from anywhere.
///
/// A client that reads too slowly is disconnected: see ``HTTPLimits/streamBacklogBytes``.
package final class HTTPBodyWriter: Sendable {
    private struct State {
        var isOpen = true
        var backlog = 0
        var whenClosed: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())
    private let limit: Int
    private let eventLoop: any EventLoop
    private let connection: NIOLoopBound<ConnectionHandler>

    init(_ connection: ConnectionHandler, on eventLoop: any EventLoop, limit: Int) {
        self.limit = limit
        self.eventLoop = eventLoop
        self.connection = NIOLoopBound(connection, eventLoop: eventLoop)
    }

    package var isOpen: Bool { state.withLock { $0.isOpen } }

    /// Sends the next part of the body. Returns `false` if the client has gone or was disconnected, or the body was finished.
    @discardableResult
    package func write(_ bytes: [UInt8]) -> Bool {
        enum Outcome { case taken, refused, tooSlow }
        let outcome: Outcome = state.withLock { state in
            guard state.isOpen else { return .refused }
            guard state.backlog + bytes.count <= limit else {
                state.isOpen = false
                return .tooSlow
            }
            state.backlog += bytes.count
            return .taken
        }
        let connection = connection
        switch outcome {
        case .refused: return false
        case .tooSlow:
            eventLoop.execute { connection.value.abandonStream() }
            return false
        case .taken:
            // An empty chunk would end the body.
            guard !bytes.isEmpty else { return true }
            eventLoop.execute {
                connection.value.writeStream(bytes) { self.state.withLock { $0.backlog -= bytes.count } }
            }
            return true
        }
    }

    /// Ends the body.
    package func finish() {
        let wasOpen = state.withLock { state in
            defer {
                state.isOpen = false
                state.whenClosed = nil
            }
            return state.isOpen
        }
        guard wasOpen else { return }
        let connection = connection
        eventLoop.execute { connection.value.finishStream() }
    }

    /// Calls `action` once when the client goes or the server shuts down before the body was finished; immediately if that has
    /// happened. It must not block.
    package func whenClosed(_ action: @escaping @Sendable () -> Void) {
        let isOpen = state.withLock { state in
            if state.isOpen { state.whenClosed = action }
            return state.isOpen
        }
        if !isOpen { action() }
    }

    func connectionClosed() {
        let action = state.withLock { state in
            state.isOpen = false
            defer { state.whenClosed = nil }
            return state.whenClosed
        }
        action?()
    }
}
