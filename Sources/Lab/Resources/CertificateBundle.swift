// SPDX-License-Identifier: Apache-2.0

import AWSModel
package import Certificates
import SystemSupport

/// The CA certificates of a trust anchor, with the rules that IAM Roles Anywhere puts on them.
///
/// Source: IAM Roles Anywhere User Guide, "Trust model", "Quotas".
package struct CertificateBundle: Hashable, Sendable {
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
        guard text.unicodeScalars.count <= AWSLimit.anchorLength.maximum else {
            throw LabError(.invalidResource, "the bundle is longer than \(AWSLimit.anchorLength.maximum) characters")
        }
        guard !text.contains("PRIVATE KEY-----") else {
            throw LabError(
                .invalidResource, "the bundle holds a private key, which only the CA may have",
                hint: "paste the certificate alone: pki print-bundle")
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
        guard AWSLimit.anchorCertificateCount.contains(certificates.count) else {
            throw LabError(
                .invalidResource, "a trust anchor takes one or two certificates, not \(certificates.count)",
                hint: certificates.isEmpty ? Self.hint : "put in root CAs only: clients send their intermediates")
        }
        for certificate in certificates { try Self.check(certificate) }
        self.certificates = certificates
        self.text = text
    }

    private static func check(_ certificate: Certificate) throws(LabError) {
        // The lab keeps a trust anchor whose certificate has expired, as AWS does: only its sessions end.
        let findings = CertificateJudge.findings(in: certificate, as: .anchor, at: nil)
        guard let finding = findings.errors.first else { return }
        throw LabError(
            .invalidResource, "\(certificate.subject) cannot be a trust anchor: it \(finding.finding)",
            hint: finding.hint)
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
