// SPDX-License-Identifier: Apache-2.0

import CCurl
import Testing

@testable import RolesAnywhere

struct CurlTransportTests {
    private let transport = CurlTransport(
        trust: .system, connectTimeout: .seconds(60), timeout: .seconds(60), bodyLimit: 1000, userAgent: "test/1")

    private func request(
        _ port: Int, scheme: String = "http", method: String = "POST", body: String = "{}"
    ) throws -> HTTPRequest {
        HTTPRequest(
            method: method,
            url: try HTTPURL("\(scheme)://127.0.0.1:\(port)/a").appending(
                path: "/sessions", query: [HTTPURL.Parameter("x y", "1/2")]),
            headers: ["Content-Type": "application/json", "Host": "signed.example:1"], body: Array(body.utf8))
    }

    @Test func `a request is sent as it is, and the answer comes back whole`() throws {
        let server = try LoopbackServer(
            .answer("HTTP/1.1 201 Created\r\nX-Amzn-RequestId:  4d1f \r\nx-empty:\r\nContent-Length: 5\r\n\r\nhello"))
        defer { server.stop() }
        let response = try transport.send(request(server.port, body: #"{"a":1}"#))
        #expect(response.status == 201)
        #expect(response.headers["x-amzn-requestid"] == "4d1f")
        #expect(response.headers["X-Empty"] == "")
        #expect(response.body == Array("hello".utf8))
        #expect(response.timings.map { $0.total > .zero } == true)
        let sent = try #require(server.requests.first)
        #expect(sent.hasPrefix("POST /a/sessions?x%20y=1%2F2 HTTP/1.1\r\n"))
        #expect(sent.contains("\r\nHost: signed.example:1\r\n"))
        #expect(sent.contains("\r\nContent-Type: application/json\r\n"))
        #expect(sent.contains("\r\nUser-Agent: test/1\r\n"))
        #expect(sent.contains("\r\nContent-Length: 7\r\n"))
        #expect(!sent.contains("Expect"))
        #expect(sent.hasSuffix("\r\n\r\n{\"a\":1}"))
    }

    @Test(arguments: ["GET", "PUT"])
    func `other methods are sent by their names`(method: String) throws {
        let server = try LoopbackServer(.answer("HTTP/1.1 204 No Content\r\n\r\n"))
        defer { server.stop() }
        _ = try transport.send(request(server.port, method: method, body: method == "GET" ? "" : "x"))
        #expect(server.requests.first?.hasPrefix("\(method) /a/sessions?") == true)
    }

    @Test func `a large content is sent at once`() throws {
        let server = try LoopbackServer(.answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
        defer { server.stop() }
        let body = String(repeating: "x", count: 200_000)
        #expect(try transport.send(request(server.port, body: body)).status == 200)
        #expect(server.requests.first?.hasSuffix(body) == true)
    }

    @Test func `a redirect is an answer, not an order`() throws {
        let target = try LoopbackServer(.answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
        defer { target.stop() }
        let server = try LoopbackServer(
            .answer("HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:\(target.port)/\r\nContent-Length: 0\r\n\r\n"))
        defer { server.stop() }
        #expect(try transport.send(request(server.port)).status == 307)
        #expect(target.requests.isEmpty)
    }

    @Test func `only the last header counts after a provisional answer`() throws {
        let server = try LoopbackServer(
            .answer("HTTP/1.1 103 Hints\r\nX-A: 1\r\n\r\nHTTP/1.1 200 OK\r\nX-B: 2\r\nContent-Length: 0\r\n\r\n"))
        defer { server.stop() }
        let response = try transport.send(request(server.port))
        #expect(response.status == 200)
        #expect(response.headers["X-A"] == nil)
        #expect(response.headers["X-B"] == "2")
    }

    @Test(arguments: [
        ("Content-Length: 1001\r\n\r\n", 1001, ""),
        ("Connection: close\r\n\r\n", 100_000, ""),
        ("X-Long: ", 99_000, "\r\n\r\n"),
    ])
    func `an answer beyond the limit is given up`(start: String, count: Int, end: String) throws {
        let answer = start + String(repeating: "x", count: count) + end
        let server = try LoopbackServer(.answer("HTTP/1.1 200 OK\r\n" + answer))
        defer { server.stop() }
        let error = try #require(throws: RolesAnywhereError.self) { try transport.send(request(server.port)) }
        #expect(error.code == .malformedAnswer)
        #expect(error.message.contains("longer than"))
        #expect(!error.isTransient)
    }

    @Test func `an answer of exactly the limit is taken`() throws {
        let body = String(repeating: "x", count: 1000)
        let server = try LoopbackServer(.answer("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n\(body)"))
        defer { server.stop() }
        #expect(try transport.send(request(server.port)).body.count == 1000)
    }

    @Test func `a server that says nothing is left after the timeout`() throws {
        let server = try LoopbackServer(.silence)
        defer { server.stop() }
        var impatient = transport
        impatient.timeout = .milliseconds(50)
        let error = try #require(throws: RolesAnywhereError.self) { try impatient.send(request(server.port)) }
        #expect(error.code == .unreachable)
        #expect(error.isTransient)
        #expect(error.message.contains("127.0.0.1:\(server.port) took too long"))
    }

    @Test func `a TLS handshake without an answer is left after the time to connect`() throws {
        let server = try LoopbackServer(.silence)
        defer { server.stop() }
        var impatient = transport
        impatient.connectTimeout = .milliseconds(50)
        impatient.timeout = .seconds(3_600)
        let start = ContinuousClock.now
        let error = try #require(throws: RolesAnywhereError.self) {
            try impatient.send(request(server.port, scheme: "https"))
        }
        #expect(ContinuousClock.now - start < .seconds(600))
        #expect(error.message.contains("took too long"))
        #expect(error.isTransient)
    }

    @Test func `a refused connection and one that is cut are worth another attempt`() throws {
        for behaviour in [
            LoopbackServer.Behaviour.absence, .hangUp, .answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
        ] {
            let server = try LoopbackServer(behaviour)
            defer { server.stop() }
            let error = try #require(throws: RolesAnywhereError.self) { try transport.send(request(server.port)) }
            #expect(error.code == .unreachable)
            #expect(error.isTransient)
            #expect(error.message.contains("127.0.0.1:\(server.port)"))
        }
    }

    @Test func `what is not HTTP is no answer, and what is not TLS is no connection`() throws {
        let server = try LoopbackServer(.greeting("SSH-2.0-OpenSSH_9.2\r\n\r\n"))
        defer { server.stop() }
        for scheme in ["http", "https"] {
            let error = try #require(throws: RolesAnywhereError.self) {
                try transport.send(request(server.port, scheme: scheme))
            }
            #expect(!error.isTransient)
        }
    }

    @Test func `HTTP in clear goes to loopback only, and header fields have one line`() throws {
        let far = HTTPRequest(method: "GET", url: try HTTPURL("http://192.0.2.1/"))
        let error = try #require(throws: RolesAnywhereError.self) { try transport.send(far) }
        #expect(error.message.contains("192.0.2.1 is not a loopback address"))
        var split = try request(1)
        split.headers.add("X-A", "b\r\nX-C: d")
        #expect(throws: RolesAnywhereError.self) { try transport.send(split) }
    }

    @Test func `a proxy that refuses is named, with its status`() throws {
        let server = try LoopbackServer(.answer("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"))
        defer { server.stop() }
        var proxied = transport
        proxied.proxy = .server("http://user:hunter2@127.0.0.1:\(server.port)")
        let request = HTTPRequest(method: "POST", url: try Endpoint(region: "us-east-1").url)
        let error = try #require(throws: RolesAnywhereError.self) { try proxied.send(request) }
        #expect(server.requests.first?.hasPrefix("CONNECT rolesanywhere.us-east-1.amazonaws.com:443 ") == true)
        #expect(error.code == .unreachable)
        #expect(error.message.contains("status 407"))
        #expect(!error.message.contains("hunter2"))
    }

    @Test(arguments: [
        "foo://user:hunter2@proxy.example:1", "http://user:hunter2@proxy example:1", "http://user:hunter2@:x",
        "http://user:hunter2@[::1", "hunter2@", "http://user:hunter2@127.0.0.1:99999",
    ])
    func `the password of a proxy is never repeated`(proxy: String) throws {
        var proxied = transport
        proxied.proxy = .server(proxy)
        proxied.timeout = .milliseconds(300)
        let request = HTTPRequest(method: "POST", url: try Endpoint(region: "us-east-1").url)
        let error = try #require(throws: RolesAnywhereError.self) { try proxied.send(request) }
        #expect(!"\(error.message) \(error.hint ?? "")".contains("hunter2"))
    }

    @Test(arguments: [
        (CURLE_COULDNT_RESOLVE_HOST, "", RolesAnywhereError.Code.unreachable, true, "has no address"),
        (CURLE_COULDNT_CONNECT, "refused", .unreachable, true, "no connection to host.example: refused"),
        (CURLE_OPERATION_TIMEDOUT, "after 5 s", .unreachable, true, "took too long: after 5 s"),
        (CURLE_PEER_FAILED_VERIFICATION, "self-signed certificate", .untrustedServer, false, "is not trusted"),
        (
            CURLE_PEER_FAILED_VERIFICATION, "SSL: certificate subject name 'a' does not match target host name 'b'",
            .untrustedServer, false, "is for another name"
        ),
        (CURLE_SSL_CACERT_BADFILE, "error setting file", .unreadableFile, false, "cannot be used"),
        (CURLE_SSL_CONNECT_ERROR, "OpenSSL SSL_connect: SSL_ERROR_SYSCALL", .unreachable, true, "no TLS connection"),
        (CURLE_SSL_CONNECT_ERROR, "tlsv1 alert protocol version", .unreachable, false, "no TLS connection"),
        (CURLE_RECV_ERROR, "reset", .unreachable, true, "broke off"),
        (CURLE_OUT_OF_MEMORY, "", .unreachable, true, "libcurl error 27"),
    ])
    func `errors of libcurl are put in words that name the host`(
        code: CURLcode, text: String, kind: RolesAnywhereError.Code, isTransient: Bool, words: String
    ) {
        let failure = CurlFailure(code: code, text: text, proxyStatus: 0, isTooLong: false)
        let error = transport.explain(failure, host: "host.example")
        #expect(error.code == kind)
        #expect(error.isTransient == isTransient)
        #expect(error.message.contains(words))
        #expect(error.message.contains("host.example"))
    }

    @Test func `a library that is not there is named with its package`() throws {
        let error = try #require(throws: RolesAnywhereError.self) { try CurlLibrary(opening: "libno-such-thing.so.4") }
        #expect(error.code == .missingLibrary)
        #expect(error.message.contains("libno-such-thing.so.4"))
        #expect(error.hint?.contains("libcurl4") == true)
    }

    @Test func `another library is not taken for it`() {
        #expect(throws: RolesAnywhereError.self) { try CurlLibrary(opening: "libc.so.6") }
    }
}
