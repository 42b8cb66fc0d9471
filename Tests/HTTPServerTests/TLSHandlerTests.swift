// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import HTTPServer
import SystemSupport

/// A server's connection and a client over TLS, without a network: bytes move when they are told to.
private final class TLSTestConnection {
    /// Keeps what TLS tells the handlers behind it.
    private final class Witness: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        var failures: [TLSErrorCode] = []
        var inputEnds = 0

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            if let error = error as? TLSError { failures.append(error.code) }
            context.fireErrorCaught(error)
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case ChannelEvent.inputClosed = event { inputEnds += 1 }
            context.fireUserInboundEventTriggered(event)
        }
    }

    let server: TestConnection
    let client: TLSClient
    private let witness = Witness()

    var channel: EmbeddedChannel { server.channel }
    var failures: [TLSErrorCode] { witness.failures }
    var inputEnds: Int { witness.inputEnds }

    init(
        _ handler: TestHandler = .echo, identity: TLSIdentity? = nil,
        client: TLSClient = TLSClient(trusting: TLSFixture.server.certificate)
    ) throws {
        self.client = client
        server = try TestConnection(
            handler, before: [TLSHandler(identity ?? TLSFixture.server.identity()), witness])
    }

    /// A connection after the handshake.
    static func established(
        _ version: TLSClient.Version = .v1_3, _ handler: TestHandler = .echo
    ) throws -> TLSTestConnection {
        let client = TLSClient(trusting: TLSFixture.server.certificate, version...version)
        let connection = try TLSTestConnection(handler, client: client)
        #expect(try connection.handshake())
        return connection
    }

    /// The handshake as far as it comes.
    func handshake() throws -> Bool {
        var isOver = try client.handshake()
        while try exchange() { if !isOver { isOver = try client.handshake() } }
        return isOver
    }

    /// Moves everything that waits, in pieces. Returns whether something came back.
    @discardableResult func exchange(in pieces: Int = .max) throws -> Bool {
        try deliver(client.takeOutput(), in: pieces)
        return receive(in: pieces)
    }

    /// Gives the server bytes as they are.
    func deliver(_ bytes: some Collection<UInt8>, in pieces: Int = .max) throws {
        var rest = bytes[...]
        while !rest.isEmpty, channel.isActive {
            // The error of a handler is in the witness.
            _ = try? channel.writeInbound(ByteBuffer(bytes: rest.prefix(pieces)))
            rest = rest.dropFirst(pieces)
        }
    }

    private func receive(in pieces: Int) -> Bool {
        var received: [UInt8] = []
        while let buffer = try? channel.readOutbound(as: ByteBuffer.self) { received += buffer.readableBytesView }
        client.receive(received)
        return !received.isEmpty
    }

    /// Sends a text and returns what the server answers by then.
    func ask(_ text: String, in pieces: Int = .max) throws -> String {
        try client.write(Array(text.utf8))
        try exchange(in: pieces)
        return String(decoding: try client.read(), as: UTF8.self)
    }

    /// The end of the client's stream.
    func endStream() { channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
}

@Suite struct TLSHandlerTests {
    private let get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
    private let ok = "HTTP/1.1 200 OK\r\n"
    private static let versions = [TLSClient.Version.v1_2, .v1_3]

    // MARK: Handshakes and records

