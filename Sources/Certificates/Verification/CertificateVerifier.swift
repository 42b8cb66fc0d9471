// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

public import struct FoundationEssentials.Date

/// Finds a valid path from a certificate to a trusted one (RFC 5280 §6), by libcrypto in its strict mode.
public struct CertificateVerifier: Sendable {
    /// The trusted certificates. A path may end at any of them, self-signed or not.
    public var anchors: [Certificate]

    /// Makes a verifier.
    ///
    /// - Parameter anchors: The trusted certificates.
    public init(anchors: [Certificate]) {
        self.anchors = anchors
    }

    /// Finds a valid path.
    ///
    /// - Parameters:
    ///   - certificate: The certificate in question.
    ///   - intermediates: Certificates that may stand between it and an anchor, in any order.
    ///   - date: The moment at which every certificate of the path must be valid.
    /// - Returns: The path, beginning with the certificate and ending with the anchor.
    /// - Throws: ``CertificateError`` with ``CertificateErrorCode/untrusted``, naming the certificate that failed and the
    ///   rule.
    public func path(
        for certificate: Certificate,
        intermediates: [Certificate] = [],
        at date: Date
    ) throws(CertificateError) -> [Certificate] {
        do {
            return try verifiedPath(for: certificate, intermediates: intermediates, at: date)
        } catch let error as CertificateError {
            throw error
        } catch {
            throw CertificateError(.failed, "\(error)")
        }
    }
}
