// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NIOCore
import Synchronization
import Testing

@testable import HTTPServer
import SystemSupport

@Suite struct HTTPServerTests {
    private let get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
    private let last = "GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

    private func withServer(
        _ handler: TestHandler = .echo, limits: HTTPLimits = .patient, identity: TLSIdentity? = nil,
        _ body: (HTTPServer) async throws -> Void
    ) async throws {
        var configuration = HTTPServer.Configuration(now: { .now })
        configuration.limits = limits
        configuration.eventLoops = 1
        configuration.workers = 1
        let server = try await HTTPServer.start(
            [HTTPListener(identity: identity)], configuration: configuration, handler: handler)
        do {
            try await body(server)
        } catch {
            await server.shutDown(within: .zero)
            throw error
        }
        await server.shutDown(within: .zero)
    }

    private func statuses(_ text: String) -> [Int] {
        text.split(separator: "HTTP/1.1 ").compactMap { Int($0.prefix(3)) }
    }

    @Test func `the system chooses a port that is then known`() async throws {
        try await withServer { server in
            #expect((1...65_535).contains(server.listeners[0].port))
            #expect(server.listeners[0].origin == "http://127.0.0.1:\(server.listeners[0].port)")
        }
    }

    @Test func `requests that are cut and pipelined are answered over a socket`() async throws {
        try await withServer { server in
            let client = try await RawClient.connect(to: server)
            for piece in [
                get, "POST /b HTTP/1.1\r\nHo", "st: h\r\nContent-Length: 4\r\n\r\nbo", "dy", get + get + last,
            ] {
                try await client.send(piece)
            }
            let text = try await client.text()
            #expect(statuses(text) == [200, 200, 200, 200, 200])
            #expect(text.hasSuffix("\r\nX-Path: /last\r\n") == false)
            #expect(text.contains("\r\n\r\nbodyHTTP/1.1 200 OK\r\n"))
        }
    }

    @Test func `the remote address is the client's`() async throws {
        let seen = Mutex("")
        let handler = TestHandler { request in
            seen.withLock { $0 = request.remoteAddress }
            return .now(HTTPResponse(status: .ok))
        }
        try await withServer(handler) { server in
            let client = try await RawClient.connect(to: server)
            try await client.send(last)
            _ = try await client.text()
            let address = seen.withLock { $0 }
            #expect(address.hasPrefix("127.0.0.1:"))
        }
    }

    @Test func `a body in excess is refused while it is still arriving`() async throws {
        var limits = HTTPLimits.patient
        limits.bodyBytes = 1_000
        try await withServer(limits: limits) { server in
            let client = try await RawClient.connect(to: server)
            try await client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<20 { try? await client.send("64\r\n\(String(repeating: "x", count: 100))\r\n") }
            #expect(statuses(try await client.text()) == [413])
        }
    }

    @Test func `work leaves the event loop and its answers keep their order`() async throws {
        let handler = TestHandler { request in
            request.path == "/slow"
                ? .work { HTTPResponse(status: .created) } : .now(HTTPResponse(status: .ok))
        }
        try await withServer(handler) { server in
            let client = try await RawClient.connect(to: server)
            let slow = "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n"
            try await client.send(slow + get + slow + last)
            #expect(statuses(try await client.text()) == [201, 200, 201, 200])
        }
    }

    @Test func `an answer larger than every buffer arrives whole`() async throws {
        let handler = TestHandler { _ in .now(HTTPResponse(status: .ok, body: Array(repeating: 0x61, count: 3_000_000)))
        }
        try await withServer(handler) { server in
            let client = try await RawClient.connect(to: server)
            try await client.send(get + get + last)
            let text = try await client.text()
            #expect(statuses(text) == [200, 200, 200])
            #expect(text.utf8.count { $0 == 0x61 } > 9_000_000 - 1)
        }
    }

    @Test func `many connections at once are answered`() async throws {
        try await withServer { server in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<200 {
                    group.addTask {
                        let client = try await RawClient.connect(to: server)
                        for _ in 0..<5 { try await client.send(get) }
                        try await client.send(last)
                        return statuses(try await client.text()).count { $0 == 200 }
                    }
                }
                for try await count in group { #expect(count == 6) }
            }
        }
    }

    @Test func `one connection too many is told so`() async throws {
        var limits = HTTPLimits.patient
        limits.connections = 2
        try await withServer(limits: limits) { server in
            let first = try await RawClient.connect(to: server)
            let second = try await RawClient.connect(to: server)
            // Both are in when both were answered.
            for client in [first, second] {
                try await client.send(get)
                try await client.waitForAnswer()
            }
            #expect(server.connectionCount == 2)
            let third = try await RawClient.connect(to: server)
            #expect(statuses(try await third.text()) == [503])
            try await first.send(last)
            #expect(statuses(try await first.text()) == [200, 200])
        }
    }

    @Test func `a client that closes its side is answered first`() async throws {
        try await withServer { server in
            let client = try await RawClient.connect(to: server)
            try await client.send(get + last)
            #expect(statuses(try await client.text()) == [200, 200])
        }
    }