    @Test(arguments: versions, [1, 7, 1_460, .max])
    func `requests are answered however their bytes are cut`(_ version: TLSClient.Version, _ size: Int) throws {
        let client = TLSClient(trusting: TLSFixture.server.certificate, version...version)
        let connection = try TLSTestConnection(client: client)
        while try !client.handshake() { try connection.exchange(in: size) }
        for _ in 0..<3 { #expect(try connection.ask(get + get, in: size).split(separator: ok).count == 2) }
        #expect(connection.failures.isEmpty)
    }

    @Test(arguments: versions)
    func `a body of many records comes and goes whole`(_ version: TLSClient.Version) throws {
        let connection = try TLSTestConnection.established(version)
        let body = String((0..<200_000).map { _ in "abcdefghijklmnopqrstuvwxyz".randomElement() ?? "a" })
        for size in [4_096, 16_384] {
            let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
            #expect(try connection.ask(head + body, in: size).hasSuffix("\r\n\r\n" + body))
        }
    }

    @Test(arguments: [TLSClient.Version.v1_0, .v1_1])
    func `old versions are refused with an alert`(_ version: TLSClient.Version) throws {
        let client = TLSClient(trusting: TLSFixture.server.certificate, version...version)
        let connection = try TLSTestConnection(client: client)
        let failure = #expect(throws: TLSClient.Failure.self) { try connection.handshake() }
        #expect(failure?.alert == Alert.protocolVersion)
        #expect(connection.failures == [.refused])
        #expect(!connection.server.isOpen)
    }

    @Test(arguments: [("", ""), ("\u{8}http/1.1", "http/1.1"), ("\u{2}h2\u{8}http/1.1", "http/1.1"), ("\u{2}h2", "")])
    func `the protocol is HTTP/1.1 or none`(_ offered: String, _ chosen: String) throws {
        let client = TLSClient(trusting: TLSFixture.server.certificate, protocols: offered)
        let connection = try TLSTestConnection(client: client)
        #expect(try connection.handshake())
        #expect(client.chosenProtocol == chosen)
        #expect(try connection.ask(get).hasPrefix(ok))
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "\u{16}\u{3}\u{1}", "\0", String(repeating: "x", count: 70_000),
    ])
    func `what is not TLS ends the connection`(_ text: String) throws {
        let connection = try TLSTestConnection()
        try connection.deliver(Array(text.utf8))
        connection.endStream()
        #expect(connection.failures.count == 1)
        #expect(!connection.server.isOpen)
    }

    @Test func `random bytes at any place of a connection end it and nothing else`() throws {
        var generator = SplitMix(state: 11)
        for _ in 0..<300 {
            let connection = try TLSTestConnection()
            var isOver = (try? connection.client.handshake()) ?? false
            for _ in 0..<3 where connection.server.isOpen {
                var bytes = connection.client.takeOutput()
                if isOver { try connection.client.write(Array(get.utf8)) }
                bytes += connection.client.takeOutput()
                if !bytes.isEmpty, Int.random(in: 0..<3, using: &generator) == 0 {
                    bytes[Int.random(in: bytes.indices, using: &generator)] ^= UInt8.random(
                        in: 1...255, using: &generator)
                }
                try connection.deliver(bytes, in: Int.random(in: 1...200, using: &generator))
                _ = try? connection.exchange()
                isOver = (try? connection.client.handshake()) ?? false
            }
            connection.endStream()
            #expect(!connection.server.isOpen)
        }
    }

    @Test(arguments: [
        // Longer than a record may be, of a kind that there is not, and shorter than its own check.
        ([0x17, 0x03, 0x03, 0x48, 0x01], 0x4801, Alert.recordOverflow),
        ([0x17, 0x03, 0x03, 0xff, 0xff], 0xffff, Alert.recordOverflow),
        ([0x63, 0x03, 0x03, 0x00, 0x20], 0x20, Alert.unexpectedMessage),
        ([0x17, 0x03, 0x03, 0x00, 0x40], 0x40, Alert.badRecord),
        ([0x17, 0x03, 0x03, 0x00, 0x01], 0x01, Alert.badRecord),
    ])
    func `a bad record ends the connection with an alert`(_ head: [UInt8], _ length: Int, _ alert: CInt) throws {
        let connection = try TLSTestConnection.established()
        try connection.deliver(head + [UInt8](repeating: 7, count: length))
        try connection.exchange()
        #expect(throws: TLSClient.Failure(alert: alert)) { try connection.client.read() }
        #expect(connection.failures == [.refused])
        #expect(!connection.server.isOpen)
    }

    @Test(arguments: versions)
    func `a record that was changed on the way ends the connection with an alert`(
        _ version: TLSClient.Version
    ) throws {
        let connection = try TLSTestConnection.established(version)
        #expect(try connection.ask(get).hasPrefix(ok))
        try connection.client.write(Array(get.utf8))
        var record = connection.client.takeOutput()
        record[record.count - 1] ^= 1
        try connection.deliver(record)
        try connection.exchange()
        #expect(throws: TLSClient.Failure(alert: Alert.badRecord)) { try connection.client.read() }
        #expect(connection.failures == [.refused])
        #expect(!connection.server.isOpen)
    }

    // MARK: Ends

