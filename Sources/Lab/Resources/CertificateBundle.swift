// SPDX-License-Identifier: Apache-2.0

public import Certificates

/// The CA certificates of a trust anchor, with the rules that IAM Roles Anywhere puts on them.
///
/// Source: IAM Roles Anywhere User Guide, "Trust model", "Quotas".
public struct CertificateBundle: Hashable, Sendable {
    /// How many characters of PEM the service takes.
    static let lengthLimit = 204_800

    /// One CA certificate, or two while one replaces the other.
    public let certificates: [Certificate]

    /// The certificates in PEM, as they were given.
    let text: String

    /// Checks certificates.
    ///
    /// - Parameter certificates: One or two CA certificates.
    /// - Throws: ``LabError`` naming the certificate and the rule that it breaks.
    public init(_ certificates: [Certificate]) throws(LabError) {
        try self.init(certificates, text: certificates.map(\.pemEncoded).joined())
    }

    /// Reads certificates.
    ///
    /// - Parameter text: The certificates in PEM.
    /// - Throws: ``LabError`` naming the certificate and the rule that it breaks.
    public init(reading text: String) throws(LabError) {
        guard text.unicodeScalars.count <= Self.lengthLimit else {
            throw LabError(.invalidResource, "the bundle is longer than \(Self.lengthLimit) characters")
        }
        guard !text.contains("PRIVATE KEY-----") else {
            throw LabError(
                .invalidResource,
                "the bundle holds a private key, which belongs to nobody but the CA",
                remedy: "paste the certificate alone: pki print-bundle"
            )
        }
        let certificates: [Certificate]
        do {
            certificates = try Certificate.certificates(in: Array(text.utf8))
        } catch {
            throw LabError(.invalidResource, "the bundle cannot be read: \(error)", remedy: Self.remedy)
        }
        try self.init(certificates, text: text)
    }

    private static let remedy = "print one with: pki print-bundle"

    private init(_ certificates: [Certificate], text: String) throws(LabError) {
        guard (1...2).contains(certificates.count) else {
            throw LabError(
                .invalidResource,
                "a trust anchor takes one or two certificates, not \(certificates.count)",
                remedy: certificates.isEmpty ? Self.remedy : "put in root CAs only: clients send their intermediates"
            )
        }
        for certificate in certificates { try Self.check(certificate) }
        self.certificates = certificates
        self.text = text
    }

    private static func check(_ certificate: Certificate) throws(LabError) {
        func refuse(_ why: String, _ remedy: String) -> LabError {
            LabError(.invalidResource, "\(certificate.subject) cannot be a trust anchor: \(why)", remedy: remedy)
        }
        let remedy = "make a CA with: pki init-ca"
        guard certificate.version == 3 else { throw refuse("it is not of version 3", remedy) }
        guard certificate.isCA else { throw refuse("it is not a CA's (basicConstraints CA:TRUE)", remedy) }
        guard certificate.keyUsage?.contains(.keyCertSign) == true else {
            throw refuse("its keyUsage lacks keyCertSign", remedy)
        }
        guard !certificate.signatureAlgorithm.isWeak else {
            throw refuse("it is signed with \(certificate.signatureAlgorithm.name)", "sign it with SHA-256 or stronger")
        }
    }
}

extension CertificateBundle: Codable {
    /// Reads the text that was kept.
    public init(from decoder: any Decoder) throws {
        try self.init(reading: decoder.singleValueContainer().decode(String.self))
    }

    /// Keeps the text.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
