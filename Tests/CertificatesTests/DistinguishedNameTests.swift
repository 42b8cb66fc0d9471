// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport
import Testing

@Suite struct DistinguishedNameTests {
    typealias Attribute = DistinguishedName.Attribute

    @Test func `the short names of attributes are meant in any case`() throws {
        let name = try DistinguishedName("cn=web-1,ou=Ops")
        #expect(name == (try DistinguishedName("CN=web-1,OU=Ops")))
        #expect(name.description == "CN=web-1,OU=Ops")
    }

    @Test(arguments: [
        ("CN=web-1", [["CN", "web-1"]]),
        ("CN=web-1,O=Acme", [["O", "Acme"], ["CN", "web-1"]]),
        (" CN = web-1 , O = Acme ", [["O", "Acme"], ["CN", "web-1"]]),
        ("CN=a\\,b,O=x\\=y", [["O", "x=y"], ["CN", "a,b"]]),
        ("CN=\"a, b + c\",O=x", [["O", "x"], ["CN", "a, b + c"]]),
        ("CN=M\\C3\\BCller", [["CN", "Müller"]]),
        ("CN=Müller,O=株式会社", [["O", "株式会社"], ["CN", "Müller"]]),
        ("CN=a\\ ", [["CN", "a "]]),
        ("C=DE,ST=Berlin,L=Berlin", [["L", "Berlin"], ["ST", "Berlin"], ["C", "DE"]]),
        ("DC=example,DC=com", [["DC", "com"], ["DC", "example"]]),
        ("2.5.4.3=by-number", [["CN", "by-number"]]),
        ("commonName=long", [["CN", "long"]]),
        ("/O=Acme/CN=web-1", [["O", "Acme"], ["CN", "web-1"]]),
        ("/O=a\\/b/CN=x", [["O", "a/b"], ["CN", "x"]]),
    ])
    func `the text form is read, most specific part first`(text: String, expected: [[String]]) throws {
        let name = try DistinguishedName(text)
        #expect(name.relativeNames.joined().map { [$0.type, $0.value] } == expected)
    }

    @Test func `parts joined by a plus sign are one set`() throws {
        let name = try DistinguishedName("CN=a+UID=7,O=x")
        #expect(name.relativeNames.map { Set($0.map(\.type)) } == [["O"], ["CN", "UID"]])
    }

    @Test(arguments: [
        ("web-1", "no \"=\""), ("=x", "no type"), ("CN=a,,O=b", "no \"=\""), ("CN=\"a", "not closed"),
        ("CN=a\\", "backslash"), ("CN=a\\4", "hexadecimal"), ("XX=a", "not a known attribute"), ("CN=", "empty"),
        ("C=Germany", "two letters"), ("CN=a\nb", "control character"), ("CN=#0403", "not supported"),
        ("/CN", "no \"=\""), ("CN=\\FF", "not UTF-8"),
    ])
    func `a malformed name is refused with its reason`(text: String, reason: String) {
        #expect {
            try DistinguishedName(text)
        } throws: { error in
            (error as? CertificateError)?.code == .invalidName && "\(error)".contains(reason)
        }
    }

    @Test(arguments: ["a", "ü", "株"])
    func `a common name has at most 64 characters, however many octets they take`(character: String) throws {
        let longest = String(repeating: character, count: 64)
        #expect(try DistinguishedName("CN=\(longest)").commonName == longest)
        #expect {
            try DistinguishedName("CN=\(longest)\(character)")
        } throws: { error in
            "\(error)".contains("65 characters")
        }
    }

    @Test(arguments: [
        "CN=web-1,O=Acme", "CN=a\\,b", "CN=Müller\\+Söhne,C=DE", "CN=a+UID=7,O=x", "CN=\\#", "/CN=#/O=#",
        "CN=\\#+UID=\\#", "/CN=#a=#/O=x=#",
    ])
    func `the text form of a name is read back to the same bytes`(text: String) throws {
        let name = try DistinguishedName(text)
        #expect(try DistinguishedName(name.description) == name)
    }

    @Test func `the empty name is empty`() throws {
        #expect(try DistinguishedName("").isEmpty)
        #expect(try DistinguishedName("").commonName == nil)
        #expect(try !DistinguishedName("CN=x").isEmpty)
    }

    @Test func `the common name is replaced in its place, or appended`() throws {
        let name = try DistinguishedName("UID=1+CN=old,O=Acme")
        let renamed = try name.replacingCommonName(with: "new")
        #expect(renamed.commonName == "new")
        #expect(renamed.relativeNames.count == 2)
        #expect(try DistinguishedName("O=Acme").replacingCommonName(with: "x") == DistinguishedName("CN=x,O=Acme"))
    }
}
