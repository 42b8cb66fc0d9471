// SPDX-License-Identifier: Apache-2.0

/// The answer to a request.
///
/// The server adds `Date`, `Content-Length` or `Transfer-Encoding`, and `Connection` where they are needed.
package struct HTTPResponse: Sendable {
    enum Body: Sendable {
        case bytes([UInt8])
        case stream(@Sendable (HTTPBodyWriter) -> Void)
    }

    /// The outcome.
    package var status: HTTPStatus

    /// The headers, apart from those that the server adds.
    package var headers: HTTPHeaders

    /// Whether the connection ends with this answer, whatever the client wants. The server says so in `Connection`.
    package var closesConnection = false

    let body: Body

    /// Makes an answer with a body that is known.
    ///
    /// - Parameters:
    ///   - status: The outcome. With 204 and 304 no body is sent.
    ///   - headers: The headers. A `Date` among them takes the place of the server's.
    ///   - body: The body. An answer to HEAD has its length and not its bytes.
    package init(status: HTTPStatus, headers: HTTPHeaders = HTTPHeaders(), body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = .bytes(body)
    }

    /// Makes an answer with a body that comes bit by bit, such as server-sent events.
    ///
    /// - Parameters:
    ///   - status: The outcome.
    ///   - headers: The headers.
    ///   - stream: Is given the writer once the head was sent, on the connection's event loop, where it must not block.
    ///     The writer may be kept and used from anywhere. It is not called for HEAD.
    package init(
        status: HTTPStatus,
        headers: HTTPHeaders = HTTPHeaders(),
        stream: @escaping @Sendable (HTTPBodyWriter) -> Void
    ) {
        self.status = status
        self.headers = headers
        body = .stream(stream)
    }

    /// Makes an answer in plain text.
    ///
    /// - Parameters:
    ///   - status: The outcome.
    ///   - text: The body, in UTF-8.
    package init(status: HTTPStatus, text: String) {
        self.init(status: status, headers: ["Content-Type": "text/plain; charset=utf-8"], body: Array(text.utf8))
    }

    /// The body, when it is known as a whole.
    package var bodyBytes: [UInt8]? {
        guard case .bytes(let bytes) = body else { return nil }
        return bytes
    }
}
