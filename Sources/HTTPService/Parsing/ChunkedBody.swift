// SPDX-License-Identifier: Apache-2.0

/// Takes the chunked transfer coding off a body (RFC 9112 §7.1). Chunk extensions and trailers are checked and dropped.
struct ChunkedBody: Sendable {
    private enum State { case size, data(Int), dataEnd, trailers }

    private var state = State.size
    private var trailerBytes = 0
    private var trailerCount = 0

    /// The body as far as it has arrived.
    private(set) var body: [UInt8] = []

    /// Reads on.
    ///
    /// - Parameters:
    ///   - bytes: All that was received.
    ///   - position: Where to read on; moved behind what was read.
    ///   - limits: The limits on body, size lines and trailers.
    /// - Returns: Whether the body is complete.
    /// - Throws: ``RequestRefusal`` naming the rule that is broken.
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
        _ bytes: [UInt8],
        _ position: inout Int,
        limit: Int
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
                // An extension. What it says does not matter here, but it is text.
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
