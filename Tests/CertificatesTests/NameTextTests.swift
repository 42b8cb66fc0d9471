// SPDX-License-Identifier: Apache-2.0

import SystemSupport
import Testing

@testable import Certificates

@Suite struct NameTextTests {
    @Test(arguments: [
        "web-1", "CN", "Müller", "Žižek", "Иванов", "ООО Ромашка", "Ελλάδα", "Հայաստան", "東京サーバ1", "NTTデータ", "한국",
        "web-1 (Иванов)", "O’Neill", "№ 5", "🙂", "αριθμός-x",
    ])
    func `names of one script in each word pass`(text: String) { #expect(NameText.objection(to: text) == nil) }

    @Test(arguments: [
        "аdmin", "admіn", "αdmin", "ОpenAI", "асе", "ΑΒΕ", "web.соm", "հost", "ᎪᏢᏢ", "ꓮꓑꓑ", "a\u{200b}b", "a\u{200d}b",
        "a\u{202e}b", "a\u{2066}b", "a\u{feff}b", "a\u{ad}b", "a\u{34f}b", "a\u{fe0f}", "a\u{3164}b", "a\u{115f}b",
        "a\u{a0}b",
        "a\u{2003}b", "a\u{2028}b", "a\nb", "a\u{7f}", "a\u{9b}", "ａ", "𝐚", "Ⓐ", "\u{212a}", "a\u{2800}b", "a\u{e000}",
        "a\u{e0041}", "evil。com",
    ])
    func `names that can be taken for others do not`(text: String) { #expect(NameText.objection(to: text) != nil) }
}

@Suite struct NameConstraintMatchingTests {
    private func constraints(_ permitted: [String], _ excluded: [String] = []) throws -> NameConstraints {
        try NameConstraints(permitted: permitted.map { try .init($0) }, excluded: excluded.map { try .init($0) })
    }

    @Test(
        arguments: [
            ("dns:example.com", .dns("a.example.com"), true), ("dns:example.com", .dns("EXAMPLE.com."), true),
            ("dns:example.com", .dns("notexample.com"), false), ("dns:example.com", .dns("*.example.com"), true),
            ("ip:10.0.0.0/8", .ip([10, 1, 2, 3]), true), ("ip:10.0.0.0/8", .ip([11, 1, 2, 3]), false),
            ("ip:10.0.0.0/8", .ip([UInt8](repeating: 10, count: 16)), false),
            ("email:example.com", .email("a@example.com"), true),
            ("email:example.com", .email("a@b.example.com"), false),
            ("email:.example.com", .email("a@b.example.com"), true),
            ("uri:example.com", .uri("https://example.com:8/x"), true),
            ("uri:example.com", .uri("https://evil@example.com/"), true),
            ("uri:example.com", .uri("https://example.com@evil.com/"), false),
            ("uri:example.com", .uri("urn:x"), false),
        ] as [(String, GeneralName, Bool)]
    )
    func `a subtree holds what RFC 5280 says`(subtree: String, name: GeneralName, holds: Bool) throws {
        #expect(try NameConstraints.Subtree(subtree).contains(name) == holds)
    }

    @Test(arguments: [
        ("http://10.1.1.1/x", "uri:bad.example"), ("http://[::1]/", "uri:bad.example"),
        ("http://%62ad.example/", "uri:bad.example"), ("http://bad.example./", "uri:bad.example"),
        ("http://x.bad.example./", "uri:.bad.example"),
        ("urn:x:y", "uri:bad.example"),
    ])
    func `a URI that may be in an excluded subtree is refused`(uri: String, subtree: String) throws {
        #expect(try constraints([], [subtree]).objection(to: .uri(uri)) != nil)
        #expect(try constraints([], [subtree]).objection(to: .uri("http://good.example/")) == nil)
    }

    @Test(arguments: [
        ("ip:10.0.0.0/8", "::ffff:10.1.2.3", true), ("ip:10.0.0.0/8", "::ffff:11.1.2.3", false),
        ("ip:::ffff:10.0.0.0/104", "10.1.2.3", true), ("ip:10.0.0.0/8", "2001:db8::1", false),
    ])
    func `an address is excluded in either family`(subtree: String, address: String, isRefused: Bool) throws {
        let objection = try constraints([], [subtree]).objection(to: GeneralName.ipAddress(address))
        #expect((objection != nil) == isRefused)
    }

    @Test(arguments: ["dns:*.x.com", "uri:*.x.com", "email:*.x.com", "email:a*.x.com", "uri:.*.x.com"])
    func `no constraint has a wildcard`(text: String) {
        let error = #expect(throws: CertificateError.self) { try NameConstraints.Subtree(text) }
        #expect(error?.code == .invalidName)
    }

    @Test func `W13: a closed constraint says something about every kind`() throws {
        let (closed, shut) = try constraints(["dns:example.com"]).closed()
        #expect(shut == ["IP addresses", "URIs", "email addresses"])
        #expect(Set((closed.permitted + closed.excluded).compactMap(\.kind)) == [.dns, .ip, .uri, .email])
        #expect(closed.excluded.map(\.description) == ["ip:0.0.0.0/0", "ip:::/0"])
        #expect(try constraints([], ["dns:example.com"]).closed().shut.isEmpty)
        let read = NameConstraints(derEncoded: closed.derEncoded)
        #expect(read == closed)
    }

    @Test func `W13: constraints on directory names alone leave hosts free`() throws {
        let name = DistinguishedName(derEncoded: [0x30, 0x00])
        let subtree = NameConstraints.Subtree(DER.constructed(4), name.derEncoded)
        #expect(NameConstraints(permitted: [subtree]).objection(to: .dns("a.b")) == nil)
    }

    @Test(arguments: [
        ("*.example.com", true), ("*.evil.example.com", true), ("*.com", true), ("*.example.org", false),
        ("evil.example.com", true), ("other.example.com", false),
    ])
    func `F13: a wildcard touches an excluded host`(name: String, isRefused: Bool) throws {
        let objection = try constraints([], ["dns:evil.example.com"]).objection(to: .dns(name))
        #expect((objection != nil) == isRefused)
    }
}
