// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import HTTPServer
import SystemSupport

@Suite struct RequestParserTests {
    private let small = {
        var limits = HTTPLimits()
        limits.requestLineBytes = 64
        limits.headBytes = 256
        limits.headerCount = 4
        limits.bodyBytes = 16
        return limits
    }()

    private func requests(_ pieces: [String]) throws -> [(request: HTTPRequest, keepsAlive: Bool)] {
        try requests(pieces.map { Array($0.utf8) }, limits: HTTPLimits())
    }

    private func requests(_ pieces: [[UInt8]], limits: HTTPLimits) throws -> [(request: HTTPRequest, keepsAlive: Bool)]
    {
        var parser = RequestParser(limits: limits)
        var requests: [(HTTPRequest, Bool)] = []
        for piece in pieces {
            parser.append(piece)
            while case .complete(let request) = try parser.next() { requests.append((request, parser.keepsAlive)) }
        }
        return requests
    }

    @Test func `a request is read as it stands`() throws {
        let text =
            "POST /a%20b?c=d&c=%zz HTTP/1.1\r\nHost: h\r\nX-One:  a  b\t\r\nx-one:\r\nContent-Length: 3\r\n\r\nxyz"
        let (request, keepsAlive) = try #require(try requests([text]).first)
        #expect(request.method == .post)
        #expect(request.target == "/a%20b?c=d&c=%zz")
        #expect(request.headers.names == ["Host", "X-One", "x-one", "Content-Length"])
        #expect(request.headers.values("X-ONE") == ["a  b", ""])
        #expect(request.body == Array("xyz".utf8))
        #expect(keepsAlive)
    }

    @Test func `bytes that are not UTF-8 are kept in a value`() throws {
        let head = Array("GET / HTTP/1.1\r\nHost: h\r\nX: ".utf8) + [0xff, 0xfe] + Array("\r\n\r\n".utf8)
        let (request, _) = try #require(try requests([head], limits: HTTPLimits()).first)
        #expect(request.headers.valueBytes("x") == [[0xff, 0xfe]])
    }