    @Test(arguments: versions)
    func `a client that sends close_notify is answered, and with close_notify`(_ version: TLSClient.Version) throws {
        let connection = try TLSTestConnection.established(version)
        try connection.client.write(Array(get.utf8))
        connection.client.close()
        try connection.exchange()
        #expect(String(decoding: try connection.client.read(), as: UTF8.self).hasPrefix(ok))
        #expect(connection.client.isClosed)
        #expect(connection.inputEnds == 1)
        #expect(!connection.server.isOpen)
        #expect(connection.failures.isEmpty)
    }

    @Test func `what comes after close_notify is ignored, and the end of the stream is no second end`() throws {
        let responders = Mutex<[HTTPResponder]>([])
        let connection = try TLSTestConnection.established(
            .v1_3, TestHandler { _ in .later { responder in responders.withLock { $0.append(responder) } } })
        try connection.client.write(Array(get.utf8))
        connection.client.close()
        try connection.exchange()
        #expect(connection.server.isOpen)
        for _ in 0..<100 { try connection.deliver([UInt8](repeating: 0x17, count: 16_384)) }
        connection.endStream()
        #expect(connection.inputEnds == 1)
        responders.withLock { $0 }.forEach { $0.answer(HTTPResponse(status: .ok)) }
        connection.channel.embeddedEventLoop.run()
        try connection.exchange()
        #expect(String(decoding: try connection.client.read(), as: UTF8.self).hasPrefix(ok))
        #expect(connection.failures.isEmpty)
    }

    @Test(arguments: versions)
    func `a stream that ends anywhere without close_notify is an error`(_ version: TLSClient.Version) throws {
        // In the handshake, between records, and in the middle of one.
        for part in [0.0, 0.5, 0.999] {
            let client = TLSClient(trusting: TLSFixture.server.certificate, version...version)
            let connection = try TLSTestConnection(client: client)
            _ = try client.handshake()
            let hello = client.takeOutput()
            try connection.deliver(hello.prefix(Int(Double(hello.count) * part)))
            connection.endStream()
            #expect(connection.failures == [.truncated])
            #expect(!connection.server.isOpen)
        }
        for left in [0, 1, 10] {
            let connection = try TLSTestConnection.established(version)
            try connection.client.write(Array(get.utf8.prefix(12)))
            try connection.deliver(connection.client.takeOutput().dropLast(left))
            connection.endStream()
            #expect(connection.failures == [.truncated])
            #expect(!connection.server.isOpen)
        }
    }

    @Test func `a connection that breaks is an error once`() throws {
        let connection = try TLSTestConnection.established()
        connection.channel.pipeline.fireChannelInactive()
        connection.channel.pipeline.fireChannelInactive()
        #expect(connection.failures == [.truncated])
    }

    @Test func `a server that closes sends close_notify`() throws {
        let connection = try TLSTestConnection.established()
        #expect(try connection.ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").hasPrefix(ok))
        #expect(connection.client.isClosed)
        #expect(connection.failures.isEmpty)
    }

    // MARK: Limits

    @Test(arguments: [0, 1, 300])
    func `a handshake has the time of a head`(_ sent: Int) throws {
        let connection = try TLSTestConnection()
        _ = try connection.client.handshake()
        let hello = connection.client.takeOutput()
        for byte in hello.prefix(sent) {
            try connection.deliver([byte])
            connection.server.pass(.milliseconds(30))
        }
        #expect(connection.server.isOpen)
        connection.server.pass(HTTPLimits().headTime - .milliseconds(30 * min(sent, hello.count)))
        #expect(!connection.server.isOpen)
        #expect(connection.failures.isEmpty)
    }

    @Test func `renegotiation is refused and the connection goes on`() throws {
        let connection = try TLSTestConnection.established(.v1_2)
        #expect(connection.client.renegotiate())
        #expect(try !connection.client.handshake())
        try connection.exchange()
        #expect(throws: TLSClient.Failure(alert: Alert.noRenegotiation)) { try connection.client.handshake() }
        #expect(connection.server.isOpen)
        #expect(connection.failures.isEmpty)
    }

    @Test func `new keys are made when a client asks for them`() throws {
        let connection = try TLSTestConnection.established()
        for _ in 0..<50 {
            #expect(connection.client.updateKeys())
            #expect(try connection.ask(get).hasPrefix(ok))
        }
        #expect(connection.failures.isEmpty)
    }

