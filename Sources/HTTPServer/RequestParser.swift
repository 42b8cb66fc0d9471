// SPDX-License-Identifier: Apache-2.0

internal import SystemSupport

/// Why the bytes of a client are refused: the status of the response, and the message for its body.
typealias RequestRefusal = CodedError<HTTPStatus>

/// Reads requests from a connection's bytes.
///
/// It does no input or output, so that every rule can be tested with literals. The work for a byte does not grow with the number
/// of bytes before it.
struct RequestParser: Sendable {
    enum Step {
        /// More bytes are needed.
        case incomplete
        /// The client waits for `100 Continue` before it sends the body.
        case expectsContinue
        case complete(HTTPRequest)
    }

    private enum State {
        case head
        case length(Int)
        case chunked(ChunkedBody)
    }

    /// Who sends the requests.
    var peer: ConnectionPeer

    private let limits: HTTPLimits
    private var bytes: [UInt8] = []
    /// The end of what was parsed.
    private var position = 0
    /// The start of the current line, and up to where a line end was looked for.
    private var lineStart = 0
    private var scanned = 0
    private var hasRequestLine = false
    private var head = RequestHead()
    private var headers = HTTPHeaders()
    private var state = State.head

    /// Of the last complete request: whether the connection stays open, and the minor version.
    private(set) var keepsAlive = true
    private(set) var minorVersion = 1

    init(limits: HTTPLimits, peer: ConnectionPeer = ConnectionPeer(address: "")) {
        self.limits = limits
        self.peer = peer
    }

    /// Whether a request has begun and is not complete.
    var isWithinRequest: Bool { !isAtHead || hasRequestLine || lineStart < bytes.count }

    /// The number of bytes that wait to be parsed.
    var waitingCount: Int { bytes.count - position }

    /// Whether the head of the current request is not complete.
    var isAtHead: Bool {
        if case .head = state { return true }
        return false
    }

    mutating func append(_ received: [UInt8]) {
        if bytes.isEmpty { bytes = received } else { bytes += received }
    }