    @Test(arguments: 1...9)
    func `it does not matter how the bytes are cut`(_ size: Int) throws {
        let text =
            "\r\nGET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "3;ext=\"x\"\r\nabc\r\n0a\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nPUT /3 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
            + "HEAD /4 HTTP/1.0\r\n\r\n"
        let bytes = Array(text.utf8)
        let pieces = stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min($0 + size, bytes.count)]) }
        let requests = try requests(pieces, limits: HTTPLimits())
        #expect(requests.map(\.request.target) == ["/1", "/2", "/3", "/4"])
        #expect(
            requests.map { String(decoding: $0.request.body, as: UTF8.self) } == ["", "abc0123456789", "hello", ""]
        )
        #expect(requests.map(\.keepsAlive) == [true, true, true, false])
    }

    @Test(arguments: [
        ("HTTP/1.1\r\nHost: h\r\nConnection: close", false), ("HTTP/1.1\r\nHost: h\r\nConnection: x, Close ", false),
        ("HTTP/1.1\r\nHost: h\r\nConnection: closed", true), ("HTTP/1.0", false),
        ("HTTP/1.0\r\nConnection: keep-alive", true),
        ("HTTP/1.9\r\nHost: h", true),
    ])
    func `the connection stays open as its version and headers say`(_ head: String, _ expected: Bool) throws {
        #expect(try requests(["GET / \(head)\r\n\r\n"]).first?.keepsAlive == expected)
    }

    @Test(arguments: [
        (400, "GET\r\n\r\n"), (400, "GET /\r\n\r\n"), (400, "GET  HTTP/1.1\r\n\r\n"), (400, " GET / HTTP/1.1\r\n\r\n"),
        (400, "GET / HTTP/1.1 \r\n\r\n"), (400, "GET / /b HTTP/1.1\r\n\r\n"), (400, "GET / HTTP/11\r\n\r\n"),
        (400, "GET / http/1.1\r\n\r\n"), (400, "G\u{0}T / HTTP/1.1\r\n\r\n"), (400, "GET /\u{1} HTTP/1.1\r\n\r\n"),
        (400, "GET /é HTTP/1.1\r\n\r\n"), (400, "GET path HTTP/1.1\r\n\r\n"), (400, "GET * HTTP/1.1\r\n\r\n"),
        (400, "GET ftp://h/ HTTP/1.1\r\n\r\n"), (400, "GET http:// HTTP/1.1\r\n\r\n"), (400, "{\"a\":1}"),
        (400, "\u{16}\u{3}\u{1}"),
        (501, "CONNECT /h HTTP/1.1\r\n\r\n"), (501, "TRACE / HTTP/1.1\r\n\r\n"), (501, "get / HTTP/1.1\r\n\r\n"),
        (505, "GET / HTTP/2.0\r\n\r\n"), (505, "GET / HTTP/0.9\r\n\r\n"), (400, "GET / RTSP/1.0\r\n\r\n"),
        (501, "FOO / HTTP/1.1\r\n\r\n"),
        (400, "\nGET / HTTP/1.1\r\n\r\n"), (400, "\r\rGET / HTTP/1.1\r\n\r\n"), (505, "PRI * HTTP/2.0\r\n\r\n"),
        (400, "GET / HTTP/1.1\n\n"), (400, "GET / HTTP/1.1\r\nHost: h\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\n\r\n"), (400, "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost : h\r\n\r\n"), (400, "GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n"), (400, "GET / HTTP/1.1\r\n: h\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost\r\n\r\n"), (400, "GET / HTTP/1.1\r\nHo(st: h\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\u{0}b\r\n\r\n"), (400, "GET / HTTP/1.1\r\nHost: a\u{7f}b\r\n\r\n"),
        (400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
        (400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\n"),
        (400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\n"),
        (400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n"),
        (400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x1\r\n\r\n"),
        (400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n"),
        (400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ١\r\n\r\n"),
        (413, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 17\r\n\r\n"),
        (413, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n"),
        (400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"),
        (400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (501, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        (501, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n"),
        (501, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (417, "POST / HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\n"),
        (414, "GET /\(String(repeating: "a", count: 64)) HTTP/1.1\r\n\r\n"),
        (414, "GET /\(String(repeating: "a", count: 64))"),
        (431, "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n"),
        (431, "GET / HTTP/1.1\r\nHost: h\r\nA: \(String(repeating: "a", count: 256))"),
        (431, String(repeating: "\r\n", count: 200)),
    ])
    func `what is not a request is refused with its status`(_ status: Int, _ text: String) {
        let refusal = #expect(throws: RequestRefusal.self) { try requests([Array(text.utf8)], limits: small) }
        #expect(refusal?.code.code == status, "\(refusal?.message ?? "")")
        // Byte by byte it ends in the same way.
        let bytewise = #expect(throws: RequestRefusal.self) { try requests(text.utf8.map { [$0] }, limits: small) }
        #expect(bytewise?.code.code == status, "\(bytewise?.message ?? "")")
    }

    @Test(arguments: [
        (400, "x\r\n"), (400, "\r\n"), (400, "-1\r\n"), (400, "1\n"), (400, "1\r\nab\r\n"), (400, "1 \u{1}\r\n"),
        (400, ";x\r\n"),
        (400, "1\r\na\n\n0\r\n\r\n"), (413, "11\r\n"), (413, "fffffffffffffff\r\n"), (400, "ffffffffffffffff\r\n"),
        (413, "8\r\n01234567\r\n9\r\n"), (400, "0\r\nno trailer\r\n\r\n"), (400, String(repeating: "0", count: 300)),
        (431, "0\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\n\r\n"), (400, "0\r\n folded: x\r\n\r\n"),
        (400, "0\r\nA: b\r\n folded: x\r\n\r\n"),
        (400, "0\r\nA: b\n\r\n"), (400, "0\n\r\n"), (400, "3;e\nabc\r\n0\r\n\r\n"),
    ])
    func `a malformed chunk is refused with its status`(_ status: Int, _ chunks: String) {
        let text = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
        let refusal = #expect(throws: RequestRefusal.self) { try requests([Array(text.utf8)], limits: small) }
        #expect(refusal?.code.code == status, "\(refusal?.message ?? "")")
        let bytewise = #expect(throws: RequestRefusal.self) { try requests(text.utf8.map { [$0] }, limits: small) }
        #expect(bytewise?.code.code == status, "\(bytewise?.message ?? "")")
    }

    @Test func `random bytes end in a request, a refusal or a wait`() throws {
        var generator = SplitMix(state: 42)
        let alphabet = Array(
            "GET POST / HTTP/1.1\r\n\r\n:: Host Content-Length: 5 Transfer-Encoding: chunked\r\n0\r\n\t\u{0}\u{ff}".utf8
        )
        for _ in 0..<20_000 {
            let count = Int.random(in: 1...200, using: &generator)
            let bytes = (0..<count).map { _ in alphabet.randomElement(using: &generator) ?? 0 }
            _ = try? requests([Array("GET / HTTP/1.1\r\n".utf8), bytes], limits: small)
            _ = try? requests([bytes], limits: small)
        }
    }

    @Test func `a client that waits before its body is noticed once`() throws {
        var parser = RequestParser(limits: HTTPLimits())
        parser.append(Array("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n".utf8))
        guard case .expectsContinue = try parser.next() else {
            Issue.record("the client was left waiting")
            return
        }
        guard case .incomplete = try parser.next() else {
            Issue.record("the client was answered twice")
            return
        }
        parser.append(Array("ab".utf8))
        guard case .complete(let request) = try parser.next() else {
            Issue.record("the body was not read")
            return
        }
        #expect(request.body == Array("ab".utf8))
    }

    @Test(arguments: ["GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nContent-Length: 2\r\n"])
    func `a request that asks for another protocol is one like others`(_ start: String) throws {
        let body = start.contains("Length") ? "ab" : ""
        let first = start + "Host: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + body
        let found = try requests([first + first, first])
        #expect(found.map { String(decoding: $0.request.body, as: UTF8.self) } == [body, body, body])
    }

    @Test func `a body of line ends is read, and nothing of the next request with it`() throws {
        let body = String(repeating: "\n", count: 1_000)
        let chunked =
            "POST /1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n\(body)\r\n0\r\nA: b\r\nC: d\r\n\r\n"
        let found = try requests([chunked + "\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"])
        #expect(found.map(\.request.target) == ["/1", "/2"])
        #expect(found.first?.request.body == Array(body.utf8))
    }

    @Test(arguments: ["a", "a \t", "a\t"])
    func `a value has no blanks around it`(_ value: String) throws {
        #expect(
            try requests(["GET / HTTP/1.1\r\nHost: h\r\nX: \t\(value)\r\n\r\n"]).first?.request.headers.values("x") == [
                "a"
            ]
        )
    }
}

extension HTTPHeaders {
    /// The names of the fields in order, with their case.
    var names: [String] { positions.map { text($0.name) } }
}

/// A generator whose numbers are the same in every run.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}
