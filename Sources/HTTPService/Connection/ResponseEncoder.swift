// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
internal import NIOCore

/// Writes answers in their wire form (RFC 9112 §4, §6).
struct ResponseEncoder {
    /// How the end of a body is told.
    enum Framing { case length(Int), chunked, untilClose, none }

    private let now: @Sendable () -> Date
    private var second = Int.min
    private var dateLine: [UInt8] = []

    init(now: @escaping @Sendable () -> Date) { self.now = now }

    /// Writes status line and headers.
    ///
    /// - Parameters:
    ///   - response: The answer.
    ///   - framing: How the end of the body is told.
    ///   - keepsAlive: Whether the connection stays open.
    ///   - minorVersion: The client's version of HTTP/1.
    ///   - buffer: Takes the bytes.
    mutating func encodeHead(
        _ response: HTTPResponse,
        framing: Framing,
        keepsAlive: Bool,
        minorVersion: Int,
        into buffer: inout ByteBuffer
    ) {
        buffer.writeStaticString("HTTP/1.1 ")
        buffer.writeString(String(response.status.code))
        buffer.writeStaticString(" ")
        buffer.writeString(response.status.reason)
        buffer.writeStaticString("\r\n")
        buffer.writeBytes(response.headers.wireBytes)
        if !response.headers.contains("Date") { writeDate(into: &buffer) }
        switch framing {
        case .length(let length):
            buffer.writeStaticString("Content-Length: ")
            buffer.writeString(String(length))
            buffer.writeStaticString("\r\n")
        case .chunked: buffer.writeStaticString("Transfer-Encoding: chunked\r\n")
        case .untilClose, .none: break
        }
        if !keepsAlive {
            buffer.writeStaticString("Connection: close\r\n")
        } else if minorVersion == 0 {
            buffer.writeStaticString("Connection: keep-alive\r\n")
        }
        buffer.writeStaticString("\r\n")
    }

    private mutating func writeDate(into buffer: inout ByteBuffer) {
        let date = now()
        let current = Int(date.timeIntervalSince1970.rounded(.down))
        if current != second {
            second = current
            dateLine = Array("Date: \(HTTPDate.text(date))\r\n".utf8)
        }
        buffer.writeBytes(dateLine)
    }
}
