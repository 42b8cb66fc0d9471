// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import SystemSupport

/// A libcrypto private key. It is the one libcrypto object that outlives the function that made it.
@safe final class KeyHandle: @unchecked Sendable {
    // SAFETY: the key is complete before `init` returns and never changed afterwards; libcrypto counts references
    // atomically and locks what it caches in a key, so that threads may sign with one key at once.
    private let key: Owned<KeyObject>

    init(_ key: consuming Owned<KeyObject>) { self.key = key }

    convenience init(generating type: KeyType) throws(CertificateError) {
        do {
            self.init(try Self.generate(type))
        } catch {
            throw CertificateError(.unsupported, "no \(type.rawValue) key can be made: \(error)")
        }
    }

    private static func generate(_ type: KeyType) throws -> Owned<KeyObject> {
        let context = try unsafe Owned<KeyContextObject>(
            EVP_PKEY_CTX_new_from_name(nil, type.algorithmName, nil), orUnsupported: type)
        try unsafe check(EVP_PKEY_keygen_init(context.pointer), "EVP_PKEY_keygen_init")
        if let curve = type.curveName {
            try unsafe check(EVP_PKEY_CTX_set_group_name(context.pointer, curve), "EVP_PKEY_CTX_set_group_name")
        }
        if let bits = type.modulusBits {
            try unsafe check(
                EVP_PKEY_CTX_set_rsa_keygen_bits(context.pointer, bits), "EVP_PKEY_CTX_set_rsa_keygen_bits")
        }
        var key: OpaquePointer?
        let status = unsafe EVP_PKEY_generate(context.pointer, &key)
        try check(status, "EVP_PKEY_generate")
        return try unsafe Owned(key, from: "EVP_PKEY_generate")
    }

    func publicKey() throws(CertificateError) -> PublicKey {
        do {
            let algorithm = unsafe KeyAlgorithm(key.pointer)
            if let encoded = try encodedEllipticKey(algorithm) {
                return PublicKey(derEncoded: encoded, algorithm: algorithm)
            }
            let encoded = try unsafe derEncoding(by: "i2d_PUBKEY") { unsafe i2d_PUBKEY(key.pointer, $0) }
            let usual = algorithm.namedCurve.flatMap { unsafe usualEncoding(of: key.pointer, $0) }
            return PublicKey(derEncoded: encoded, algorithm: algorithm, usualEncoding: usual)
        } catch {
            throw CertificateError(.malformed, "the private key has no usable public half: \(error)")
        }
    }

    /// The SubjectPublicKeyInfo of a key on one of NIST's curves (RFC 5480 §2), encoded here: libcrypto 3.0 searches all
    /// its encoders for it, which takes longer than making the key.
    private func encodedEllipticKey(_ algorithm: KeyAlgorithm) throws(OpenSSLError) -> [UInt8]? {
        guard let curve = algorithm.namedCurve else { return nil }
        // A key that spells its curve out, or compresses its point, is so in its certificate too: libcrypto shall encode
        // that one as it is. Asked for the point alone, it gives it uncompressed.
        guard text(of: "encoding") == "named_curve", text(of: "point-format") == "uncompressed" else { return nil }
        return unsafe usualEncoding(of: key.pointer, curve)
    }

