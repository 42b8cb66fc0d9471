// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// The lines of a request before its body, read one after the other (RFC 9112 §2–§5).
///
/// Strict where leniency is how requests are smuggled: lines end in CRLF, names are tokens with nothing between them and
/// their colon, values hold no control characters, a line is never folded.
struct RequestHead: Sendable {
    var method = HTTPMethod.get
    var target = ""
    var minorVersion = 1
    var positions: [HTTPHeaders.Position] = []

    /// What the headers say about the body.
    enum Framing: Equatable { case none, length(Int), chunked }

    /// Reads the request line.
    ///
    /// - Parameters:
    ///   - bytes: All that was received.
    ///   - line: Where the line stands, without its end.
    /// - Throws: ``RequestRefusal`` naming the rule that is broken.
    mutating func readRequestLine(_ bytes: [UInt8], _ line: Range<Int>) throws(RequestRefusal) {
        let malformed = RequestRefusal(.badRequest, "the request line is malformed")
        guard let methodEnd = bytes[line].firstIndex(of: 0x20), methodEnd > line.lowerBound,
            let targetEnd = bytes[line].lastIndex(of: 0x20), targetEnd > methodEnd + 1
        else { throw malformed }
        guard bytes[line.lowerBound..<methodEnd].allSatisfy(isToken) else { throw malformed }
        for byte in bytes[(methodEnd + 1)..<targetEnd] {
            guard (0x21...0x7e).contains(byte) else {
                throw RequestRefusal(.badRequest, "the request target holds a byte that is not printable ASCII")
            }
        }
        minorVersion = try Self.minorVersion(bytes[(targetEnd + 1)..<line.upperBound])
        method = HTTPMethod(rawValue: String(decoding: bytes[line.lowerBound..<methodEnd], as: UTF8.self))
        target = String(decoding: bytes[(methodEnd + 1)..<targetEnd], as: UTF8.self)
        guard HTTPMethod.implemented.contains(method) else {
            throw RequestRefusal(.notImplemented, "the method is not known here")
        }
        guard bytes[methodEnd + 1] == 0x2f || isAbsolute || (target == "*" && method == .options) else {
            throw RequestRefusal(.badRequest, "the request target is neither a path nor an http URL")
        }
    }

    private var isAbsolute: Bool {
        ["http://", "https://"].contains { scheme in
            target.utf8.count > scheme.utf8.count
                && HTTPHeaders.equalIgnoringCase(target.utf8.prefix(scheme.utf8.count), scheme.utf8)
        }
    }

    private static func minorVersion(_ bytes: ArraySlice<UInt8>) throws(RequestRefusal) -> Int {
        let isDigit: (UInt8?) -> Bool = { (0x30...0x39).contains($0 ?? 0) }
        let digits = bytes.dropFirst(5)
        guard bytes.count == 8, bytes.starts(with: [0x48, 0x54, 0x54, 0x50, 0x2f]),
            isDigit(digits.first), digits.dropFirst().first == 0x2e, isDigit(digits.last)
        else { throw RequestRefusal(.badRequest, "the request line does not end in an HTTP version") }
        guard digits.first == 0x31 else {
            throw RequestRefusal(.versionNotSupported, "only HTTP/1.1 and HTTP/1.0 are spoken here")
        }
        return digits.last == 0x30 ? 0 : 1
    }

    /// Reads one header line.
    ///
    /// - Parameters:
    ///   - bytes: All that was received.
    ///   - line: Where the line stands, without its end.
    /// - Throws: ``RequestRefusal`` naming the rule that is broken.
    mutating func readField(_ bytes: [UInt8], _ line: Range<Int>) throws(RequestRefusal) {
        positions.append(try Self.field(bytes, line))
    }

    /// Finds name and value in a header line or a trailer.
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
                throw RequestRefusal(.badRequest, "a header value holds a control character")
            }
            index += 1
        }
        return HTTPHeaders.Position(
            nameStart: Int32(clamping: line.lowerBound),
            nameEnd: Int32(clamping: nameEnd),
            valueStart: Int32(clamping: start),
            valueEnd: Int32(clamping: end)
        )
    }

    /// Finds out how the body is delimited (RFC 9112 §6), and refuses whatever two readers could understand in two ways.
    ///
    /// - Parameters:
    ///   - headers: The headers.
    ///   - limit: The longest body.
    /// - Returns: How the end of the body is told.
    /// - Throws: ``RequestRefusal`` naming the rule that is broken.
    func framing(_ headers: HTTPHeaders, limit: Int) throws(RequestRefusal) -> Framing {
        let hosts = headers.count("Host")
        guard hosts == 1 || (hosts == 0 && minorVersion == 0) else {
            throw RequestRefusal(.badRequest, "a request needs exactly one Host header")
        }
        let codings = headers.values("Transfer-Encoding")
        let lengths = headers.values("Content-Length")
        if !codings.isEmpty {
            guard lengths.isEmpty, minorVersion == 1 else {
                throw RequestRefusal(.badRequest, "Transfer-Encoding stands beside Content-Length or in HTTP/1.0")
            }
            guard codings.count == 1, HTTPHeaders.equalIgnoringCase(codings[0].utf8, "chunked".utf8) else {
                throw RequestRefusal(.notImplemented, "the only transfer coding known here is chunked")
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

/// Whether a byte may stand in a token (RFC 9110 §5.6.2).
func isToken(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x61...0x7a, 0x41...0x5a, 0x30...0x39, 0x2d, 0x5f, 0x2e: true
    case 0x21, 0x23...0x27, 0x2a, 0x2b, 0x5e, 0x60, 0x7c, 0x7e: true
    default: false
    }
}
