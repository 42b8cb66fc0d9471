// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import Testing

@testable import Enrolment

@Suite struct JoinTokenTests {
    @Test(arguments: [
        ("web-*", "web-1", true), ("web-*", "web-", false), ("web-*", "web-1.example.com", false),
        ("web-*", "WEB-a_b-c", true), ("*.example.com", "a.example.com", true),
        ("*.example.com", "a.b.example.com", false),
        ("*", "x", true), ("*", "", false), ("*-*", "a-b", true), ("*-*", "a-b-c", true), ("web-1", "web-11", false),
        ("web-1", "web-1", true), ("a*a*a*a*a*a*a*a*b", String(repeating: "a", count: 60), false),
    ])
    func `a star stands for letters and digits, never for a dot`(pattern: String, name: String, matches: Bool) throws {
        #expect(try NamePattern(pattern).matches(name) == matches)
    }

    @Test(arguments: ["", "root", "a/b", "../x", "-x", ".x", "web 1", "x-cert", "é"])
    func `patterns for names that cannot be are refused`(pattern: String) {
        #expect(throws: AuthorityError.self) { try NamePattern(pattern) }
    }

    @Test(arguments: ["web.example.com", "dns:", "dns:a b", "ip:10.0.0.*", "ip:x", "uri:no", "email:x", "other:x"])
    func `alternative names that cannot be allowed are refused`(pattern: String) {
        #expect(throws: (any Error).self) { try AlternativeNamePattern(pattern) }
    }

    @Test func `alternative names are compared by their kind`() throws {
        let pattern = try AlternativeNamePattern("dns:{name}.example.com")
        #expect(pattern.matches(try .dnsName("web-1.example.com"), of: "web-1"))
        #expect(!pattern.matches(try .dnsName("web-2.example.com"), of: "web-1"))
        #expect(!pattern.matches(.email("web-1.example.com"), of: "web-1"))
        #expect(try AlternativeNamePattern("ip:10.0.0.7").matches(.ipAddress("10.0.0.7"), of: "x"))
        #expect(try !AlternativeNamePattern("ip:10.0.0.7").matches(.ipAddress("10.0.0.8"), of: "x"))
        #expect(try !AlternativeNamePattern("uri:spiffe://a.example/x").matches(.uri("spiffe://a.example/X"), of: "x"))
    }

    @Test func `a token is one line, and only that line is read`() throws {
        let secrets = TokenSecrets(key: Array(0..<32))
        let token = TokenText(
            identifier: "abc_-123", secret: secrets.secret(of: "abc_-123"), fingerprint: Array(1...32))
        #expect(TokenText(token.text) == token)
        #expect(secrets.isSecret(token.secret, of: "abc_-123"))
        #expect(!secrets.isSecret(token.secret, of: "abc_-124"))
        for text in [
            "", "a.b.c", token.text + " ", token.text.uppercased(), String(token.text.dropLast()), "x" + token.text,
        ] {
            #expect(TokenText(text).map { secrets.isSecret($0.secret, of: $0.identifier) } != true)
        }
    }

    @Test func `no part of a token begins with a hyphen`() {
        let secrets = TokenSecrets(key: Array(0..<32))
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<1_000 {
            let identifier = secrets.newToken(using: &generator)
            #expect(!identifier.hasPrefix("-") && !Base64URL.encode(secrets.secret(of: identifier)).hasPrefix("-"))
        }
    }

    @Test(arguments: ["A", "AA=", "AA==", "A+", "A/", "AB", "====", "A A", "AAAA\n"])
    func `base64url in another spelling is refused`(text: String) {
        #expect(Base64URL.decode(text) == nil)
    }
}