    @Test func `a client that asks for new keys and reads nothing is disconnected`() throws {
        let connection = try TLSTestConnection.established()
        connection.channel.isWritable = false
        var asked = 0
        while connection.server.isOpen, asked < 2_000 {
            #expect(connection.client.updateKeys())
            try connection.deliver(connection.client.takeOutput())
            asked += 1
        }
        #expect(connection.failures == [.flooded])
        #expect(asked < 2_000)
    }

    @Test func `a write is done when its bytes have gone, and fails before the handshake`() throws {
        let connection = try TLSTestConnection.established()
        let channel = connection.channel
        let promise = channel.eventLoop.makePromise(of: Void.self)
        let isDone = Mutex(false)
        promise.futureResult.whenSuccess { isDone.withLock { $0 = true } }
        let context = try channel.pipeline.syncOperations.context(handlerType: ConnectionHandler.self)
        context.write(NIOAny(ByteBuffer(string: "x")), promise: promise)
        #expect(!isDone.withLock { $0 })
        context.flush()
        #expect(isDone.withLock { $0 })

        let fresh = try TLSTestConnection()
        let early = try fresh.channel.pipeline.syncOperations.context(handlerType: ConnectionHandler.self)
        let refused = fresh.channel.eventLoop.makePromise(of: Void.self)
        early.writeAndFlush(NIOAny(ByteBuffer(string: "x")), promise: refused)
        #expect(throws: TLSError.self) { try refused.futureResult.wait() }
    }

    // MARK: Client certificates

    private func chain(
        of identity: TLSFixture?, _ version: TLSClient.Version, roots: String = TLSFixture.clients.certificate
    ) throws -> (seen: [[UInt8]]?, connection: TLSTestConnection) {
        let seen = Mutex<[[UInt8]]?>(nil)
        let handler = TestHandler { request in
            seen.withLock { $0 = request.clientCertificates }
            return .now(HTTPResponse(status: .ok))
        }
        let client = TLSClient(
            trusting: TLSFixture.server.certificate, version...version, identity: identity)
        let connection = try TLSTestConnection(
            handler, identity: TLSFixture.server.identity(clientRoots: roots), client: client)
        if (try? connection.handshake()) == true { _ = try? connection.ask(get) }
        return (seen.withLock { $0 }, connection)
    }

    @Test(arguments: versions)
    func `a client's certificate is known to the handler with its chain`(_ version: TLSClient.Version) throws {
        let expected = [TLSFixture.client.certificateDER, TLSFixture.clients.certificateDER]
        #expect(try chain(of: .client, version).seen == expected)
        // The root itself is no less a certificate.
        #expect(try chain(of: .clients, version).seen == [TLSFixture.clients.certificateDER])
    }

    @Test(arguments: versions)
    func `a client without a certificate is served as one without`(_ version: TLSClient.Version) throws {
        #expect(try chain(of: nil, version).seen == [])
        // The server does not ask, so the client does not show it.
        #expect(try chain(of: .client, version, roots: "").seen == [])
    }

    @Test(arguments: versions)
    func `a client's certificate from elsewhere is refused with an alert`(_ version: TLSClient.Version) throws {
        let (seen, connection) = try chain(of: .server, version)
        #expect(seen == nil)
        #expect(connection.client.alert == Alert.unknownAuthority)
        #expect(connection.failures == [.refused])
        #expect(!connection.server.isOpen)
    }

    // MARK: Reload

    @Test func `a new certificate is for new connections, and the old ones go on`() throws {
        let identity = try TLSFixture.server.identity()
        let old = try TLSTestConnection(identity: identity)
        #expect(try old.handshake())
        identity.replace(with: try TLSFixture.clients.identity())
        #expect(try old.ask(get).hasPrefix(ok))
        #expect(throws: TLSClient.Failure.self) { try TLSTestConnection(identity: identity).handshake() }
        let new = try TLSTestConnection(
            identity: identity, client: TLSClient(trusting: TLSFixture.clients.certificate))
        #expect(try new.handshake())
        #expect(try new.ask(get).hasPrefix(ok))
    }
}

/// Alerts by their number (RFC 8446 §6, RFC 5246 §7.2.2).
private enum Alert {
    static let unexpectedMessage: CInt = 10
    static let badRecord: CInt = 20
    static let recordOverflow: CInt = 22
    static let unknownAuthority: CInt = 48
    static let protocolVersion: CInt = 70
    static let noRenegotiation: CInt = 100
}
