// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// A private key in this process's memory.
public final class PrivateKey: SigningKey {
    let handle: KeyHandle

    /// The public half.
    public let publicKey: PublicKey

    init(handle: KeyHandle) throws(CertificateError) {
        self.handle = handle
        publicKey = try handle.publicKey()
    }

    /// Generates a key. Throws ``CertificateErrorCode/unsupported`` if this libcrypto does not know the kind.
    public convenience init(generating type: KeyType) throws(CertificateError) {
        try self.init(handle: KeyHandle(generating: type))
    }

    /// Reads the first private key of a file: PKCS#8, PKCS#1 or SEC1 in PEM or DER, encrypted or not, with any text
    /// around it; or PKCS#12. The passphrase is used on an encrypted key only.
    ///
    /// Throws ``CertificateError``: ``CertificateErrorCode/missingPassphrase`` and
    /// ``CertificateErrorCode/wrongPassphrase`` for an encrypted key, ``CertificateErrorCode/malformed`` without a key,
    /// ``CertificateErrorCode/unsupported`` for a format that cannot be opened here.
    public convenience init(reading file: SecretBytes, passphrase: SecretBytes? = nil) throws(CertificateError) {
        guard let key = try Container(reading: file, passphrase: passphrase).privateKeys.first else {
            throw CertificateError(
                .malformed, "there is no private key in it",
                hint: "a key in PEM begins with a line such as -----BEGIN PRIVATE KEY-----")
        }
        try self.init(handle: KeyHandle(key, passphrase: passphrase))
    }

    /// Returns the key as PKCS#8 in PEM (RFC 5958). A passphrase, which must not be empty, encrypts it under PBES2 with
    /// AES-256-CBC and scrypt (N = 2¹⁴, r = 8, p = 5; RFC 8018, RFC 7914).
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

/// A private key in a file, not yet decoded and perhaps encrypted.
public struct EncodedPrivateKey: Sendable {
    /// The formats of private keys.
    public enum Form: String, Sendable {
        /// PKCS#8 (RFC 5958), for every kind of key.
        case pkcs8
        /// PKCS#1 (RFC 8017 appendix A.1.2), for RSA.
        case pkcs1
        /// SEC 1 (RFC 5915), for elliptic curves.
        case sec1
        /// A key that only a TPM can open: `TSS2 PRIVATE KEY`.
        case tss2
        /// OpenSSH's own.
        case openSSH
    }

    enum Contents {
        /// A PrivateKeyInfo.
        case privateKeyInfo(SecretBytes)
        /// An EncryptedPrivateKeyInfo.
        case encryptedPrivateKeyInfo(SecretBytes)
        /// An RSAPrivateKey or an ECPrivateKey.
        case traditional(SecretBytes)
        /// One of them encrypted as in RFC 1421, with the PEM headers that hold the parameters.
        case encryptedTraditional(headers: [String], SecretBytes)
        /// A key that cannot be opened here.
        case closed
    }

    /// How the key is written.
    public let form: Form

    /// How the key is encrypted, for people: `PBES2 with PBKDF2 (hmacWithSHA256, 600000 rounds) and AES-256-CBC`; `nil`
    /// if it is not, or if only a TPM knows.
    public let encryption: String?

    let contents: Contents

    /// Decodes the key. The passphrase is used on an encrypted key only.
    public func key(passphrase: SecretBytes? = nil) throws(CertificateError) -> PrivateKey {
        try PrivateKey(handle: KeyHandle(self, passphrase: passphrase))
    }
}

/// Opens something that may be encrypted: first without a passphrase, then with one if that is what was missing.
///
/// - Parameters:
///   - ask: Returns the passphrase, `nil` if there is none. Called again while its answer is wrong, four times at most.
///   - body: Opens it with the passphrase, or without one.
package func askingForPassphrase<Value>(
    _ ask: () throws -> SecretBytes?, _ body: (SecretBytes?) throws(CertificateError) -> Value
) throws -> Value {
    var failure: CertificateError
    do {
        return try body(nil)
    } catch {
        failure = error
    }
    guard failure.code == .missingPassphrase else { throw failure }
    for _ in 0..<4 {
        guard let secret = try ask() else { break }
        do {
            return try body(secret)
        } catch {
            failure = error
        }
        guard failure.code == .wrongPassphrase else { break }
    }
    throw failure
}