    @Test func `hostile bytes leave it answering`() async throws {
        try await withServer { server in
            var generator = SplitMix(state: 7)
            for _ in 0..<200 {
                let client = try await RawClient.connect(to: server)
                let bytes = (0..<Int.random(in: 1...300, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
                try? await client.send("POST /x HTTP/1.1\r\nHost: h\r\n" + String(decoding: bytes, as: UTF8.self))
                try? await client.close()
            }
            let client = try await RawClient.connect(to: server)
            try await client.send(last)
            #expect(statuses(try await client.text()) == [200])
        }
    }

    // MARK: Shutdown

    @Test func `shutdown finishes requests in work and takes no more`() async throws {
        let responders = Mutex<[HTTPResponder]>([])
        let (started, announce) = AsyncStream.makeStream(of: Void.self)
        let handler = TestHandler { _ in
            .later { responder in
                responders.withLock { $0.append(responder) }
                announce.yield()
            }
        }
        try await withServer(handler) { server in
            let busy = try await RawClient.connect(to: server)
            let idle = try await RawClient.connect(to: server)
            try await busy.send(get)
            for await _ in started { break }
            async let shutdown: Void = server.shutDown(within: .seconds(60))
            #expect(try await idle.text() == "")
            await #expect(throws: (any Error).self) { try await RawClient.connect(to: server) }
            responders.withLock { $0 }.forEach { $0.answer(HTTPResponse(status: .ok)) }
            let text = try await busy.text()
            #expect(statuses(text) == [200])
            #expect(text.contains("Connection: close\r\n"))
            await shutdown
            #expect(server.connectionCount == 0)
        }
    }

    @Test func `shutdown does not wait beyond its bound`() async throws {
        let kept = Mutex<HTTPResponder?>(nil)
        let (started, announce) = AsyncStream.makeStream(of: Void.self)
        let handler = TestHandler { _ in
            .later { responder in
                kept.withLock { $0 = responder }
                announce.yield()
            }
        }
        try await withServer(handler) { server in
            let client = try await RawClient.connect(to: server)
            try await client.send(get)
            for await _ in started { break }
            await server.shutDown(within: .milliseconds(10))
            #expect(try await client.text() == "")
            // An answer that comes too late goes nowhere.
            kept.withLock { $0 }?.answer(HTTPResponse(status: .ok))
        }
    }

    @Test func `shutdown ends streams`() async throws {
        let handler = TestHandler { _ in .now(HTTPResponse(status: .ok, stream: { $0.write(Array("tick".utf8)) })) }
        try await withServer(handler) { server in
            let client = try await RawClient.connect(to: server)
            try await client.send(get)
            try await client.waitForAnswer()
            await server.shutDown(within: .seconds(60))
            #expect(try await client.text().hasSuffix("4\r\ntick\r\n0\r\n\r\n"))
        }
    }

    // MARK: TLS

    @Test(arguments: [TLSClient.Version.v1_2, .v1_3])
    func `it speaks TLS`(_ version: TLSClient.Version) async throws {
        try await withServer(identity: TLSFixture.server.identity()) { server in
            #expect(server.listeners[0].origin.hasPrefix("https://"))
            let client = try await RawClient.connect(
                to: server, trusting: TLSFixture.server.certificate, tls: version...version)
            try await client.send(get + last)
            #expect(statuses(try await client.text()) == [200, 200])
        }
    }

    @Test func `it speaks no TLS that is out of date`() async throws {
        try await withServer(identity: TLSFixture.server.identity()) { server in
            let client = try await RawClient.connect(
                to: server, trusting: TLSFixture.server.certificate, tls: .v1_0 ... .v1_1)
            await #expect(throws: (any Error).self) {
                try await client.send(last)
                _ = try await client.text()
            }
        }
    }

    @Test func `plain HTTP on its TLS port ends the connection`() async throws {
        try await withServer(identity: TLSFixture.server.identity()) { server in
            let client = try await RawClient.connect(to: server)
            try await client.send(last)
            #expect(!(try await client.text()).contains("200"))
        }
    }

    // MARK: Addresses

    @Test(arguments: [("localhost", 0), ("300.0.0.1", 0), ("", 0), ("127.0.0.1", 65_536), ("127.0.0.1", -1)])
    func `an address that is none is refused`(_ address: String, _ port: Int) async {
        let error = await #expect(throws: HTTPServerError.self) {
            try await HTTPServer.start(
                [HTTPListener(address: address, port: port)],
                configuration: HTTPServer.Configuration(now: { .now }),
                handler: TestHandler.echo
            )
        }
        #expect(error?.code == .invalidAddress)
    }

    @Test func `a port that is taken is refused with a hint`() async throws {
        try await withServer { server in
            let error = await #expect(throws: HTTPServerError.self) {
                try await HTTPServer.start(
                    [HTTPListener(port: server.listeners[0].port)],
                    configuration: HTTPServer.Configuration(now: { .now }),
                    handler: TestHandler.echo
                )
            }
            #expect(error?.code == .addressUnavailable)
            #expect(error?.message.hasSuffix(": address already in use") == true)
            #expect(error?.hint != nil)
        }
    }

    @Test(arguments: [
        ("127.0.0.1", true), ("127.8.8.8", true), ("::1", true), ("0.0.0.0", false), ("::", false), ("10.0.0.1", false),
        ("x", false),
    ])
    func `loopback is known`(_ address: String, _ expected: Bool) {
        #expect(HTTPListener(address: address).isLoopback == expected)
    }
}
