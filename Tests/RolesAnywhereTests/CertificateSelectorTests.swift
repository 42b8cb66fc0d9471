// SPDX-License-Identifier: Apache-2.0

import Certificates
import Testing

@testable import RolesAnywhere

struct CertificateSelectorTests {
    @Test func `pairs are read, blanks and all`() throws {
        let selector = try CertificateSelector(
            "  Key=x509Subject,Value=CN=web 1,O=Example Key=x509Issuer,Value=/O=Example/CN=Root  Key=x509Serial,Value=0a:FF "
        )
        #expect(selector.subject == (try DistinguishedName("CN=web 1,O=Example")))
        #expect(selector.issuer == (try DistinguishedName("CN=Root,O=Example")))
        #expect(selector.serialNumber == SerialNumber([0x0a, 0xff]))
        #expect(selector.fingerprint == nil)
    }

    @Test(arguments: [
        ("", "it is empty"), ("CN=web", "is not Key="), ("Key=x509Subject", "is not Key="),
        ("Key=x509Subject,Value=CN=a Key=x509Subject,Value=CN=b", "twice"), ("Key=x509Color,Value=red", "x509Color"),
        ("Key=x509Serial,Value=xyz", "hexadecimal"), ("Key=x509Serial,Value=", "hexadecimal"),
        ("Key=x509Fingerprint,Value=0102", "32"), ("Key=x509Subject,Value=nonsense", "x509Subject"),
    ])
    func `what is no selector is refused with its reason`(text: String, reason: String) throws {
        let error = try #require(throws: RolesAnywhereError.self) { try CertificateSelector(text) }
        #expect(error.code == .invalidArgument)
        #expect(error.message.contains(reason))
    }

    @Test(arguments: ["CN=EC.example", "cn = ec.example", "/CN=ec.example", "CN=\"ec.example\""])
    func `names are compared as names`(subject: String) throws {
        let certificate = try Certificate.certificates(in: Array(Fixtures.ecCertificate.utf8))[0]
        #expect(try CertificateSelector("Key=x509Subject,Value=\(subject)").matches(certificate))
        #expect(try !CertificateSelector("Key=x509Issuer,Value=\(subject)").matches(certificate))
    }

    @Test func `one is chosen by its fingerprint, and none of several without being told`() throws {
        let authority = try TestAuthority()
        let clients = try (0..<2).map { _ in try authority.client(key: PrivateKey(generating: .ecP256)) }
        let one = try CertificateSelector("Key=x509Fingerprint,Value=\(clients[1].fingerprint.uppercased())")
        #expect(try one.choose(from: clients + clients, in: "here", takesLatest: false) == clients[1])
        let any = CertificateSelector()
        let several = try #require(throws: RolesAnywhereError.self) {
            try any.choose(from: clients, in: "here", takesLatest: false)
        }
        #expect(several.message.hasPrefix("2 certificates in \"here\""))
        #expect(clients.contains(try any.choose(from: clients, in: "here", takesLatest: true)))
        #expect(throws: RolesAnywhereError.self) { try any.choose(from: [], in: "here", takesLatest: true) }
    }
}
