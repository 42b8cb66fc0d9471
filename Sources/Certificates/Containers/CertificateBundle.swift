// SPDX-License-Identifier: Apache-2.0

/// Certificates in PKCS#7's SignedData without a signature (RFC 2315, RFC 8551 §3.8: certs-only), as EST sends them.
package enum CertificateBundle {
    /// The DER encoding. A reader finds the certificates in this order.
    package static func encode(_ certificates: [Certificate]) -> [UInt8] {
        let signedData = DER.sequence([
            DER.unsignedInteger([1]), DER.set(of: []), DER.sequence([DER.objectIdentifier("1.2.840.113549.1.7.1")]),
            DER.encode(DER.constructed(0), certificates.flatMap(\.derEncoded)), DER.set(of: []),
        ])
        return DER.sequence([
            DER.objectIdentifier("1.2.840.113549.1.7.2"), DER.encode(DER.constructed(0), signedData),
        ])
    }
}
