// SPDX-License-Identifier: Apache-2.0

import CTestSupport
import NIOCore

/// The client's end of a TLS connection, without a network: libssl, in C and apart from the server's own calls of it.
@safe final class TLSClient {
    enum Version: CInt, Comparable, CustomStringConvertible {
        case v1_0 = 0x301, v1_1, v1_2, v1_3

        static func < (left: Version, right: Version) -> Bool { left.rawValue < right.rawValue }

        var description: String { "1.\(rawValue - 0x301)" }
    }

    struct Failure: Error, Equatable { var alert: CInt }

    private let client: OpaquePointer

    init(
        trusting trusted: String, _ versions: ClosedRange<Version> = .v1_2 ... .v1_3, protocols: String = "",
        identity: TLSFixture? = nil
    ) {
        unsafe client = tls_client_new(
            trusted, versions.lowerBound.rawValue, versions.upperBound.rawValue, protocols)
        if let identity { unsafe tls_client_identify(client, identity.certificate, identity.key) }
    }

    deinit { unsafe tls_client_free(client) }

    /// What it has for the server.
    func takeOutput() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        var all: [UInt8] = []
        while case let count = unsafe tls_client_take(client, &bytes, CInt(bytes.count)), count > 0 {
            all += bytes[..<Int(count)]
        }
        return all
    }

    func receive(_ bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        unsafe tls_client_receive(client, bytes, bytes.count)
    }

    /// Whether the handshake is over.
    func handshake() throws -> Bool { try result(unsafe tls_client_handshake(client)) == 1 }

    func write(_ bytes: [UInt8]) throws { _ = try result(unsafe tls_client_write(client, bytes, CInt(bytes.count))) }

    /// Everything that can be read now.
    func read() throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 16_384)
        var all: [UInt8] = []
        while case let count = try result(unsafe tls_client_read(client, &bytes, CInt(bytes.count))), count > 0 {
            all += bytes[..<Int(count)]
        }
        return all
    }

    /// Whether the server said that it sends no more.
    private(set) var isClosed = false

    func close() { unsafe tls_client_close(client) }

    func renegotiate() -> Bool { unsafe tls_client_renegotiate(client) == 1 }

    func updateKeys() -> Bool { unsafe tls_client_update_keys(client) == 1 }

    /// The last alert of the server (RFC 8446 §6); -1 for none.
    var alert: CInt { unsafe tls_client_alert(client) }

    /// The protocol that the server chose.
    var chosenProtocol: String {
        var name: UnsafePointer<UInt8>?
        let count = unsafe tls_client_protocol(client, &name)
        return unsafe String(decoding: UnsafeBufferPointer(start: name, count: Int(count)), as: UTF8.self)
    }

    private func result(_ status: CInt) throws -> CInt {
        if status == -2 { isClosed = true }
        if status == -1 { throw Failure(alert: alert) }
        return status
    }
}

/// TLS for a client on a network.
final class TLSClientHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let client: TLSClient
    private var isEstablished = false
    /// What is sent once the handshake is over.
    private var waiting: [([UInt8], EventLoopPromise<Void>?)] = []

    init(_ client: TLSClient) { self.client = client }

    func channelActive(context: ChannelHandlerContext) {
        proceed(context)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        client.receive(unwrapInboundIn(data).readableBytesView)
        proceed(context)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        waiting.append((Array(unwrapOutboundIn(data).readableBytesView), promise))
        proceed(context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        for (_, promise) in waiting { promise?.fail(ChannelError.ioOnClosedChannel) }
        waiting = []
        context.fireChannelInactive()
    }

    private func proceed(_ context: ChannelHandlerContext) {
        var read: [UInt8] = []
        do {
            if !isEstablished { isEstablished = try client.handshake() }
            if isEstablished {
                for (bytes, promise) in waiting {
                    try client.write(bytes)
                    send(context, promise)
                }
                waiting = []
                read = try client.read()
            }
        } catch {
            context.fireErrorCaught(error)
        }
        send(context, nil)
        if !read.isEmpty { context.fireChannelRead(wrapInboundOut(ByteBuffer(bytes: read))) }
        if client.isClosed { context.close(promise: nil) }
    }

    private func send(_ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: client.takeOutput())), promise: promise)
    }
}
