// SPDX-License-Identifier: Apache-2.0

import COpenSSL
public import SystemSupport

/// Checks the signatures of one public key, any number of times and from any thread.
///
/// libcrypto takes longer to decode a key than to check a P-256 signature with it: whoever meets the same key again keeps
/// this value.
@safe public final class SignatureVerifier: @unchecked Sendable {
    // SAFETY: the key is complete before `init` returns and never changed afterwards; libcrypto counts references
    // atomically and locks what it caches in a key, so that threads may verify with one key at once.
    private let key: Owned<KeyObject>

    /// The key.
    public let publicKey: PublicKey

    /// Decodes a key.
    ///
    /// - Parameter publicKey: The key.
    /// - Throws: ``CertificateError`` with ``CertificateErrorCode/unsupported`` when this libcrypto cannot use it.
    public init(_ publicKey: PublicKey) throws(CertificateError) {
        do {
            key = try publicKey.key()
            self.publicKey = publicKey
        } catch {
            throw CertificateError(.unsupported, "the \(publicKey.algorithm) key cannot be used: \(error)")
        }
    }

    /// Checks a signature made in the way of ``SigningKey/signature(for:digest:)``.
    ///
    /// - Parameters:
    ///   - signature: The signature.
    ///   - message: The bytes that were signed.
    ///   - digest: The hash function for RSA and EC keys; not used for ML-DSA.
    /// - Returns: Whether the signature is this key's over this message.
    public func isValid(signature: [UInt8], for message: [UInt8], digest: Digest) -> Bool {
        defer { forgiveOpenSSLErrors() }
        guard let context = try? unsafe Owned<DigestContextObject>(EVP_MD_CTX_new(), from: "EVP_MD_CTX_new") else {
            return false
        }
        let method = unsafe publicKey.algorithm.usesDigest ? digest.method : nil
        let status = unsafe EVP_DigestVerifyInit(context.pointer, nil, method, nil, key.pointer)
        guard status == 1 else { return false }
        return unsafe EVP_DigestVerify(context.pointer, signature, signature.count, message, message.count) == 1
    }
}
