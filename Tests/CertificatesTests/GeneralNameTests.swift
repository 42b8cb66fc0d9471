// SPDX-License-Identifier: Apache-2.0

@testable import Certificates
import Testing

@Suite struct GeneralNameTests {
    @Test(arguments: ["example.com", "a", "web-1", "*.example.com", "xn--mller-kva.de", "1.example"])
    func `a DNS name is accepted`(text: String) throws {
        #expect(try GeneralName.dnsName(text) == .dns(text))
    }

    @Test(arguments: [
        "", "-a", "a-", "a..b", ".a", "a.", "a_b", "a b", "*", "a.*.b", "müller.de", "10.0.0.1", "a,URI:evil", "a\0b",
        String(repeating: "a", count: 64), String(repeating: "a.", count: 127) + "aa",
    ])
    func `what is not a DNS name is refused`(text: String) {
        #expect(throws: CertificateError.self) { try GeneralName.dnsName(text) }
    }

    /// Of RFC 3492 §7.1, and others.
    @Test(arguments: [
        "example.com", "xn--mller-kva.de", "a.XN--BCHER-KVA.example", "xn--ls8h", "xn--fiqs8s",
        "xn--ihqwcrb4cv8a8dqg056pqjye",
        "xn--n8jok5ay5dzabd5bym9f0cm5685rrjetr6pdxa", "xn--3b-ww4c5e180e575a65lsy2b", "xn--d9juau41awczczp",
    ])
    func `an internationalised label is Punycode`(text: String) throws {
        try GeneralName.dnsName(text).checkPunycode()
    }

    @Test(arguments: ["xn--99999999", "xn--0", "a.xn--99999999.de", "xn--a-9", "xn--999999b", "xn---99999"])
    func `what only begins like Punycode is refused`(text: String) {
        #expect(throws: CertificateError.self) { try GeneralName.dns(text).checkPunycode() }
    }

    @Test(arguments: [("10.0.0.1", 4), ("::1", 16), ("2001:db8::1", 16)])
    func `an IP address is accepted and printed as it was`(text: String, count: Int) throws {
        let name = try GeneralName.ipAddress(text)
        #expect(name.description == "IP:\(text)")
        guard case .ip(let octets) = name else { Issue.record("not an address"); return }
        #expect(octets.count == count)
    }

    @Test(arguments: ["", "10.0.0", "10.0.0.256", "::g", "host", "10.0.0.1/8", " 10.0.0.1"])
    func `what is not an IP address is refused`(text: String) {
        #expect(throws: CertificateError.self) { try GeneralName.ipAddress(text) }
    }

    @Test(arguments: ["spiffe://example.org/web", "urn:uuid:1", "https://a/b?c#d", "x:y"])
    func `a URI is accepted`(text: String) throws {
        #expect(try GeneralName.uniformResourceIdentifier(text) == .uri(text))
    }

    @Test(arguments: ["", "web", "/path", "spiffe://", "spiffe:///path", "1a:b", "a b:c", "ü:x", "x:", "://a"])
    func `what is not an absolute URI is refused`(text: String) {
        #expect(throws: CertificateError.self) { try GeneralName.uniformResourceIdentifier(text) }
    }

    @Test(arguments: ["", "a", "a@", "@b", "a@b@c", "a b@c", "a@b_c", ".a@b", "a..b@c", "<a@b>", "a@*.b"])
    func `what is not a mailbox is refused`(text: String) {
        #expect(throws: CertificateError.self) { try GeneralName.mailbox(text) }
    }

    @Test func `a mailbox is accepted`() throws {
        #expect(try GeneralName.mailbox("ops+pki@example.com") == .email("ops+pki@example.com"))
    }

    @Test(arguments: [
        "dns:", "dns", "host:a", "dns:*.a", "ip:10.0.0.1/33", "ip:10.0.0.1/8", "ip:10.0.0.0/x", "ip:a/8",
        "ip:10.0.0.0/8/8",
        "uri:http://a", "email:a@b@c",
    ])
    func `a malformed name constraint is refused`(text: String) {
        #expect(throws: CertificateError.self) { try NameConstraints.Subtree(text) }
    }

    @Test(arguments: [
        "dns:example.com", "dns:.example.com", "ip:10.0.0.0/8", "ip:2001:db8::/32", "ip:0.0.0.0/0", "ip:10.1.2.3",
        "uri:.example.com", "email:example.com", "email:a@example.com",
    ])
    func `a name constraint is accepted`(text: String) throws {
        _ = try NameConstraints.Subtree(text)
    }

    @Test(arguments: [
        "dns:example.com", "ip:10.0.0.0/8", "ip:2001:db8::/33", "ip:0.0.0.0/0", "ip:10.1.2.3/32", "uri:.example.com",
        "email:a@example.com",
    ])
    func `name constraints are read back as they were written`(text: String) throws {
        let written = try NameConstraints(permitted: [.init(text)], excluded: [.init("dns:bad"), .init(text)])
        let read = try #require(NameConstraints(derEncoded: written.derEncoded))
        #expect(read == written)
        #expect(read.permitted.map(\.description) == [text])
        #expect(read.excluded.map(\.description) == ["dns:bad", text])
    }

    @Test func `name constraints that are damaged are not read`() throws {
        let encoded = try NameConstraints(permitted: [.init("dns:example.com")]).derEncoded
        for count in encoded.indices { #expect(NameConstraints(derEncoded: Array(encoded.prefix(count))) == nil) }
        for index in encoded.indices {
            var damaged = encoded
            damaged[index] ^= 0x80
            _ = NameConstraints(derEncoded: damaged).map { ($0.permitted + $0.excluded).map(\.description) }
        }
    }
}
