// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SystemSupport
import Testing

@testable import HTTPServer

@Suite struct HTTPRequestTests {
    @Test(arguments: [
        ("/", "/", nil, "header"), ("/a/b?c?d", "/a/b", "c?d", "header"), ("/a?", "/a", "", "header"),
        ("*", "", nil, "header"),
        ("http://other:80", "/", nil, "other:80"), ("HTTP://other/x?y", "/x", "y", "other"),
        ("https://other?y=/z", "/", "y=/z", "other"),
        ("//a/b", "//a/b", nil, "header"),
    ])
    func `path, query and host are found in the target`(
        _ target: String, _ path: String, _ query: String?, _ host: String
    ) {
        let request = HTTPRequest(method: .get, target: target, headers: ["Host": "header"], arrival: .now)
        if target != "*" { #expect(request.path == path) }
        #expect(request.query.map(String.init) == query)
        #expect(request.host == host)
    }
}

@Suite struct HTTPAuthorityTests {
    @Test(
        arguments: [
            ("localhost", "localhost", nil, false, true), ("A.LocalHost:80", "a.localhost", 80, false, true),
            ("evil.com:0", "evil.com", 0, false, false), ("127.0.0.2:1", "127.0.0.2", 1, true, true),
            ("[::1]", "::1", nil, true, true), ("[2001:DB8:0::1]:65535", "2001:db8::1", 65_535, true, false),
            ("[::ffff:192.0.2.1]:5", "192.0.2.1", 5, true, false), ("127.1", "127.1", nil, false, false),
        ] as [(String, String, Int?, Bool, Bool)]
    )
    func `a host is read`(_ text: String, _ host: String, _ port: Int?, _ isAddress: Bool, _ isLoopback: Bool) throws {
        let authority = try #require(HTTPAuthority(text))
        #expect(authority.host == host && authority.port == port)
        #expect(authority.isAddress == isAddress && authority.isLoopback == isLoopback)
        #expect(HTTPAuthority(authority.description) == authority)
    }

    @Test(arguments: [
        "", ":", ":80", "a:", "a:b", "a:65536", "a:000080", "a b", "a@b", "a/b", "[", "[]", "[::1", "[a]",
        "[127.0.0.1]", "::1",
        "[::1]x", "[::1]80", "é", "a\u{301}", "a\u{0}", "a:8\u{661}", "127.0.0.1\u{0}.evil.com", "[::1\u{0}x]",
    ])
    func `what is no host is none`(_ text: String) { #expect(HTTPAuthority(text) == nil) }
}

@Suite struct HTTPHeadersTests {
    @Test func `order, capitals and duplicates are kept`() {
        let headers: HTTPHeaders = ["B": "1", "a": "2", "b": "3"]
        #expect(headers.names == ["B", "a", "b"])
        #expect(headers.values("b") == ["1", "3"])
        #expect(headers["A"] == "2")
        #expect(headers["c"] == nil)
        #expect(headers.count("B") == 2)
    }

    @Test func `a value cannot end its line`() {
        var headers = HTTPHeaders()
        headers.append("X\r\nY", "a\r\nSet-Cookie: b\n\u{0}\u{7f}c")
        #expect(String(decoding: headers.wireBytes, as: UTF8.self) == "X  Y: a  Set-Cookie: b   c\r\n")
    }

    @Test(arguments: [
        ("close", true), ("Keep-Alive,  CLOSE", true), ("closed", false), ("", false), (" close\t", true),
    ])
    func `a word of a list is found`(_ value: String, _ expected: Bool) {
        #expect((["Connection": value] as HTTPHeaders).contains(token: "close", in: "connection") == expected)
    }
}

@Suite struct HTTPDateTests {
    @Test(arguments: [
        (0.0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_826_154.9, "Tue, 29 Feb 2000 12:09:14 GMT"), (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT"), (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (1e300, "Fri, 31 Dec 9999 23:59:59 GMT"), (-1e300, "Sat, 01 Jan 0000 00:00:00 GMT"),
    ])
    func `a moment has one form`(_ seconds: Double, _ text: String) {
        #expect(CivilTime(Date(timeIntervalSince1970: seconds)).http == text)
    }
}

@Suite struct PercentEncodingTests {
    @Test(arguments: [("", ""), ("a b/ü~", "a%20b%2F%C3%BC~"), ("+&=", "%2B%26%3D")])
    func `text goes there and back`(_ text: String, _ encoded: String) {
        #expect(PercentEncoding.encode(text) == encoded)
        #expect(PercentEncoding.decode(encoded[...]) == text)
    }

