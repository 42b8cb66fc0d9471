// SPDX-License-Identifier: Apache-2.0

import COpenSSL

extension KeyHandle {
    /// Reads the first private key of a file; see ``PrivateKey/init(reading:passphrase:)``.
    convenience init(reading file: SecretBytes, passphrase: SecretBytes?) throws(CertificateError) {
        self.init(try Self.read(file, passphrase: passphrase))
    }

    private static func read(_ file: SecretBytes, passphrase: SecretBytes?) throws(CertificateError) -> Owned<KeyObject>
    {
        let bytes = unsafe file.withUnsafeBytes { unsafe Array($0) }
        if bytes.first == 0x30 { return try readDER(bytes, passphrase: passphrase) }
        for document in try PEMDocument.documents(in: bytes) {
            switch document.label {
            case "PRIVATE KEY": return try readPrivateKeyInfo(document.bytes)
            case "ENCRYPTED PRIVATE KEY": return try decrypt(document.bytes, passphrase: passphrase)
            case "RSA PRIVATE KEY", "EC PRIVATE KEY":
                return document.hasHeaders
                    ? try readEncryptedPEM(file, passphrase: passphrase) : try readTraditional(document.bytes)
            default: continue
            }
        }
        throw CertificateError(
            .malformed,
            "there is no private key in it",
            remedy: "a key in PEM begins with a line such as -----BEGIN PRIVATE KEY-----"
        )
    }

    /// Tells the forms of DER apart by what decodes.
    private static func readDER(_ bytes: [UInt8], passphrase: SecretBytes?) throws(CertificateError) -> Owned<KeyObject>
    {
        if (try? encryptedKey(bytes)) != nil { return try decrypt(bytes, passphrase: passphrase) }
        forgiveOpenSSLErrors()
        if (try? privateKeyInfo(bytes)) != nil { return try readPrivateKeyInfo(bytes) }
        forgiveOpenSSLErrors()
        return try readTraditional(bytes)
    }

    private static func encryptedKey(_ bytes: [UInt8]) throws(OpenSSLError) -> Owned<EncryptedKeyObject> {
        try unsafe derDecoded(bytes, by: "d2i_X509_SIG") { unsafe d2i_X509_SIG(nil, $0, $1) }
    }

    private static func privateKeyInfo(_ bytes: [UInt8]) throws(OpenSSLError) -> Owned<PrivateKeyInfoObject> {
        try unsafe derDecoded(bytes, by: "d2i_PKCS8_PRIV_KEY_INFO") { unsafe d2i_PKCS8_PRIV_KEY_INFO(nil, $0, $1) }
    }

    private static func readPrivateKeyInfo(_ bytes: [UInt8]) throws(CertificateError) -> Owned<KeyObject> {
        do {
            let info = try privateKeyInfo(bytes)
            return try unsafe Owned(EVP_PKCS82PKEY(info.pointer), from: "EVP_PKCS82PKEY")
        } catch {
            throw malformed(error)
        }
    }

    private static func readTraditional(_ bytes: [UInt8]) throws(CertificateError) -> Owned<KeyObject> {
        do {
            return try unsafe derDecoded(bytes, by: "d2i_AutoPrivateKey") { unsafe d2i_AutoPrivateKey(nil, $0, $1) }
        } catch {
            throw malformed(error)
        }
    }

    private static func decrypt(_ bytes: [UInt8], passphrase: SecretBytes?) throws(CertificateError) -> Owned<KeyObject>
    {
        guard let passphrase else { throw missingPassphrase }
        var plain: OpaquePointer?
        do {
            let encrypted = try encryptedKey(bytes)
            unsafe passphrase.withUnsafeBytes { secret in
                let text = unsafe secret.bindMemory(to: CChar.self).baseAddress
                unsafe plain = PKCS8_decrypt(encrypted.pointer, text, CInt(secret.count))
            }
        } catch {
            throw malformed(error)
        }
        guard let plain = unsafe plain else { throw wrongPassphrase(OpenSSLError(in: "PKCS8_decrypt")) }
        do {
            let info = try unsafe Owned<PrivateKeyInfoObject>(plain, from: "PKCS8_decrypt")
            return try unsafe Owned(EVP_PKCS82PKEY(info.pointer), from: "EVP_PKCS82PKEY")
        } catch {
            throw malformed(error)
        }
    }

    /// Reads a key encrypted in the way of RFC 1421, whose parameters stand in the PEM headers.
    private static func readEncryptedPEM(
        _ file: SecretBytes,
        passphrase: SecretBytes?
    ) throws(CertificateError) -> Owned<KeyObject> {
        guard let passphrase else { throw missingPassphrase }
        let pointer = unsafe file.withUnsafeBytes { text -> OpaquePointer? in
            guard let input = unsafe BIO_new_mem_buf(text.baseAddress, CInt(text.count)) else { return nil }
            defer { unsafe BIO_free_all(input) }
            return unsafe withUnsafePointer(to: passphrase) { secret in
                unsafe PEM_read_bio_PrivateKey(input, nil, givePassphrase, UnsafeMutableRawPointer(mutating: secret))
            }
        }
        do {
            return try unsafe Owned(pointer, from: "PEM_read_bio_PrivateKey")
        } catch {
            throw wrongPassphrase(error)
        }
    }

    private static var missingPassphrase: CertificateError {
        CertificateError(
            .wrongPassphrase,
            "the private key is encrypted and no passphrase was given",
            remedy: "name where it is: --passphrase-file FILE, --passphrase-env VARIABLE or --passphrase-fd NUMBER"
        )
    }

    private static func wrongPassphrase(_ error: OpenSSLError) -> CertificateError {
        CertificateError(.wrongPassphrase, "the private key cannot be decrypted: the passphrase is wrong, or \(error)")
    }

    private static func malformed(_ error: OpenSSLError) -> CertificateError {
        CertificateError(.malformed, "the private key cannot be read: \(error)")
    }
}

/// Hands libcrypto the passphrase, so that it never asks the terminal. `context` points to a ``SecretBytes``.
private func givePassphrase(
    _ buffer: UnsafeMutablePointer<CChar>?,
    _ capacity: CInt,
    _ writing: CInt,
    _ context: UnsafeMutableRawPointer?
) -> CInt {
    guard let buffer = unsafe buffer, let context = unsafe context else { return -1 }
    let secret = unsafe context.assumingMemoryBound(to: SecretBytes.self).pointee
    guard secret.count <= Int(capacity) else { return -1 }
    unsafe secret.withUnsafeBytes {
        unsafe UnsafeMutableRawPointer(buffer).copyMemory(from: $0.baseAddress ?? .init(buffer), byteCount: $0.count)
    }
    return CInt(secret.count)
}
