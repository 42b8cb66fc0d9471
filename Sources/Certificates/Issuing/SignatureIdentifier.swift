// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// The AlgorithmIdentifier that a CA's key puts into what it signs, and the hash function that goes with it.
struct SignatureIdentifier {
    /// The DER encoding.
    let derEncoded: [UInt8]

    /// The hash function; not used by ML-DSA.
    let digest: Digest

    /// Chooses by the CA's key: SHA-256, and a hash as strong as the curve for larger curves.
    ///
    /// - Parameter algorithm: The CA key's.
    /// - Throws: ``CertificateError`` for a key that cannot sign certificates here.
    init(for algorithm: KeyAlgorithm) throws(CertificateError) {
        switch algorithm {
        case .rsa:
            // RFC 4055 §5: the parameters are NULL.
            self.init("1.2.840.113549.1.1.11", parameters: [0x05, 0x00], .sha256)
        case .ec("secp384r1"):
            self.init("1.2.840.10045.4.3.3", .sha384)
        case .ec("secp521r1"):
            self.init("1.2.840.10045.4.3.4", .sha512)
        case .ec:
            self.init("1.2.840.10045.4.3.2", .sha256)
        case .mlDSA(let parameterSet):
            let last = [44: 17, 65: 18, 87: 19][parameterSet] ?? 0
            self.init("2.16.840.1.101.3.4.3.\(last)", .sha512)
        case .other(let name):
            throw CertificateError(
                .unsupported,
                "a CA key of the kind \(name) is not supported",
                hint: "use an RSA, EC or ML-DSA key"
            )
        }
    }

    private init(_ identifier: String, parameters: [UInt8] = [], _ digest: Digest) {
        derEncoded = DER.sequence([DER.objectIdentifier(identifier), parameters])
        self.digest = digest
    }
}