    @Test(arguments: ["%", "%1", "%g0", "%0g", "%ff", "%c3", "a%"])
    func `what is badly encoded is nothing`(_ text: String) {
        #expect(PercentEncoding.decode(text[...]) == nil)
    }
}

@Suite struct ConditionalRequestTests {
    private static let date = Date(timeIntervalSince1970: 1_700_000_000.5)

    @Test(
        arguments: [
            ([], false), (["If-None-Match: \"a\""], true), (["If-None-Match: W/\"a\""], true),
            (["If-None-Match: \"b\" , \"a\""], true), (["If-None-Match: \"b\"", "If-None-Match: \"a\""], true),
            (["If-None-Match: *"], true), (["If-None-Match: \"aa\""], false), (["If-None-Match: a"], false),
            (["If-None-Match: "], false), (["If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT"], true),
            (["If-Modified-Since: Tue, 14 Nov 2023 22:13:19 GMT"], false), (["If-Modified-Since: yesterday"], false),
            // The tag goes first.
            (["If-None-Match: \"b\"", "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT"], false),
        ] as [([String], Bool)])
    func `a client that has the response is told so`(_ fields: [String], _ expected: Bool) {
        var headers = HTTPHeaders()
        for field in fields {
            let parts = field.split(separator: ": ", maxSplits: 1, omittingEmptySubsequences: false)
            headers.append(String(parts[0]), String(parts[1]))
        }
        let request = HTTPRequest(method: .get, target: "/", headers: headers, arrival: .now)
        #expect(request.isCurrent(tag: "\"a\"", lastModified: Self.date) == expected)
    }
}

@Suite struct HTTPRouterTests {
    private func router() throws -> HTTPRouter {
        var router = HTTPRouter()
        let answer: @Sendable (String) -> HTTPRouter.Action = { name in
            { _, parameters in .now(HTTPResponse(status: .ok, text: "\(name) \(parameters["id"])")) }
        }
        try router.on(.get, "/", answer("root"))
        try router.on(.get, "/things/{id}", answer("thing"))
        try router.on(.delete, "/things/{id}", answer("delete"))
        try router.on(.get, "/things/fixed", answer("fixed"))
        try router.on(.post, "/things/{id}/parts", answer("parts"))
        try router.on(.get, "/rest/{id...}", answer("rest"))
        return router
    }

    private func answer(_ method: HTTPMethod, _ target: String) throws -> (HTTPStatus, String, String?) {
        let request = HTTPRequest(method: method, target: target, arrival: .now)
        let response = try #require(try router().answer(request).immediateResponse)
        return (response.status, String(decoding: response.bodyBytes ?? [], as: UTF8.self), response.headers["Allow"])
    }

    @Test(arguments: [
        (HTTPMethod.get, "/", "root "), (.head, "/?x", "root "), (.get, "/things/fixed", "fixed "),
        (.get, "/things/a%2Fb", "thing a/b"),
        (.delete, "/things/x", "delete x"), (.post, "/things/x/parts?y", "parts x"), (.head, "/things/7", "thing 7"),
        (.get, "/rest/a", "rest a"), (.get, "/rest/a//b%2Fc/?x", "rest a//b/c/"),
    ])
    func `a route is found`(_ method: HTTPMethod, _ target: String, _ expected: String) throws {
        let (status, body, _) = try answer(method, target)
        #expect(status == .ok)
        #expect(body == expected)
    }

    @Test(arguments: [
        "/things", "/things/", "/things/a/", "//things/a", "/things/%zz", "/Things/a", "/things/a/parts/b", "*",
        "/rest", "/rest/", "/rest/a/%zz",
    ])
    func `other paths are not found`(_ target: String) throws {
        #expect(try answer(.get, target).0 == .notFound)
    }

    @Test func `another method is told which are allowed`() throws {
        let (status, _, allowed) = try answer(.put, "/things/a")
        #expect(status == .methodNotAllowed)
        #expect(allowed == "DELETE, GET, HEAD")
    }

    @Test(arguments: ["things", "", "/{", "/a{b}", "/{}", "/{a}/{a}", "/{a{b}}", "/{a...}/b", "/{a...}/{b}"])
    func `a malformed template is refused`(_ path: String) {
        var router = HTTPRouter()
        let error = #expect(throws: HTTPServerError.self) {
            try router.on(.get, path) { _, _ in .now(HTTPResponse(status: .ok)) }
        }
        #expect(error?.code == .invalidRoute)
    }

    @Test(arguments: ["/", "/things/{id}"])
    func `a route is given once`(_ path: String) throws {
        var router = try router()
        #expect(throws: HTTPServerError.self) { try router.on(.get, path) { _, _ in .now(HTTPResponse(status: .ok)) } }
    }
}
