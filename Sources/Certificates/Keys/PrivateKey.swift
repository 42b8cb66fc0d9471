// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// A private key in this process's memory.
public final class PrivateKey: SigningKey {
    /// The libcrypto key.
    let handle: KeyHandle

    /// The public half.
    public let publicKey: PublicKey

    init(handle: KeyHandle) throws(CertificateError) {
        self.handle = handle
        publicKey = try handle.publicKey()
    }

    /// Generates a key.
    ///
    /// - Parameter type: The kind of key.
    /// - Throws: ``CertificateError`` with ``CertificateErrorCode/unsupported`` when this libcrypto does not know the
    ///   kind, naming its version.
    public convenience init(generating type: KeyType) throws(CertificateError) {
        try self.init(handle: KeyHandle(generating: type))
    }

    /// Reads the first private key of a file.
    ///
    /// PKCS#8, PKCS#1 and SEC1 are read, in PEM or DER, encrypted or not, with anything before and after them; and PKCS#12.
    ///
    /// - Parameters:
    ///   - file: The contents of the file.
    ///   - passphrase: Opens an encrypted key. It is not used on one that is not.
    /// - Throws: ``CertificateError``: ``CertificateErrorCode/missingPassphrase`` and
    ///   ``CertificateErrorCode/wrongPassphrase`` for an encrypted key, ``CertificateErrorCode/malformed`` when there is
    ///   no key, ``CertificateErrorCode/unsupported`` when it is in a form that cannot be opened here.
    public convenience init(reading file: SecretBytes, passphrase: SecretBytes? = nil) throws(CertificateError) {
        guard let key = try Container(reading: file, passphrase: passphrase).privateKeys.first else {
            throw CertificateError(
                .malformed,
                "there is no private key in it",
                hint: "a key in PEM begins with a line such as -----BEGIN PRIVATE KEY-----"
            )
        }
        try self.init(handle: KeyHandle(key, passphrase: passphrase))
    }

    /// The key as PKCS#8 in PEM (RFC 5958), encrypted when there is a passphrase.
    ///
    /// - Parameter passphrase: Encrypts under PBES2 with AES-256-CBC and scrypt (N = 2¹⁴, r = 8, p = 5; RFC 8018, RFC
    ///   7914). Must not be empty.
    /// - Returns: The text of a key file.
    /// - Throws: ``CertificateError`` when the passphrase is empty or libcrypto fails.
    public func pemEncoded(passphrase: SecretBytes? = nil) throws(CertificateError) -> SecretBytes {
        try handle.pemEncoded(passphrase: passphrase)
    }

    /// Signs a message; see ``SigningKey``.
    public func signature(for message: [UInt8], digest: Digest) throws(CertificateError) -> [UInt8] {
        try handle.signature(for: message, digest: publicKey.algorithm.usesDigest ? digest : nil)
    }
}

extension KeyAlgorithm {
    /// Whether a signature of this algorithm is over a hash of the message that its maker chooses.
    var usesDigest: Bool {
        switch self {
        case .rsa, .ec: true
        case .mlDSA: false
        case .other(let name): !name.uppercased().hasPrefix("ED")
        }
    }
}
