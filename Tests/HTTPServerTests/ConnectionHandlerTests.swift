// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import NIOCore
import NIOEmbedded
import NIOPosix
import Synchronization
import Testing

@testable import HTTPServer

/// Answers every request by a closure.
struct TestHandler: HTTPHandler {
    var action: @Sendable (HTTPRequest) -> HTTPAnswer

    func answer(_ request: HTTPRequest) -> HTTPAnswer { action(request) }

    /// Says what was asked for.
    static let echo = TestHandler { request in
        .now(HTTPResponse(status: .ok, headers: ["X-Path": String(request.path)], body: request.body))
    }
}

/// A connection without a network, whose time passes when it is told to. It is closed with the value.
final class TestConnection {
    let channel = EmbeddedChannel()
    let shared: ServerContext

    init(_ handler: TestHandler = .echo, limits: HTTPLimits = HTTPLimits(), before: [any ChannelHandler] = []) throws {
        shared = ServerContext(
            limits: limits,
            handler: handler,
            now: { Date(timeIntervalSince1970: 784_111_777) },
            workers: NIOThreadPool(numberOfThreads: 1),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            connections: ConnectionRegistry(limit: 1)
        )
        _ = try channel.setOption(.allowRemoteHalfClosure, value: true).wait()
        try channel.pipeline.syncOperations.addHandlers(before)
        try channel.pipeline.syncOperations.addHandler(
            ConnectionHandler(shared, ConnectionPeer(address: "127.0.0.1:1")))
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    // A channel that is left open keeps its handlers, which keep it.
    deinit { _ = try? channel.finish(acceptAlreadyClosed: true) }

    func send(_ text: String) throws { try channel.writeInbound(ByteBuffer(string: text)) }

    func pass(_ time: Duration) { channel.embeddedEventLoop.advanceTime(by: TimeAmount(time)) }

    /// Everything that was sent since the last time.
    func received() throws -> String {
        var text = ""
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: buffer) }
        return text
    }

    /// The statuses of the answers since the last time.
    func statuses() throws -> [Int] {
        try received().split(separator: "HTTP/1.1 ").compactMap { Int($0.prefix(3)) }
    }

    var isOpen: Bool { channel.isActive }
}

@Suite struct ConnectionHandlerTests {
    private let get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"

