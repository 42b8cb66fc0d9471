// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import SystemSupport

extension KeyHandle {
    /// Decodes a key; see ``EncodedPrivateKey/key(passphrase:)``.
    convenience init(_ encoded: EncodedPrivateKey, passphrase: SecretBytes?) throws(CertificateError) {
        switch encoded.contents {
        case .privateKeyInfo(let bytes): self.init(try Self.readPrivateKeyInfo(bytes))
        case .encryptedPrivateKeyInfo(let bytes): self.init(try Self.decrypt(bytes, passphrase: passphrase))
        case .traditional(let bytes): self.init(try Self.readTraditional(bytes, form: encoded.form))
        case .encryptedTraditional(let headers, let bytes):
            let plain = try Self.decrypt(bytes, headers: headers, passphrase: passphrase)
            do {
                self.init(try Self.readTraditional(plain, form: encoded.form))
            } catch {
                // The padding is right by chance in one of 256 cases.
                throw OpenSSLError(in: "d2i_AutoPrivateKey").wrongPassphrase(for: "the private key")
            }
        case .closed: throw Self.closed(encoded.form)
        }
    }

    /// Decodes an EncryptedPrivateKeyInfo (RFC 5958 §3).
    static func encryptedKey(_ bytes: SecretBytes) throws(OpenSSLError) -> Owned<EncryptedKeyObject> {
        try unsafe derDecoded(bytes, by: "d2i_X509_SIG") { unsafe d2i_X509_SIG(nil, $0, $1) }
    }

    static func privateKeyInfo(_ bytes: SecretBytes) throws(OpenSSLError) -> Owned<PrivateKeyInfoObject> {
        try unsafe derDecoded(bytes, by: "d2i_PKCS8_PRIV_KEY_INFO") { unsafe d2i_PKCS8_PRIV_KEY_INFO(nil, $0, $1) }
    }

    private static func readPrivateKeyInfo(_ bytes: SecretBytes) throws(CertificateError) -> Owned<KeyObject> {
        for encoding in EllipticKeyEncoding.all {
            if let key = encoding.key(of: bytes) { return key }
        }
        let info: Owned<PrivateKeyInfoObject>
        do {
            info = try privateKeyInfo(bytes)
        } catch {
            throw malformed(error)
        }
        return try key(info)
    }

    private static func key(_ info: borrowing Owned<PrivateKeyInfoObject>) throws(CertificateError) -> Owned<KeyObject>
    {
        do {
            return try unsafe Owned(EVP_PKCS82PKEY(info.pointer), from: "EVP_PKCS82PKEY")
        } catch {
            throw unknownAlgorithm(of: info) ?? malformed(error)
        }
    }

    /// The error for an algorithm that libcrypto does not know; `nil` if it does.
    private static func unknownAlgorithm(of info: borrowing Owned<PrivateKeyInfoObject>) -> CertificateError? {
        var algorithm: OpaquePointer?
        unsafe PKCS8_pkey_get0(&algorithm, nil, nil, nil, info.pointer)
        guard let algorithm = unsafe algorithm, unsafe OBJ_obj2nid(algorithm) == NID_undef else { return nil }
        let identifier = unsafe dottedText(of: algorithm)
        // FIPS 204's, by NIST's register of algorithms.
        let parameterSets = [
            "2.16.840.1.101.3.4.3.17": 44, "2.16.840.1.101.3.4.3.18": 65, "2.16.840.1.101.3.4.3.19": 87,
        ]
        guard let parameterSet = parameterSets[identifier] else {
            return CertificateError(
                .unsupported,
                "the private key is for the algorithm \(identifier), which is not in \(OpenSSLVersion.text)")
        }
        return CertificateError(
            .unsupported, "the private key is for ML-DSA-\(parameterSet), which is not in \(OpenSSLVersion.text)",
            hint: "ML-DSA came with OpenSSL 3.5")
    }

    private static func readTraditional(
        _ bytes: SecretBytes, form: EncodedPrivateKey.Form
    ) throws(CertificateError) -> Owned<KeyObject> {
        let type = form == .sec1 ? EVP_PKEY_EC : EVP_PKEY_RSA
        do {
            return try unsafe derDecoded(bytes, by: "d2i_PrivateKey") { unsafe d2i_PrivateKey(type, nil, $0, $1) }
        } catch {
            throw malformed(error)
        }
    }

