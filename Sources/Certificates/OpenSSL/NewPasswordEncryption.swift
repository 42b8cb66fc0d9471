// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import SystemSupport

/// An algorithm that something new is to be encrypted by under a password, with a salt of its own: an X509_ALGOR.
///
/// What libcrypto reads of one, ``PasswordEncryption`` judges.
@safe struct NewPasswordEncryption: ~Copyable {
    private var algorithm: UnsafeMutablePointer<X509_ALGOR>?

    /// How many random bytes distinguish two encryptions under the same password.
    private static let saltCount: CInt = 16

    private init(_ algorithm: UnsafeMutablePointer<X509_ALGOR>?, from function: StaticString) throws(OpenSSLError) {
        guard let algorithm = unsafe algorithm else { throw OpenSSLError(in: function) }
        unsafe self.algorithm = unsafe algorithm
    }

    deinit { unsafe X509_ALGOR_free(algorithm) }

    /// PBES2 with AES-256-CBC and scrypt: 16 MiB and about 0.2 s for every guess.
    static func scrypt() throws(OpenSSLError) -> NewPasswordEncryption {
        let algorithm = unsafe PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), nil, saltCount, nil, 1 << 14, 8, 5)
        return try unsafe NewPasswordEncryption(algorithm, from: "PKCS5_pbe2_set_scrypt")
    }

    /// PBES2 with AES-256-CBC and PBKDF2 with HMAC-SHA-256.
    static func pbkdf2(rounds: CInt) throws(OpenSSLError) -> NewPasswordEncryption {
        let function = NID_hmacWithSHA256
        let algorithm = unsafe PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), rounds, nil, saltCount, nil, function)
        return try unsafe NewPasswordEncryption(algorithm, from: "PKCS5_pbe2_set_iv")
    }

    /// Triple DES with the key derivation of PKCS#12 and SHA-1 (RFC 7292 appendix C).
    static func tripleDES(rounds: CInt) throws(OpenSSLError) -> NewPasswordEncryption {
        let identifier = NID_pbe_WithSHA1And3_Key_TripleDES_CBC
        let algorithm = unsafe PKCS5_pbe_set(identifier, rounds, nil, saltCount)
        return try unsafe NewPasswordEncryption(algorithm, from: "PKCS5_pbe_set")
    }

    /// The AlgorithmIdentifier.
    var derEncoded: [UInt8] {
        get throws(OpenSSLError) {
            try unsafe derEncoding(by: "i2d_X509_ALGOR") { unsafe i2d_X509_ALGOR(algorithm, $0) }
        }
    }

    /// Encrypts bytes that are no secret of their own.
    func encrypt(_ bytes: [UInt8], under passphrase: SecretBytes) throws(OpenSSLError) -> [UInt8] {
        var encrypted: UnsafeMutablePointer<UInt8>?
        var count: CInt = 0
        _ = unsafe passphrase.withUnsafeBytes { secret in
            let text = unsafe secret.bindMemory(to: CChar.self).baseAddress
            let length = CInt(secret.count)
            return unsafe PKCS12_pbe_crypt(algorithm, text, length, bytes, CInt(bytes.count), &encrypted, &count, 1)
        }
        guard let encrypted = unsafe encrypted else { throw OpenSSLError(in: "PKCS12_pbe_crypt") }
        defer { unsafe pki_OPENSSL_free(encrypted) }
        return unsafe Array(UnsafeBufferPointer(start: encrypted, count: Int(count)))
    }

    /// Encrypts a private key.
    consuming func encrypt(
        _ info: borrowing Owned<PrivateKeyInfoObject>,
        under passphrase: SecretBytes
    ) throws(OpenSSLError) -> Owned<EncryptedKeyObject> {
        let encrypted = unsafe passphrase.withUnsafeBytes { secret in
            let text = unsafe secret.bindMemory(to: CChar.self).baseAddress
            return unsafe PKCS8_set0_pbe(text, CInt(secret.count), info.pointer, algorithm)
        }
        // It belongs to the encrypted key when there is one.
        if unsafe encrypted != nil { unsafe algorithm = nil }
        return try unsafe Owned(encrypted, from: "PKCS8_set0_pbe")
    }
}
