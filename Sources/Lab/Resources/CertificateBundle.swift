// SPDX-License-Identifier: Apache-2.0

package import Certificates
import SystemSupport

/// The CA certificates of a trust anchor, with the rules that IAM Roles Anywhere puts on them.
///
/// Source: IAM Roles Anywhere User Guide, "Trust model", "Quotas".
package struct CertificateBundle: Hashable, Sendable {
    /// How many characters of PEM the service takes.
    static let lengthLimit = 204_800

    /// One CA certificate, or two while one replaces the other.
    package let certificates: [Certificate]

    /// The certificates in PEM, as they were given.
    let text: String

    /// Checks certificates.
    ///
    /// - Parameter certificates: One or two CA certificates.
    /// - Throws: ``LabError`` naming the certificate and the rule that it breaks.
    package init(_ certificates: [Certificate]) throws(LabError) {
        try self.init(certificates, text: certificates.map(\.pemEncoded).joined())
    }

    /// Reads certificates.
    ///
    /// - Parameter text: The certificates in PEM.
    /// - Throws: ``LabError`` naming the certificate and the rule that it breaks.
    package init(reading text: String) throws(LabError) {
        guard text.unicodeScalars.count <= Self.lengthLimit else {
            throw LabError(.invalidResource, "the bundle is longer than \(Self.lengthLimit) characters")
        }
        guard !text.contains("PRIVATE KEY-----") else {
            throw LabError(
                .invalidResource,
                "the bundle holds a private key, which belongs to nobody but the CA",
                hint: "paste the certificate alone: pki print-bundle"
            )
        }
        let certificates: [Certificate]
        do {
            certificates = try Certificate.certificates(in: Array(text.utf8))
        } catch {
            throw LabError(.invalidResource, "the bundle cannot be read: \(error)", hint: Self.hint)
        }
        try self.init(certificates, text: text)
    }

    private static let hint = "print one with: pki print-bundle"

    private init(_ certificates: [Certificate], text: String) throws(LabError) {
        guard (1...2).contains(certificates.count) else {
            throw LabError(
                .invalidResource,
                "a trust anchor takes one or two certificates, not \(certificates.count)",
                hint: certificates.isEmpty ? Self.hint : "put in root CAs only: clients send their intermediates"
            )
        }
        for certificate in certificates { try Self.check(certificate) }
        self.certificates = certificates
        self.text = text
    }

    private static func check(_ certificate: Certificate) throws(LabError) {
        func refuse(_ why: String, _ hint: String) -> LabError {
            LabError(.invalidResource, "\(certificate.subject) cannot be a trust anchor: \(why)", hint: hint)
        }
        let hint = "make a CA with: pki init-ca"
        guard certificate.version == 3 else { throw refuse("it is not of version 3", hint) }
        guard certificate.isCA else { throw refuse("it is not a CA's (basicConstraints CA:TRUE)", hint) }
        guard certificate.keyUsage?.contains(.keyCertSign) == true else {
            throw refuse("its keyUsage lacks keyCertSign", hint)
        }
        guard !certificate.signatureAlgorithm.isWeak else {
            throw refuse("it is signed with \(certificate.signatureAlgorithm.name)", "sign it with SHA-256 or stronger")
        }
    }
}

extension CertificateBundle: Codable {
    /// Reads the text that was kept.
    package init(from decoder: any Decoder) throws {
        try self.init(reading: decoder.singleValueContainer().decode(String.self))
    }

    /// Keeps the text.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
