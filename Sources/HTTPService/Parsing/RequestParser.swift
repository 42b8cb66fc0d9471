// SPDX-License-Identifier: Apache-2.0

/// Takes requests out of a connection's bytes, however they are cut.
///
/// A value without input or output of its own, so that every rule can be tested with literals. Work done for a byte does
/// not grow with the bytes before it.
struct RequestParser: Sendable {
    /// How far the parser came.
    enum Step {
        /// More bytes are needed.
        case incomplete
        /// The head is there, the body is not, and the client waits for `100 Continue` before it sends it.
        case expectsContinue
        /// A request is complete.
        case complete(ParsedRequest)
    }

    private enum State {
        case head
        case length(Int)
        case chunked(ChunkedBody)
    }

    private let limits: HTTPLimits
    private var bytes: [UInt8] = []
    /// What was dealt with.
    private var position = 0
    /// Where the line in question begins, and how far a line end was looked for.
    private var lineStart = 0
    private var scanned = 0
    private var hasRequestLine = false
    private var head = RequestHead()
    private var headers = HTTPHeaders()
    private var state = State.head

    init(limits: HTTPLimits) { self.limits = limits }

    /// Whether a request has begun and is not complete.
    var isWithinRequest: Bool { !isAtHead || hasRequestLine || lineStart < bytes.count }

    /// How many bytes wait to be dealt with.
    var waitingCount: Int { bytes.count - position }

    /// Whether the head of the current request is not complete.
    var isAtHead: Bool {
        if case .head = state { return true }
        return false
    }

    /// Takes bytes from the connection.
    ///
    /// - Parameter received: The next bytes.
    mutating func append(_ received: [UInt8]) {
        if bytes.isEmpty { bytes = received } else { bytes += received }
    }

    /// Reads on as far as the bytes go.
    ///
    /// - Returns: How far it came. After a complete request the next call begins with the bytes behind it.
    /// - Throws: ``RequestRefusal``, after which the parser is of no more use.
    mutating func next() throws(RequestRefusal) -> Step {
        if case .head = state {
            guard try readHead() else { return .incomplete }
            let framing = try head.framing(headers, limit: limits.bodyBytes)
            switch framing {
            case .none: return complete(body: [])
            case .length(let length): state = .length(length)
            case .chunked: state = .chunked(ChunkedBody())
            }
            if let expectation = headers["Expect"], head.minorVersion == 1 {
                guard HTTPHeaders.equalIgnoringCase(expectation.utf8, "100-continue".utf8) else {
                    throw RequestRefusal(.expectationFailed, "the only expectation known here is 100-continue")
                }
                if position == bytes.count { return .expectsContinue }
            }
        }
        switch state {
        case .head: return .incomplete
        case .length(let length):
            guard bytes.count - position >= length else { return .incomplete }
            let body = Array(bytes[position..<(position + length)])
            position += length
            return complete(body: body)
        case .chunked(var body):
            // The state lets go of its copy, so that the body grows in place.
            state = .length(0)
            let isComplete = try body.read(bytes, &position, limits: limits)
            if isComplete { return complete(body: body.body) }
            state = .chunked(body)
            compact()
            return .incomplete
        }
    }

    private mutating func complete(body: [UInt8]) -> Step {
        var keepsAlive = head.minorVersion == 1
        if headers.contains("Connection") {
            if headers.contains(token: "close", in: "Connection") {
                keepsAlive = false
            } else if headers.contains(token: "keep-alive", in: "Connection") {
                keepsAlive = true
            }
        }
        let request = ParsedRequest(
            method: head.method,
            target: head.target,
            minorVersion: head.minorVersion,
            headers: headers,
            body: body,
            keepsAlive: keepsAlive
        )
        state = .head
        head = RequestHead()
        headers = HTTPHeaders()
        hasRequestLine = false
        compact()
        (lineStart, scanned) = (position, position)
        return .complete(request)
    }

    /// Drops what was dealt with once that is all there is, or much.
    private mutating func compact() {
        if position == bytes.count {
            bytes = []
        } else if position >= 65_536 {
            bytes.removeFirst(position)
        } else {
            return
        }
        position = 0
    }

    /// Reads lines up to the empty one.
    ///
    /// - Returns: Whether the head is complete.
    private mutating func readHead() throws(RequestRefusal) -> Bool {
        while let end = nextLineEnd() {
            guard end > lineStart, bytes[end - 1] == 0x0d else {
                throw RequestRefusal(.badRequest, "a line does not end in CRLF")
            }
            let line = lineStart..<(end - 1)
            lineStart = end + 1
            try checkLength(upTo: end + 1, line: line.count + 2)
            if !hasRequestLine {
                // RFC 9112 §2.2: empty lines before a request are passed over.
                if line.isEmpty { continue }
                try head.readRequestLine(bytes, line)
                hasRequestLine = true
            } else if line.isEmpty {
                headers = HTTPHeaders(bytes: bytes, positions: head.positions)
                position = end + 1
                return true
            } else {
                guard head.positions.count < limits.headerCount else {
                    throw RequestRefusal(.headerFieldsTooLarge, "there are more than \(limits.headerCount) headers")
                }
                try head.readField(bytes, line)
            }
        }
        try checkLength(upTo: bytes.count, line: bytes.count - lineStart)
        // A client that speaks something else, TLS for one, is told so at once and not when its time is up.
        if !hasRequestLine, lineStart < bytes.count, bytes[lineStart] != 0x0d, !isToken(bytes[lineStart]) {
            throw RequestRefusal(.badRequest, "this is not HTTP")
        }
        return false
    }

    private mutating func nextLineEnd() -> Int? {
        var index = scanned
        while index < bytes.count {
            if bytes[index] == 0x0a {
                scanned = index + 1
                return index
            }
            index += 1
        }
        scanned = index
        return nil
    }

    private func checkLength(upTo end: Int, line: Int) throws(RequestRefusal) {
        if !hasRequestLine, line > limits.requestLineBytes {
            throw RequestRefusal(.uriTooLong, "the request line is longer than \(limits.requestLineBytes) bytes")
        }
        guard end - position <= limits.headBytes else {
            throw RequestRefusal(.headerFieldsTooLarge, "the head is longer than \(limits.headBytes) bytes")
        }
    }
}
