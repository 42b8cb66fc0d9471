// SPDX-License-Identifier: Apache-2.0

/// A public key, known by its SubjectPublicKeyInfo (RFC 5280 §4.1.2.7): equal keys have equal bytes.
public struct PublicKey: Hashable, Sendable {
    /// The DER encoding of the SubjectPublicKeyInfo.
    public let derEncoded: [UInt8]

    /// What the key is made for.
    public let algorithm: KeyAlgorithm

    init(derEncoded: [UInt8], algorithm: KeyAlgorithm) {
        self.derEncoded = derEncoded
        self.algorithm = algorithm
    }
}
