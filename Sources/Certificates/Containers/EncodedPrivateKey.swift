// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// A private key as it stands in a file: perhaps encrypted, not yet decoded.
public struct EncodedPrivateKey: Sendable {
    /// The ways in which keys are written.
    public enum Form: String, Sendable {
        /// PKCS#8 (RFC 5958), for every kind of key.
        case pkcs8
        /// PKCS#1 (RFC 8017 appendix A.1.2), for RSA.
        case pkcs1
        /// SEC 1 (RFC 5915), for elliptic curves.
        case sec1
        /// The form of a key that only a TPM can open: `TSS2 PRIVATE KEY`.
        case tss2
        /// OpenSSH's own.
        case openSSH
    }

    /// What the bytes are.
    enum Contents {
        /// A PrivateKeyInfo.
        case privateKeyInfo(SecretBytes)
        /// An EncryptedPrivateKeyInfo.
        case encryptedPrivateKeyInfo(SecretBytes)
        /// An RSAPrivateKey or an ECPrivateKey.
        case traditional(SecretBytes)
        /// One of them encrypted in the way of RFC 1421, with the PEM headers that say how.
        case encryptedTraditional(headers: [String], SecretBytes)
        /// Nothing that can be opened here.
        case closed
    }

    /// How the key is written.
    public let form: Form

    /// How it is encrypted, in words: `PBES2 with PBKDF2 (hmacWithSHA256, 600000 rounds) and AES-256-CBC`; nothing when it is
    /// not, or when only a TPM knows.
    public let encryption: String?

    let contents: Contents

    /// Decodes the key.
    ///
    /// - Parameter passphrase: Opens an encrypted key. It is not used on one that is not.
    /// - Returns: The key.
    /// - Throws: ``CertificateError``: ``CertificateErrorCode/missingPassphrase``,
    ///   ``CertificateErrorCode/wrongPassphrase``, ``CertificateErrorCode/malformed`` or, for a form that cannot be opened
    ///   here, ``CertificateErrorCode/unsupported``.
    public func key(passphrase: SecretBytes? = nil) throws(CertificateError) -> PrivateKey {
        try PrivateKey(handle: KeyHandle(self, passphrase: passphrase))
    }
}
