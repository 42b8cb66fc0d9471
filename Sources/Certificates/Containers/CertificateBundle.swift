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

    /// Reads the certificates of such a message, `limit` at most; what else it holds is not looked at. `nil` if the octets
    /// are not one.
    package static func decode(_ octets: [UInt8], limit: Int = 100) -> [Certificate]? {
        guard let message = DER.elements(inSequence: octets), message.count == 2,
            message[0].encoding.elementsEqual(DER.objectIdentifier("1.2.840.113549.1.7.2")),
            let content = DER.elements(in: DER.constructed(0), message[1].encoding), content.count == 1,
            let signedData = DER.elements(in: DER.sequence, content[0].encoding), signedData.count > 3,
            signedData[3].tag == DER.constructed(0),
            let encoded = DER.elements(in: signedData[3].contents), (1...limit).contains(encoded.count)
        else { return nil }
        var certificates: [Certificate] = []
        for element in encoded {
            guard let certificate = try? Certificate(derEncoded: Array(element.encoding)) else { return nil }
            certificates.append(certificate)
        }
        return certificates
    }
}
