// SPDX-License-Identifier: Apache-2.0

import HTTPServer
import Testing

@testable import Lab

/// W12: whom the lab answers.
@Suite struct LabGuardTests {
    private func admits(
        _ host: String?, origin: [String] = [], at local: String? = "127.0.0.1:9912", isSecure: Bool = false,
        hosts: Set<String> = []
    ) throws -> Bool {
        var headers = HTTPHeaders()
        if let host { headers.append("Host", host) }
        for origin in origin { headers.append("Origin", origin) }
        let address = try local.map { try #require(HTTPAuthority($0)) }
        let request = HTTPRequest(
            method: .post, target: "/trustanchors", headers: headers, localAddress: address, isSecure: isSecure,
            arrival: .now)
        return LabGuard(hosts: hosts).refusal(of: request) == nil
    }

    @Test(arguments: [
        "127.0.0.1:9912", "localhost:9912", "LOCALHOST:9912", "lab.localhost:9912", "[::1]:9912", "127.9.9.9:9912",
        "[0:0:0:0:0:0:0:1]:9912", "[::ffff:127.0.0.1]:9912",
    ])
    func `W12: its own names, with its port`(_ host: String) throws { #expect(try admits(host)) }

    @Test(arguments: [
        nil, "", "evil.com:9912", "evil.com", "127.0.0.1", "127.0.0.1:1", "127.0.0.1:80", "localhost", "localhost:",
        "localhost.evil.com:9912", "127.0.0.1.evil.com:9912", "xlocalhost:9912", "localhost.:9912",
        "127.0.0.1:9912@evil.com", "evil.com@127.0.0.1:9912", "192.0.2.1:9912", "0.0.0.0:9912", "[::]:9912", "[::1",
        "[localhost]:9912", "[127.0.0.1]:9912", "::1:9912", "127.0.0.1:99120", "127.0.0.1:+9912",
        "127.0.0.1:9912,evil.com",
        "127.1:9912", "2130706433:9912", "0x7f.0.0.1:9912", "evil.com\u{301}:9912", "127.0.0.1\u{301}:9912",
    ])
    func `W12: no other name`(_ host: String?) throws { #expect(try !admits(host)) }

    @Test func `W12: an address that it listens on, and no other`() throws {
        #expect(try admits("192.0.2.1:9912", at: "192.0.2.1:9912"))
        #expect(try admits("[2001:db8::1]:9912", at: "[2001:db8:0::1]:9912"))
        #expect(try !admits("192.0.2.2:9912", at: "192.0.2.1:9912"))
        #expect(try !admits("lab:9912", at: "192.0.2.1:9912"))
        #expect(try admits("localhost", at: "127.0.0.1:443", isSecure: true))
        #expect(try admits("localhost", at: "127.0.0.1:80"))
        #expect(try !admits("localhost", at: "127.0.0.1:80", isSecure: true))
    }

    @Test func `W12: a name that was allowed`() throws {
        #expect(try admits("lab:1", hosts: ["lab"]))
        #expect(try admits("LAB", hosts: ["lab"]))
        #expect(try admits("lab:8080", hosts: ["lab:8080"]))
        #expect(try !admits("lab:8081", hosts: ["lab:8080"]))
        #expect(try !admits("xlab:8080", hosts: ["lab:8080"]))
    }

    @Test func `W12: a request over no socket is for this machine`() throws {
        #expect(try admits("localhost:7", at: nil))
        #expect(try !admits("evil.com", at: nil))
        #expect(try !admits(nil, at: nil))
    }

    @Test func `W12: its own origin`() throws {
        #expect(try admits("127.0.0.1:9912", origin: ["http://127.0.0.1:9912"]))
        #expect(try admits("localhost:9912", origin: ["http://localhost:9912"]))
        #expect(try admits("localhost", origin: ["http://localhost"], at: "127.0.0.1:80"))
        #expect(try admits("[::1]:9912", origin: ["https://[::1]:9912"], isSecure: true))
        #expect(try admits("lab:80", origin: ["http://lab"], hosts: ["lab"]))
    }

    @Test(arguments: [
        "", "null", "http://evil.com", "http://evil://127.0.0.1:9912", "evil://127.0.0.1:9912",
        "https://127.0.0.1:9912",
        "http://127.0.0.1", "http://127.0.0.1:80", "http://127.0.0.1:99", "http://localhost:9912",
        "http://x127.0.0.1:9912",
        "http://127.0.0.1:9912/", "http://evil.com#http://127.0.0.1:9912", "http://evil@127.0.0.1:9912",
        "http://127.0.0.1:9912 http://evil.com", " http://127.0.0.1:9912", "HTTP://127.0.0.1:9912", "127.0.0.1:9912",
    ])
    func `W12: no other origin, compared whole`(_ origin: String) throws {
        #expect(try !admits("127.0.0.1:9912", origin: [origin]))
        #expect(try !admits("127.0.0.1:9912", origin: ["http://127.0.0.1:9912", origin]))
    }

    @Test(arguments: [
        ("GET", "/"), ("POST", "/"), ("POST", "/sessions"), ("GET", "/trustanchors"), ("GET", "/lab/state"),
        ("GET", "/lab/log"), ("GET", "/lab/events"), ("POST", "/lab/trust-anchors"), ("GET", "/none"), ("OPTIONS", "/"),
    ])
    func `W12: every route looks`(_ method: String, _ target: String) throws {
        let lab = try FixtureLab()
        for headers: HTTPHeaders in [["Host": "evil.com"], ["Host": "lab.test", "Origin": "http://evil.com"], [:]] {
            let request = HTTPRequest(
                method: try #require(HTTPMethod(rawValue: method)), target: target, headers: headers, arrival: .now)
            let response = try #require(lab.service.answer(request).immediateResponse)
            #expect(response.status == .forbidden)
        }
        #expect(lab.service.traces.isEmpty)
    }

    @Test func `W12: a random administrator is nobody's`() {
        let pair = Administrator.random { (0..<$0).map { UInt8(truncatingIfNeeded: $0 * 7) } }
        #expect(pair.accessKeyIdentifier.hasPrefix("AKIA") && pair.accessKeyIdentifier.utf8.count == 20)
        #expect(pair.secretAccessKey.utf8.count == 40)
        var generator = SystemRandomNumberGenerator()
        let pairs = (0..<100).map { _ in
            Administrator.random { (0..<$0).map { _ in UInt8.random(in: 0...255, using: &generator) } }
        }
        #expect(Set(pairs).count == 100 && !pairs.contains(.documented))
    }
}
