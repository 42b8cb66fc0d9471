// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
internal import NIOCore
internal import SystemSupport

/// Who is at the other end of a connection.
struct ConnectionPeer: Sendable {
    /// `address:port`, an IPv4 client's always as IPv4; `unix` for a unix socket.
    var address: String

    /// Whether it is this machine.
    var isLocal = false

    /// The address of this machine that it connected to; `nil` for a unix socket.
    var localAddress: HTTPAuthority?

    var isSecure = false

    /// The client's address for limits; an IPv6 client has a whole /64.
    var network: String { Self.network(of: address) }

    static func network(of address: String) -> String {
        guard let host = HTTPAuthority(address)?.host else { return address }
        guard let octets = IPAddress.octets(host), octets.count == 16 else { return host }
        return IPAddress.text(octets.prefix(8) + [UInt8](repeating: 0, count: 8)) + "/64"
    }

    /// In DER, its own first; empty if it sent none.
    var certificates: [[UInt8]] = []
}

extension ConnectionPeer {
    init(of channel: any Channel, at listener: HTTPListener) {
        isSecure = listener.identity != nil
        if listener.path == nil, let local = channel.localAddress, let text = local.clientAddress {
            localAddress = HTTPAuthority(host: text, port: local.port)
        }
        if listener.path != nil {
            address = "unix"
            isLocal = true
        } else if let remote = channel.remoteAddress, let text = remote.clientAddress {
            address = "\(text.contains(":") ? "[\(text)]" : text):\(remote.port ?? 0)"
            isLocal = remote.isLoopback
        } else {
            address = "unknown"
        }
    }
}

/// Responds to a connection over the limit with 503, and closes it.
final class ConnectionLimitHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let answer: StaticString =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"

    func channelActive(context: ChannelHandlerContext) {
        var buffer = context.channel.allocator.buffer(capacity: Self.answer.utf8CodeUnitCount)
        buffer.writeStaticString(Self.answer)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}

/// The one deadline that a connection has at a time.
///
/// Deadlines change with every request and are seldom reached. So one wake-up is scheduled, and another only if the deadline is
/// before it, or was not reached by then.
struct ConnectionTimer {
    enum Purpose { case head, body, idle, write, drain }

    private(set) var purpose: Purpose?
    private var deadline = NIODeadline.distantFuture
    private var wakeUp: (task: Scheduled<Void>, at: NIODeadline)?

    mutating func set(
        _ purpose: Purpose, after time: TimeAmount, on eventLoop: any EventLoop, _ action: @escaping () -> Void
    ) {
        self.purpose = purpose
        deadline = eventLoop.now + time
        schedule(on: eventLoop, action)
    }

    /// The purpose of the deadline if it has passed; otherwise schedules another wake-up.
    mutating func expiredPurpose(on eventLoop: any EventLoop, _ action: @escaping () -> Void) -> Purpose? {
        wakeUp = nil
        guard let purpose else { return nil }
        if deadline <= eventLoop.now {
            clear()
            return purpose
        }
        schedule(on: eventLoop, action)
        return nil
    }

    mutating func clear() {
        purpose = nil
        deadline = .distantFuture
    }

    mutating func cancel() {
        clear()
        wakeUp?.task.cancel()
        wakeUp = nil
    }

    private mutating func schedule(on eventLoop: any EventLoop, _ action: @escaping () -> Void) {
        if let wakeUp {
            guard deadline < wakeUp.at else { return }
            wakeUp.task.cancel()
        }
        wakeUp = (eventLoop.assumeIsolated().scheduleTask(deadline: deadline, action), deadline)
    }
}

/// Writes the heads of responses (RFC 9112 §4, §6).
struct ResponseEncoder {
    /// How the end of the body is found.
    enum Framing { case length(Int), chunked, untilClose, none }

    private let now: @Sendable () -> Date
    private var second = Int.min
    private var dateLine: [UInt8] = []

    init(now: @escaping @Sendable () -> Date) { self.now = now }

    mutating func encodeHead(
        _ response: HTTPResponse, _ framing: Framing, keepsAlive: Bool, _ minorVersion: Int,
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
            dateLine = Array("Date: \(CivilTime(date).http)\r\n".utf8)
        }
        buffer.writeBytes(dateLine)
    }
}
