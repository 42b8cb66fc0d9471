// SPDX-License-Identifier: Apache-2.0

extension SignatureVerifier {
    /// Whether this key made the signature on a certificate: ``Certificate/hasSigned(_:)`` for one who has many to check.
    ///
    /// - Parameter certificate: A certificate that the key's holder may have issued.
    /// - Returns: Nothing when the signature is of a kind that is not checked here.
    package func hasSigned(_ certificate: Certificate) -> Bool? {
        let name = certificate.signatureAlgorithm.digest
        guard let digest = Digest.allCases.first(where: { $0.rawValue.uppercased() == name }),
            certificate.signatureAlgorithm.name == signatureName(digest),
            let outer = DER.elements(in: certificate.derEncoded[...]), outer.count == 1,
            let parts = DER.elements(in: outer[0].contents), parts.count == 3, parts[2].tag == DER.bitString,
            parts[2].contents.first == 0
        else { return nil }
        // The algorithm stands in what is signed as well, behind version and serial number (RFC 5280 §4.1.2.3).
        let fields = DER.elements(in: parts[0].contents)
        guard fields?.first(where: { $0.tag == DER.sequence })?.contents == parts[1].contents else { return false }
        let signed = certificate.derEncoded[outer[0].contents.startIndex..<parts[0].contents.endIndex]
        return isValid(signature: Array(parts[2].contents.dropFirst()), for: Array(signed), digest: digest)
    }

    /// What X.509 calls the signatures that ``isValid(signature:for:digest:)`` checks.
    private func signatureName(_ digest: Digest) -> String? {
        switch publicKey.algorithm {
        case .rsa: "\(digest.rawValue)WithRSAEncryption"
        case .ec: "ecdsa-with-\(digest.rawValue.uppercased())"
        default: nil
        }
    }
}
