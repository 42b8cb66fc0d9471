// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Testing

@testable import RolesAnywhere

struct IdentityRulesTests {
    /// A moment at which every fixture is valid.
    private let date = Date(timeIntervalSince1970: 1_893_456_000)

    @Test(arguments: [
        Sample("RSA", Fixtures.rsaCertificate, Fixtures.rsaKey),
        Sample("EC", Fixtures.ecCertificate, Fixtures.ecKey),
    ])
    func `a certificate that keeps the rules passes`(sample: Sample) throws {
        let identity = try Identity(certificate: sample.text, key: sample.key)
        #expect(throws: Never.self) { try identity.check(at: date) }
    }

    @Test(arguments: [
        (Sample("SHA-1", Fixtures.sha1Certificate), "weaker than SHA-256"),
        (Sample("no key usage", Fixtures.certificateWithoutKeyUsage), "has no key usage"),
        (Sample("encipherment", Fixtures.certificateForEncipherment), "allows only keyEncipherment"),
        (Sample("CA", Fixtures.certificateOfCA), "is a CA's"),
        (Sample("no subject", Fixtures.certificateWithoutSubject), "empty subject"),
        (Sample("version 1", Fixtures.certificateOfVersion1), "version 1"),
        (Sample("Ed25519", Fixtures.ed25519Certificate, Fixtures.ed25519Key), "ED25519"),
    ])
    func `a certificate that breaks a rule is refused with the rule named`(sample: Sample, rule: String) throws {
        let identity = try Identity(certificate: sample.text, key: sample.key)
        let error = try #require(throws: RolesAnywhereError.self) { try identity.check(at: date) }
        #expect(error.code == .unusableIdentity)
        #expect(error.message.localizedLowercaseContains(rule))
    }

    @Test func `validity counts to the second`() throws {
        let key = try PrivateKey(generating: .ecP256)
        let identity = try Identity(key: key, certificates: [TestAuthority().client(key: key, years: 1)])
        let certificate = identity.certificate
        for good in [certificate.notBefore, certificate.notAfter] {
            #expect(throws: Never.self) { try identity.check(at: good) }
        }
        let early = try #require(throws: RolesAnywhereError.self) {
            try identity.check(at: certificate.notBefore.addingTimeInterval(-1))
        }
        #expect(early.message.contains("is not valid before 2026-01-01T03:04:05Z"))
        #expect(early.hint?.contains("clock") == true)
        let late = try #require(throws: RolesAnywhereError.self) {
            try identity.check(at: certificate.notAfter.addingTimeInterval(1))
        }
        #expect(late.message.contains("has expired: it was valid until 2027-01-02T03:04:05Z"))
    }

    @Test func `an intermediate that has expired is named`() throws {
        let intermediate = try TestAuthority().intermediate("Short Lived", years: 2)
        let key = try PrivateKey(generating: .ecP256)
        let client = try intermediate.client(key: key, years: 1)
        let identity = Identity(certificate: client, intermediates: [intermediate.certificate], key: key)
        let error = try #require(throws: RolesAnywhereError.self) {
            try identity.check(at: client.notBefore.addingTimeInterval(-10))
        }
        #expect(error.message.contains("the certificate \"CN=client.example\""))
        let stale = try TestAuthority().intermediate("Stale", years: 0.5)
        let other = Identity(certificate: client, intermediates: [stale.certificate], key: key)
        let second = try #require(throws: RolesAnywhereError.self) {
            try other.check(at: TestAuthority.now.addingTimeInterval(300 * 86_400))
        }
        #expect(second.message.contains("the intermediate certificate \"CN=Stale\" has expired"))
    }

    @Test func `a key that is not the certificate's is refused`() throws {
        let key = try PrivateKey(generating: .ecP256)
        let certificate = try TestAuthority().client(key: PrivateKey(generating: .ecP256))
        let identity = Identity(certificate: certificate, intermediates: [], key: key)
        let error = try #require(throws: RolesAnywhereError.self) { try identity.check(at: TestAuthority.now) }
        #expect(error.message.contains("is not for this private key"))
    }
}

extension String {
    fileprivate func localizedLowercaseContains(_ text: String) -> Bool { lowercased().contains(text.lowercased()) }
}