    private static func decrypt(
        _ bytes: SecretBytes, passphrase: SecretBytes?
    ) throws(CertificateError) -> Owned<KeyObject> {
        guard let passphrase else { throw missingPassphrase }
        var plain: OpaquePointer?
        do {
            let encrypted = try encryptedKey(bytes)
            try unsafe PasswordEncryption(signature: encrypted.pointer).prepare()
            unsafe plain = passphrase.withText { unsafe PKCS8_decrypt(encrypted.pointer, $0, $1) }
        } catch let error as CertificateError {
            throw CertificateError(error.code, "the private key: \(error.message)", hint: error.hint)
        } catch {
            throw CertificateError(.malformed, "the private key cannot be read: \(error)")
        }
        guard let plain = unsafe plain else { throw wrongPassphrase(OpenSSLError(in: "PKCS8_decrypt")) }
        let info: Owned<PrivateKeyInfoObject>
        do {
            info = try unsafe Owned<PrivateKeyInfoObject>(plain, from: "PKCS8_decrypt")
        } catch {
            throw malformed(error)
        }
        return try key(info)
    }

    /// Decrypts as in RFC 1421, with the parameters in the PEM headers.
    private static func decrypt(
        _ bytes: SecretBytes, headers: [String], passphrase: SecretBytes?
    ) throws(CertificateError) -> SecretBytes {
        guard let passphrase else { throw missingPassphrase }
        var cipher = unsafe EVP_CIPHER_INFO()
        var text = Array((headers.joined(separator: "\n") + "\n\n").utf8CString)
        if headers.contains(where: { $0.contains(" DES-CBC,") || $0.contains("RC2-") }) {
            try PasswordEncryption.prepareLegacy("PEM headers with DES or RC2")
        }
        guard unsafe PEM_get_EVP_CIPHER_INFO(&text, &cipher) == 1 else {
            throw CertificateError(
                .unsupported,
                "the private key's PEM headers cannot be used: \(OpenSSLError(in: "PEM_get_EVP_CIPHER_INFO"))")
        }
        var isOpen = false
        let plain = unsafe SecretBytes(capacity: bytes.count) { buffer in
            unsafe bytes.withUnsafeBytes { unsafe UnsafeMutableRawBufferPointer(buffer).copyMemory(from: $0) }
            var count = bytes.count
            unsafe lendPassword(passphrase) { secret in
                unsafe isOpen = PEM_do_header(&cipher, buffer.baseAddress, &count, givePassword, secret) == 1
            }
            return isOpen ? count : 0
        }
        guard isOpen else { throw wrongPassphrase(OpenSSLError(in: "PEM_do_header")) }
        return plain
    }

    private static var missingPassphrase: CertificateError {
        CertificateError(
            .missingPassphrase, "the private key is encrypted and no passphrase was given",
            hint: PrivateKey.passphraseHint)
    }

    private static func wrongPassphrase(_ error: OpenSSLError) -> CertificateError {
        error.wrongPassphrase(for: "the private key")
    }

    private static func malformed(_ error: OpenSSLError) -> CertificateError {
        CertificateError(.malformed, "the private key cannot be read: \(error)")
    }

    private static func closed(_ form: EncodedPrivateKey.Form) -> CertificateError {
        form == .openSSH
            ? CertificateError(
                .unsupported, "the private key is in OpenSSH's own form",
                hint: "convert it in place: ssh-keygen -p -m PKCS8 -f FILE; or use it from an agent: ssh-agent:SHA256:…"
            )
            : CertificateError(.unsupported, "the private key can only be used by the TPM that made it")
    }
}

extension PrivateKey {
    static let passphraseHint =
        "name where it is: --passphrase-file FILE, --passphrase-env VARIABLE or --passphrase-fd NUMBER"
}

/// Lends a password to a closure as the context of ``givePassword``, which refuses without one.
func lendPassword<Result: ~Copyable, Failure: Error>(
    _ password: SecretBytes?, _ body: (UnsafeMutableRawPointer?) throws(Failure) -> Result
) throws(Failure) -> Result {
    guard let password else { return try body(nil) }
    return try unsafe withUnsafePointer(to: password) { pointer throws(Failure) in
        try unsafe body(UnsafeMutableRawPointer(mutating: pointer))
    }
}

/// Hands libcrypto a password, so that it never asks the terminal. `context` points to a `SecretBytes`.
func givePassword(
    _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: CInt, _ writing: CInt, _ context: UnsafeMutableRawPointer?
) -> CInt {
    guard let buffer = unsafe buffer, let context = unsafe context else { return -1 }
    let secret = unsafe context.assumingMemoryBound(to: SecretBytes.self).pointee
    guard secret.count <= Int(capacity) else { return -1 }
    unsafe secret.withUnsafeBytes {
        unsafe UnsafeMutableRawBufferPointer(start: buffer, count: $0.count).copyMemory(from: $0)
    }
    return CInt(secret.count)
}
