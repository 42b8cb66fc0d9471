// SPDX-License-Identifier: Apache-2.0

/// A public key, known by its SubjectPublicKeyInfo (RFC 5280 §4.1.2.7): equal keys have equal bytes.
public struct PublicKey: Hashable, Sendable {
    /// The DER encoding of the SubjectPublicKeyInfo.
    public let derEncoded: [UInt8]

    /// What the key is made for.
    public let algorithm: KeyAlgorithm

    /// The key alone, without its algorithm: an RSAPublicKey (RFC 8017), the point of an elliptic curve (SEC 1 §2.3.3), or
    /// the bytes of ML-DSA.
    package var subjectPublicKey: [UInt8] {
        guard let fields = DER.elements(inSequence: derEncoded), fields.count == 2, fields[1].tag == DER.bitString
        else {
            return []
        }
        return Array(fields[1].contents.dropFirst())
    }

    init(derEncoded: [UInt8], algorithm: KeyAlgorithm) {
        self.derEncoded = derEncoded
        self.algorithm = algorithm
    }
}