    @Test func `an answer has what the server adds and nothing else`() throws {
        let connection = try TestConnection()
        try connection.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
        #expect(
            try connection.received()
                == "HTTP/1.1 200 OK\r\nX-Path: /a\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\nhi"
        )
        #expect(connection.isOpen)
    }

    @Test func `the handler's date goes before the server's`() throws {
        let connection = try TestConnection(
            TestHandler { _ in .now(HTTPResponse(status: .ok, headers: ["date": "mine"])) }
        )
        try connection.send(get)
        #expect(try connection.received() == "HTTP/1.1 200 OK\r\ndate: mine\r\nContent-Length: 0\r\n\r\n")
    }

    @Test func `HEAD has the length and not the body`() throws {
        let connection = try TestConnection(TestHandler { _ in .now(HTTPResponse(status: .ok, body: [1, 2, 3])) })
        try connection.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
        let text = try connection.received()
        #expect(text.hasSuffix("Content-Length: 3\r\n\r\n"))
    }

    @Test(arguments: [204, 304])
    func `some statuses have no body and no length`(_ code: Int) throws {
        let connection = try TestConnection(
            TestHandler { _ in .now(HTTPResponse(status: HTTPStatus(code), body: [65])) }
        )
        try connection.send(get + get)
        let text = try connection.received()
        #expect(!text.contains("Content-Length"))
        #expect(!text.contains("A"))
        #expect(text.split(separator: "HTTP/1.1 \(code)").count == 2)
    }

    @Test func `pipelined requests are answered in their order`() throws {
        let connection = try TestConnection()
        try connection.send((0..<50).map { "GET /\($0) HTTP/1.1\r\nHost: h\r\n\r\n" }.joined())
        let paths = try connection.received().split(separator: "\r\n").filter { $0.hasPrefix("X-Path") }
        #expect(paths.map { String($0.dropFirst(9)) } == (0..<50).map(String.init))
    }

    @Test func `a pipelined request waits until the one before it is answered`() throws {
        let responders = Mutex<[HTTPResponder]>([])
        let connection = try TestConnection(
            TestHandler { _ in .later { responder in responders.withLock { $0.append(responder) } } }
        )
        try connection.send(get + get)
        #expect(responders.withLock(\.count) == 1)
        responders.withLock { $0.first }?.answer(HTTPResponse(status: .ok))
        connection.channel.embeddedEventLoop.run()
        #expect(try connection.statuses() == [200])
        #expect(responders.withLock(\.count) == 2)
        // A second answer of the first responder is not taken for the second request's.
        responders.withLock { $0.first }?.answer(HTTPResponse(status: .created))
        connection.channel.embeddedEventLoop.run()
        #expect(try connection.statuses() == [])
        responders.withLock { $0.removeAll() }
        connection.channel.embeddedEventLoop.run()
        #expect(try connection.statuses() == [500])
    }

    @Test(arguments: [
        ("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "Connection: close"),
        ("GET /a HTTP/1.0\r\n\r\n", "Connection: close"),
        ("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "Connection: keep-alive"),
    ])
    func `the answer says what becomes of the connection`(_ text: String, _ expected: String) throws {
        let connection = try TestConnection()
        try connection.send(text)
        #expect(try connection.received().contains("\r\n\(expected)\r\n"))
    }

    @Test func `nothing is answered behind the last answer`() throws {
        let connection = try TestConnection()
        try connection.send("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + get)
        #expect(try connection.statuses() == [200])
        try connection.send(get)
        #expect(try connection.statuses() == [])
        connection.pass(.seconds(2))
        #expect(!connection.isOpen)
    }

    @Test(arguments: [("nonsense\r\n\r\n", 400), ("GET / HTTP/3.0\r\n\r\n", 505), ("\u{16}\u{3}\u{1}", 400)])
    func `what is not HTTP is answered once and ends the connection`(_ text: String, _ status: Int) throws {
        let connection = try TestConnection()
        try connection.send(text + get)
        let answer = try connection.received()
        #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
        #expect(answer.contains("Connection: close"))
        try connection.send(get)
        #expect(try connection.received() == "")
        connection.pass(.seconds(2))
        #expect(!connection.isOpen)
    }

    @Test func `a client that waits for it is told to go on`() throws {
        let connection = try TestConnection()
        try connection.send("POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        #expect(try connection.received() == "HTTP/1.1 100 Continue\r\n\r\n")
        try connection.send("ok")
        #expect(try connection.statuses() == [200])
    }

    @Test func `a client that waits with too long a body is told so instead`() throws {
        let connection = try TestConnection()
        try connection.send("POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n")
        #expect(try connection.statuses() == [413])
    }

    // MARK: Time

    @Test func `a head that comes too slowly is answered with 408`() throws {
        let connection = try TestConnection()
        for byte in "GET /a HTTP".utf8.dropLast() {
            try connection.send(String(UnicodeScalar(byte)))
            connection.pass(.milliseconds(900))
        }
        #expect(try connection.statuses() == [])
        connection.pass(.seconds(2))
        #expect(try connection.statuses() == [408])
        connection.pass(.seconds(2))
        #expect(!connection.isOpen)
    }

    @Test func `a body that comes too slowly is answered with 408`() throws {
        let connection = try TestConnection()
        try connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n")
        for _ in 0..<29 {
            try connection.send("x")
            connection.pass(.seconds(1))
        }
        #expect(try connection.statuses() == [])
        connection.pass(.seconds(2))
        #expect(try connection.statuses() == [408])
    }

    @Test func `a connection without a first request is closed without a word`() throws {
        let connection = try TestConnection()
        connection.pass(.seconds(9))
        #expect(connection.isOpen)
        connection.pass(.seconds(2))
        #expect(try connection.received() == "")
        #expect(!connection.isOpen)
    }

    @Test func `an idle connection is closed, and every request begins its time anew`() throws {
        let connection = try TestConnection()
        for _ in 0..<5 {
            try connection.send(get)
            connection.pass(.seconds(50))
            #expect(connection.isOpen)
        }
        connection.pass(.seconds(11))
        #expect(!connection.isOpen)
        #expect(try connection.statuses() == [200, 200, 200, 200, 200])
    }

    @Test func `a slow head after an idle time has its own limit`() throws {
        let connection = try TestConnection()
        try connection.send(get)
        connection.pass(.seconds(40))
        try connection.send("GET /b")
        connection.pass(.seconds(9))
        #expect(try connection.statuses() == [200])
        connection.pass(.seconds(2))
        #expect(try connection.statuses() == [408])
    }

    @Test func `a handler may take its time`() throws {
        let kept = Mutex<HTTPResponder?>(nil)
        let connection = try TestConnection(
            TestHandler { _ in .later { responder in kept.withLock { $0 = responder } } }
        )
        try connection.send(get)
        connection.pass(.seconds(600))
        #expect(connection.isOpen)
        kept.withLock { $0 }?.answer(HTTPResponse(status: .ok))
        connection.channel.embeddedEventLoop.run()
        #expect(try connection.statuses() == [200])
    }

    // MARK: Streams

    private func streaming() -> (TestHandler, @Sendable () -> HTTPBodyWriter?) {
        let kept = SharedWriter()
        let handler = TestHandler { _ in .now(HTTPResponse(status: .ok, stream: { kept.writer = $0 })) }
        return (handler, { kept.writer })
    }

    @Test func `a stream is sent in chunks until it is finished`() throws {
        let (handler, writer) = streaming()
        let connection = try TestConnection(handler)
        try connection.send(get)
        #expect(try connection.received().hasSuffix("Transfer-Encoding: chunked\r\n\r\n"))
        writer()?.write(Array("data: 1\n\n".utf8))
        writer()?.write([])
        connection.channel.embeddedEventLoop.run()
        #expect(try connection.received() == "9\r\ndata: 1\n\n\r\n")
        writer()?.finish()
        connection.channel.embeddedEventLoop.run()
        #expect(try connection.received() == "0\r\n\r\n")
        #expect(writer()?.write([1]) == false)
        try connection.send(get)
        #expect(try connection.statuses() == [200])
    }

    @Test func `HEAD begins no stream`() throws {
        let (handler, writer) = streaming()
        let connection = try TestConnection(handler)
        try connection.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(try connection.received().hasSuffix("Transfer-Encoding: chunked\r\n\r\n"))
        #expect(writer() == nil)
        try connection.send(get)
        #expect(writer() != nil)
    }

    @Test func `a stream to an old client ends with the connection`() throws {
        let (handler, writer) = streaming()
        let connection = try TestConnection(handler)
        try connection.send("GET / HTTP/1.0\r\n\r\n")
        #expect(try connection.received().hasSuffix("Connection: close\r\n\r\n"))
        writer()?.write([0x41])
        writer()?.finish()
        connection.channel.embeddedEventLoop.run()
        #expect(try connection.received() == "A")
        connection.pass(.seconds(2))
        #expect(!connection.isOpen)
    }

    @Test func `a stream's writer hears that the client has gone`() throws {
        let (handler, writer) = streaming()
        let connection = try TestConnection(handler)
        try connection.send(get)
        let isClosed = Mutex(false)
        writer()?.whenClosed { isClosed.withLock { $0 = true } }
        connection.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        connection.channel.embeddedEventLoop.run()
        let wasTold = isClosed.withLock { $0 }
        #expect(wasTold)
        #expect(writer()?.isOpen == false)
        #expect(writer()?.write([1]) == false)
    }

    @Test func `a client that reads too slowly is dropped`() throws {
        var limits = HTTPLimits()
        limits.streamBacklogBytes = 100
        let kept = SharedWriter()
        let handler = TestHandler { _ in .now(HTTPResponse(status: .ok, stream: { kept.writer = $0 })) }
        let connection = try TestConnection(handler, limits: limits)
        try connection.send(get)
        let writer = try #require(kept.writer)
        // The loop does not run in between, so that nothing leaves.
        #expect(writer.write(Array(repeating: 0, count: 60)))
        #expect(!writer.write(Array(repeating: 0, count: 60)))
        connection.channel.embeddedEventLoop.run()
        #expect(!connection.isOpen)
    }

    // MARK: Shutdown

    @Test func `an idle connection is closed at once`() throws {
        let connection = try TestConnection()
        try connection.send(get)
        connection.channel.pipeline.fireUserInboundEventTriggered(ConnectionEvent.shutDown)
        #expect(!connection.isOpen)
    }

    @Test func `a request in work is answered, and the connection ends`() throws {
        let kept = Mutex<HTTPResponder?>(nil)
        let connection = try TestConnection(
            TestHandler { _ in .later { responder in kept.withLock { $0 = responder } } }
        )
        try connection.send(get)
        connection.channel.pipeline.fireUserInboundEventTriggered(ConnectionEvent.shutDown)
        #expect(connection.isOpen)
        kept.withLock { $0 }?.answer(HTTPResponse(status: .ok))
        connection.channel.embeddedEventLoop.run()
        #expect(try connection.received().contains("Connection: close\r\n"))
        connection.pass(.seconds(2))
        #expect(!connection.isOpen)
    }
}

/// Keeps the writer that a handler was given.
final class SharedWriter: Sendable {
    private let kept = Mutex<HTTPBodyWriter?>(nil)

    var writer: HTTPBodyWriter? {
        get { kept.withLock { $0 } }
        set { kept.withLock { $0 = newValue } }
    }
}
