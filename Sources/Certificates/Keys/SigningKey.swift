// SPDX-License-Identifier: Apache-2.0

/// A private key that can sign, wherever it lives: in memory, in a token, in an agent.
///
/// This is the seam between what is signed and who signs. Certificates, requests to AWS and test strings are all signed
/// through it.
public protocol SigningKey: Sendable {
    /// The public half.
    var publicKey: PublicKey { get }

    /// Signs a message in the one way that X.509 and Roles Anywhere use for this kind of key.
    ///
    /// RSA keys sign with RSASSA-PKCS1-v1_5 (RFC 8017 §8.2), EC keys with ECDSA and a DER-encoded `(r, s)` (RFC 3279
    /// §2.2.3), ML-DSA keys purely and with an empty context (FIPS 204 §5.2), in which case the digest is not used.
    ///
    /// - Parameters:
    ///   - message: The bytes to sign, not their hash.
    ///   - digest: The hash function for RSA and EC keys.
    /// - Returns: The signature.
    /// - Throws: An `ExplainedError` when the key cannot be used.
    func signature(for message: [UInt8], digest: Digest) throws -> [UInt8]
}
