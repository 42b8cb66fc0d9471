// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport
import Testing

@testable import RolesAnywhere

/// A CA for one test, which issues what the test asks for.
struct TestAuthority {
    let certificate: Certificate
    let key: PrivateKey

    /// A moment at which every certificate made here is valid.
    static let now = Date(timeIntervalSince1970: 1_767_323_045)

    private init(certificate: Certificate, key: PrivateKey) {
        self.certificate = certificate
        self.key = key
    }

    /// A root.
    init(_ name: String = "Test Root") throws {
        key = try PrivateKey(generating: .ecP256)
        certificate = try Self.parameters(name, key.publicKey, isCA: true).selfSigned(by: key)
    }

    /// A CA under this one; of the given key when there is one.
    func intermediate(_ name: String, key given: PrivateKey? = nil, years: Double = 10) throws -> TestAuthority {
        let key = try given ?? PrivateKey(generating: .ecP256)
        let parameters = try Self.parameters(name, key.publicKey, isCA: true, years: years)
        return TestAuthority(certificate: try parameters.signed(by: self.key, issuer: certificate), key: key)
    }

    /// A certificate for a workload.
    func client(_ name: String = "client.example", key: PrivateKey, years: Double = 10) throws -> Certificate {
        try Self.parameters(name, key.publicKey, isCA: false, years: years).signed(by: self.key, issuer: certificate)
    }

    private static func parameters(
        _ name: String, _ key: PublicKey, isCA: Bool, years: Double = 10
    ) throws -> CertificateParameters {
        var generator = SystemRandomNumberGenerator()
        let extensions =
            isCA
            ? "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\n"
            : "basicConstraints = CA:FALSE\nkeyUsage = critical, digitalSignature\n"
        return CertificateParameters(
            serialNumber: .random(using: &generator), subject: try DistinguishedName("CN=\(name)"), publicKey: key,
            notBefore: now.addingTimeInterval(-86_400), notAfter: now.addingTimeInterval(years * 365 * 86_400),
            template: try CertificateTemplate(reading: Array("[ v3 ]\n\(extensions)".utf8), name: "test"))
    }
}

/// A text with a name to stand for it where arguments of tests are shown.
struct Sample: CustomTestStringConvertible {
    let name: String
    let text: String
    let key: String

    init(_ name: String, _ text: String, _ key: String = Fixtures.ecKey) {
        (self.name, self.text, self.key) = (name, text, key)
    }

    var testDescription: String { name }
}

extension Identity {
    /// An identity with a P-256 key and one intermediate certificate.
    static func example() throws -> Identity {
        let intermediate = try TestAuthority().intermediate("Test Intermediate")
        let key = try PrivateKey(generating: .ecP256)
        return try Identity(key: key, certificates: [intermediate.client(key: key), intermediate.certificate])
    }

    /// An identity from fixtures.
    init(certificate: String, key: String) throws {
        try self.init(certificates: Array(certificate.utf8), privateKey: SecretBytes(key.utf8))
    }
}

extension SessionRequest {
    static let trustAnchor = "arn:aws:rolesanywhere:us-east-1:123456789012:alias/trust-anchor/My Anchor"
    static let profile = "arn:aws:rolesanywhere:us-east-1:123456789012:profile/0f5dc9ff-0001"
    static let role = "arn:aws:iam::123456789012:role/service/App+Test@one=1"

    /// A request from texts.
    static func example(
        trustAnchor: String = trustAnchor, profile: String = profile, role: String = role, durationSeconds: Int? = nil,
        roleSessionName: String? = nil, instanceProperties: [String: String] = [:]
    ) throws -> SessionRequest {
        try SessionRequest(
            trustAnchorARN: trustAnchor, profileARN: profile, roleARN: role, durationSeconds: durationSeconds,
            roleSessionName: roleSessionName, instanceProperties: instanceProperties)
    }
}