    /// Reads as far as the bytes go. After a complete request the next call begins with the bytes behind it; after a refusal
    /// there must be none.
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
                guard equalIgnoringCase(expectation.utf8, "100-continue".utf8) else {
                    throw RequestRefusal(.expectationFailed, "the only supported expectation is 100-continue")
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
            // The state releases its copy, so that the body grows in place.
            state = .length(0)
            let isComplete = try body.read(bytes, &position, limits: limits)
            if isComplete { return complete(body: body.body) }
            state = .chunked(body)
            compact()
            return .incomplete
        }
    }

    private mutating func complete(body: [UInt8]) -> Step {
        minorVersion = head.minorVersion
        keepsAlive = minorVersion == 1
        if headers.contains("Connection") {
            if headers.contains(token: "close", in: "Connection") {
                keepsAlive = false
            } else if headers.contains(token: "keep-alive", in: "Connection") {
                keepsAlive = true
            }
        }
        let request = HTTPRequest(
            method: head.method, target: head.target, headers: headers, body: body, remoteAddress: peer.address,
            localAddress: peer.localAddress, isLocal: peer.isLocal, isSecure: peer.isSecure,
            clientCertificates: peer.certificates, arrival: .now)
        state = .head
        head = RequestHead()
        headers = HTTPHeaders()
        hasRequestLine = false
        compact()
        (lineStart, scanned) = (position, position)
        return .complete(request)
    }

    /// Drops the bytes that were parsed, once there are no others, or there are many.
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

    /// Reads lines up to the empty one. Returns `false` if it has not arrived.
    private mutating func readHead() throws(RequestRefusal) -> Bool {
        while let end = nextLineEnd() {
            guard end > lineStart, bytes[end - 1] == 0x0d else {
                throw RequestRefusal(.badRequest, "a line does not end in CRLF")
            }
            let line = lineStart..<(end - 1)
            lineStart = end + 1
            try checkLength(upTo: end + 1, line: line.count + 2)
            if !hasRequestLine {
                // Empty lines before a request are skipped (RFC 9112 §2.2).
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
                head.positions.append(try RequestHead.field(bytes, line))
            }
        }
        try checkLength(upTo: bytes.count, line: bytes.count - lineStart)
        // A client with another protocol, such as TLS, gets its response now and not when its time is up.
        if !hasRequestLine, lineStart < bytes.count, bytes[lineStart] != 0x0d, !isToken(bytes[lineStart]) {
            throw RequestRefusal(.badRequest, "this is not HTTP")
        }
        return false
    }

    private mutating func nextLineEnd() -> Int? {
        guard let end = bytes[scanned...].firstIndex(of: 0x0a) else {
            scanned = bytes.count
            return nil
        }
        scanned = end + 1
        return end
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

/// The head of a request, read line by line (RFC 9112 §2–§5).
///
/// Strict where leniency allows request smuggling: lines end in CRLF, names are tokens directly before their colon, values have no
/// control characters, lines are never folded.
private struct RequestHead: Sendable {
    var method = HTTPMethod.get
    var target = ""
    var minorVersion = 1
    var positions: [HTTPHeaders.Position] = []

    enum Framing: Equatable { case none, length(Int), chunked }

    mutating func readRequestLine(_ bytes: [UInt8], _ line: Range<Int>) throws(RequestRefusal) {
        let malformed = RequestRefusal(.badRequest, "the request line is malformed")
        guard let methodEnd = bytes[line].firstIndex(of: 0x20), methodEnd > line.lowerBound,
            let targetEnd = bytes[line].lastIndex(of: 0x20), targetEnd > methodEnd + 1
        else { throw malformed }
        guard bytes[line.lowerBound..<methodEnd].allSatisfy(isToken) else { throw malformed }
        for byte in bytes[(methodEnd + 1)..<targetEnd] {
            guard (0x21...0x7e).contains(byte) else {
                throw RequestRefusal(.badRequest, "the request target has a byte that is not printable ASCII")
            }
        }
        minorVersion = try Self.minorVersion(bytes[(targetEnd + 1)..<line.upperBound])
        target = String(decoding: bytes[(methodEnd + 1)..<targetEnd], as: UTF8.self)
        guard let method = HTTPMethod(rawValue: String(decoding: bytes[line.lowerBound..<methodEnd], as: UTF8.self))
        else {
            throw RequestRefusal(.notImplemented, "the method is not supported")
        }
        self.method = method
        if bytes[methodEnd + 1] == 0x2f || target == "*" && method == .options { return }
        guard let start = HTTPRequest.authorityStart(target), start < target.endIndex else {
            throw RequestRefusal(.badRequest, "the request target is neither a path nor an http URL")
        }
    }

    private static func minorVersion(_ bytes: ArraySlice<UInt8>) throws(RequestRefusal) -> Int {
        let isDigit: (UInt8?) -> Bool = { (0x30...0x39).contains($0 ?? 0) }
        let digits = bytes.dropFirst(5)
        guard bytes.count == 8, bytes.starts(with: [0x48, 0x54, 0x54, 0x50, 0x2f]),
            isDigit(digits.first), digits.dropFirst().first == 0x2e, isDigit(digits.last)
        else { throw RequestRefusal(.badRequest, "the request line does not end in an HTTP version") }
        guard digits.first == 0x31 else {
            throw RequestRefusal(.versionNotSupported, "only HTTP/1.1 and HTTP/1.0 are supported")
        }
        return digits.last == 0x30 ? 0 : 1
    }

    /// The name and value of a header line or a trailer.
    static func field(_ bytes: [UInt8], _ line: Range<Int>) throws(RequestRefusal) -> HTTPHeaders.Position {
        var nameEnd = line.lowerBound
        while nameEnd < line.upperBound, isToken(bytes[nameEnd]) { nameEnd += 1 }
        guard nameEnd > line.lowerBound, nameEnd < line.upperBound, bytes[nameEnd] == 0x3a else {
            throw RequestRefusal(.badRequest, "a header line does not begin with a name and a colon")
        }
        var start = nameEnd + 1
        var end = line.upperBound
        while start < end, bytes[start] == 0x20 || bytes[start] == 0x09 { start += 1 }
        while end > start, bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09 { end -= 1 }
        var index = start
        while index < end {
            let byte = bytes[index]
            guard byte >= 0x20 || byte == 0x09, byte != 0x7f else {
                throw RequestRefusal(.badRequest, "a header value has a control character")
            }
            index += 1
        }
        return HTTPHeaders.Position(name: line.lowerBound..<nameEnd, value: start..<end)
    }

    /// How the end of the body is found (RFC 9112 §6). Refuses what two readers could understand in two ways.
    func framing(_ headers: HTTPHeaders, limit: Int) throws(RequestRefusal) -> Framing {
        let hosts = headers.count("Host")
        guard hosts == 1 || (hosts == 0 && minorVersion == 0) else {
            throw RequestRefusal(.badRequest, "a request needs exactly one Host header")
        }
        let codings = headers.values("Transfer-Encoding")
        let lengths = headers.values("Content-Length")
        if !codings.isEmpty {
            guard lengths.isEmpty, minorVersion == 1 else {
                throw RequestRefusal(.badRequest, "Transfer-Encoding together with Content-Length or in HTTP/1.0")
            }
            guard codings.count == 1, equalIgnoringCase(codings[0].utf8, "chunked".utf8) else {
                throw RequestRefusal(.notImplemented, "the only supported transfer coding is chunked")
            }
            return .chunked
        }
        guard let text = lengths.first else { return .none }
        guard lengths.count == 1, !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw RequestRefusal(.badRequest, "Content-Length is not one decimal number")
        }
        guard let length = Int(text), length <= limit else {
            throw RequestRefusal(.contentTooLarge, "the body is longer than \(limit) bytes")
        }
        return length == 0 ? .none : .length(length)
    }
}

