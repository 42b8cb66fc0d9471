// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import Synchronization

/// When and where a handler answers: now, after work that must leave the event loop, or later.
package struct HTTPAnswer: Sendable {
    enum Kind: Sendable {
        case now(HTTPResponse)
        case work(@Sendable () -> HTTPResponse)
        case later(@Sendable (HTTPResponder) -> Void)
    }

    let kind: Kind

    /// The answer, when it is given at once.
    package var immediateResponse: HTTPResponse? {
        guard case .now(let response) = kind else { return nil }
        return response
    }

    /// Answers at once, on the connection's event loop: for what is in memory and takes microseconds.
    ///
    /// - Parameter response: The answer.
    /// - Returns: What a handler returns.
    package static func now(_ response: HTTPResponse) -> HTTPAnswer { HTTPAnswer(kind: .now(response)) }

    /// Answers after work on one of the server's worker threads: for what computes long or may block.
    ///
    /// A connection has one request in work at the most, so no more work can wait than there are connections.
    ///
    /// - Parameter work: Makes the answer.
    /// - Returns: What a handler returns.
    package static func work(_ work: @escaping @Sendable () -> HTTPResponse) -> HTTPAnswer {
        HTTPAnswer(kind: .work(work))
    }

    /// Answers from anywhere at any time.
    ///
    /// - Parameter start: Is given the responder, on the connection's event loop, where it must not block.
    /// - Returns: What a handler returns.
    package static func later(_ start: @escaping @Sendable (HTTPResponder) -> Void) -> HTTPAnswer {
        HTTPAnswer(kind: .later(start))
    }
}

/// Whoever answers requests.
package protocol HTTPHandler: Sendable {
    /// Answers a request, or says how it will be answered.
    ///
    /// It is called on the connection's event loop and must not block it.
    ///
    /// - Parameter request: A complete request.
    /// - Returns: The answer.
    func answer(_ request: HTTPRequest) -> HTTPAnswer
}

/// The one right to answer a request later.
///
/// When it is given up without an answer, the client gets a 500.
package final class HTTPResponder: Sendable {
    private let hasAnswered = Atomic(false)
    private let eventLoop: any EventLoop
    private let connection: NIOLoopBound<ConnectionHandler>

    init(_ connection: ConnectionHandler, on eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        self.connection = NIOLoopBound(connection, eventLoop: eventLoop)
    }

    deinit { send(HTTPResponse(status: .internalServerError, text: "the request was not answered\n")) }

    /// Answers. Only the first answer counts.
    ///
    /// - Parameter response: The answer. It is dropped when the client has gone.
    package func answer(_ response: HTTPResponse) { send(response) }

    /// The connection's word that the client has gone: whatever is answered now goes nowhere.
    func connectionClosed() { hasAnswered.store(true, ordering: .relaxed) }

    private func send(_ response: HTTPResponse) {
        guard !hasAnswered.exchange(true, ordering: .relaxed) else { return }
        let connection = connection
        eventLoop.execute { connection.value.send(response) }
    }
}