    /// A text parameter of the key; `nil` if the key does not have it.
    private func text(of parameter: String) -> String? {
        var word = [CChar](repeating: 0, count: 32)
        var count = 0
        guard unsafe EVP_PKEY_get_utf8_string_param(key.pointer, parameter, &word, word.count, &count) == 1 else {
            forgiveOpenSSLErrors()
            return nil
        }
        return String(decoding: word.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Signs in the way of the key's algorithm.
    func signature(for message: [UInt8], digest: Digest?) throws(CertificateError) -> [UInt8] {
        do {
            let context = try unsafe Owned<DigestContextObject>(EVP_MD_CTX_new(), from: "EVP_MD_CTX_new")
            try unsafe check(
                EVP_DigestSignInit(context.pointer, nil, digest?.method, nil, key.pointer), "EVP_DigestSignInit")
            return try context.signature(of: message)
        } catch {
            throw CertificateError(.failed, "the key cannot sign: \(error)")
        }
    }

    private func info() throws(OpenSSLError) -> Owned<PrivateKeyInfoObject> {
        let algorithm = unsafe KeyAlgorithm(key.pointer)
        if let curve = algorithm.namedCurve, let publicKey = try encodedEllipticKey(algorithm) {
            let encoding = EllipticKeyEncoding(curve)
            if let point = encoding.point(of: publicKey),
                let encoded = unsafe encoding.privateKey(key.pointer, point: point)
            {
                return try Self.privateKeyInfo(encoded)
            }
        }
        return try unsafe Owned(EVP_PKEY2PKCS8(key.pointer), from: "EVP_PKEY2PKCS8")
    }

    func pemEncoded(passphrase: SecretBytes?) throws(CertificateError) -> SecretBytes {
        if let passphrase, passphrase.count == 0 {
            throw CertificateError(.wrongPassphrase, "the passphrase for the new key is empty")
        }
        do {
            let info = try info()
            let output = try unsafe Owned<InputOutputObject>(BIO_new(BIO_s_secmem()), from: "BIO_new")
            if let passphrase {
                let encrypted = try NewPasswordEncryption.scrypt().encrypt(info, under: passphrase)
                try unsafe check(PEM_write_bio_PKCS8(output.pointer, encrypted.pointer), "PEM_write_bio_PKCS8")
            } else {
                try unsafe check(
                    PEM_write_bio_PKCS8_PRIV_KEY_INFO(output.pointer, info.pointer), "PEM_write_bio_PKCS8_PRIV_KEY_INFO"
                )
            }
            var data: UnsafeMutablePointer<CChar>?
            let count = unsafe pki_BIO_get_mem_data(output.pointer, &data)
            return unsafe SecretBytes(UnsafeRawBufferPointer(start: data, count: count))
        } catch {
            throw CertificateError(.failed, "the key cannot be written: \(error)")
        }
    }

    /// The key as EncryptedPrivateKeyInfo (RFC 5958 §3) in DER.
    func encryptedInfo(
        under passphrase: SecretBytes, by algorithm: consuming NewPasswordEncryption
    ) throws(OpenSSLError) -> [UInt8] {
        let info = try info()
        let encrypted = try algorithm.encrypt(info, under: passphrase)
        return try unsafe derEncoding(by: "i2d_X509_SIG") { unsafe i2d_X509_SIG(encrypted.pointer, $0) }
    }
}

extension Owned where Object == DigestContextObject {
    /// Signs a message after EVP_DigestSignInit.
    borrowing func signature(of message: [UInt8]) throws(OpenSSLError) -> [UInt8] {
        var count = 0
        try unsafe check(EVP_DigestSign(pointer, nil, &count, message, message.count), "EVP_DigestSign")
        var signature = [UInt8](repeating: 0, count: count)
        try unsafe check(EVP_DigestSign(pointer, &signature, &count, message, message.count), "EVP_DigestSign")
        return Array(signature.prefix(count))
    }
}

extension Owned where Object == KeyContextObject {
    /// Adopts a context, or throws that libcrypto does not know the algorithm.
    fileprivate init(_ pointer: OpaquePointer?, orUnsupported type: KeyType) throws {
        guard let pointer = unsafe pointer else {
            forgiveOpenSSLErrors()
            throw UnknownAlgorithm(type: type)
        }
        try unsafe self.init(pointer, from: "EVP_PKEY_CTX_new_from_name")
    }
}

private struct UnknownAlgorithm: Error, CustomStringConvertible {
    var type: KeyType
    var description: String {
        "\(type.algorithmName) is not in \(OpenSSLVersion.text)"
            + (type.algorithmName.hasPrefix("ML-DSA") ? "; ML-DSA came with OpenSSL 3.5" : "")
    }
}

extension KeyType {
    fileprivate var algorithmName: String {
        switch self {
        case .ecP256, .ecP384: "EC"
        case .rsa2048, .rsa3072, .rsa4096: "RSA"
        case .mlDSA44: "ML-DSA-44"
        case .mlDSA65: "ML-DSA-65"
        case .mlDSA87: "ML-DSA-87"
        }
    }

    fileprivate var curveName: String? {
        switch self {
        case .ecP256: "P-256"
        case .ecP384: "P-384"
        default: nil
        }
    }

    fileprivate var modulusBits: CInt? {
        switch self {
        case .rsa2048: 2048
        case .rsa3072: 3072
        case .rsa4096: 4096
        default: nil
        }
    }
}

extension KeyAlgorithm {
    /// Reads the algorithm of a libcrypto key.
    init(_ key: OpaquePointer) {
        let type = unsafe text(of: EVP_PKEY_get0_type_name(key)) ?? ""
        switch type {
        case "RSA":
            self = unsafe .rsa(bits: Int(EVP_PKEY_get_bits(key)))
        case "EC":
            var name = [CChar](repeating: 0, count: 64)
            var count = 0
            let status = unsafe EVP_PKEY_get_group_name(key, &name, name.count, &count)
            let curve = String(
                decoding: name.prefix(status == 1 ? count : 0).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            self = .ec(curve: curve)
        case "ML-DSA-44": self = .mlDSA(44)
        case "ML-DSA-65": self = .mlDSA(65)
        case "ML-DSA-87": self = .mlDSA(87)
        default: self = .other(type)
        }
        forgiveOpenSSLErrors()
    }
}

/// The SubjectPublicKeyInfo of a key on a named curve, with an uncompressed point.
func usualEncoding(of key: OpaquePointer, _ curve: NamedCurve) -> [UInt8]? {
    var point = [UInt8](repeating: 0, count: 133)
    var count = 0
    guard unsafe EVP_PKEY_get_octet_string_param(key, "encoded-pub-key", &point, point.count, &count) == 1 else {
        forgiveOpenSSLErrors()
        return nil
    }
    guard point[0] == 0x04 else { return nil }
    return EllipticKeyEncoding(curve).publicKey(Array(point.prefix(count)))
}