/// Whether a byte is allowed in a token (RFC 9110 §5.6.2).
private func isToken(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x61...0x7a, 0x41...0x5a, 0x30...0x39, 0x2d, 0x5f, 0x2e: true
    case 0x21, 0x23...0x27, 0x2a, 0x2b, 0x5e, 0x60, 0x7c, 0x7e: true
    default: false
    }
}

/// Decodes the chunked transfer coding (RFC 9112 §7.1). Chunk extensions and trailers are checked and dropped.
private struct ChunkedBody: Sendable {
    private enum State { case size, data(Int), dataEnd, trailers }

    private var state = State.size
    private var trailerBytes = 0
    private var trailerCount = 0

    private(set) var body: [UInt8] = []

    /// Reads bytes from `position` on and moves it. Returns whether the body is complete.
    mutating func read(_ bytes: [UInt8], _ position: inout Int, limits: HTTPLimits) throws(RequestRefusal) -> Bool {
        while true {
            switch state {
            case .size:
                guard let line = try Self.line(bytes, &position, limit: 256) else { return false }
                let size = try Self.size(bytes[line])
                guard size <= limits.bodyBytes - body.count else {
                    throw RequestRefusal(.contentTooLarge, "the body is longer than \(limits.bodyBytes) bytes")
                }
                state = size == 0 ? .trailers : .data(size)
            case .data(let remaining):
                let count = min(remaining, bytes.count - position)
                body += bytes[position..<(position + count)]
                position += count
                guard count == remaining else {
                    state = .data(remaining - count)
                    return false
                }
                state = .dataEnd
            case .dataEnd:
                guard bytes.count - position >= 2 else { return false }
                guard bytes[position] == 0x0d, bytes[position + 1] == 0x0a else {
                    throw RequestRefusal(.badRequest, "a chunk is not followed by a line end")
                }
                position += 2
                state = .size
            case .trailers:
                guard let line = try Self.line(bytes, &position, limit: limits.headBytes) else { return false }
                if line.isEmpty { return true }
                trailerBytes += line.count + 2
                trailerCount += 1
                guard trailerBytes <= limits.headBytes, trailerCount <= limits.headerCount else {
                    throw RequestRefusal(.headerFieldsTooLarge, "the trailers are too long or too many")
                }
                _ = try RequestHead.field(bytes, line)
            }
        }
    }

    private static func line(
        _ bytes: [UInt8], _ position: inout Int, limit: Int
    ) throws(RequestRefusal) -> Range<Int>? {
        let start = position
        guard let end = bytes[start...].prefix(limit).firstIndex(of: 0x0a) else {
            guard bytes.count - start < limit else {
                throw RequestRefusal(.badRequest, "a line of the chunked body is too long")
            }
            return nil
        }
        guard end > start, bytes[end - 1] == 0x0d else {
            throw RequestRefusal(.badRequest, "a line of the chunked body does not end in CRLF")
        }
        position = end + 1
        return start..<(end - 1)
    }

    private static func size(_ line: ArraySlice<UInt8>) throws(RequestRefusal) -> Int {
        let malformed = RequestRefusal(.badRequest, "a chunk's size is not a hexadecimal number")
        var size = 0
        var digits = 0
        for byte in line {
            let value: UInt8
            switch byte {
            case 0x30...0x39: value = byte - 0x30
            case 0x61...0x66: value = byte - 0x61 + 10
            case 0x41...0x46: value = byte - 0x41 + 10
            case 0x3b, 0x20, 0x09:
                // The text of an extension is ignored.
                guard digits > 0, line.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }) else { throw malformed }
                return size
            default: throw malformed
            }
            digits += 1
            guard digits <= 15 else { throw malformed }
            size = size << 4 | Int(value)
        }
        guard digits > 0 else { throw malformed }
        return size
    }
}
