// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import SystemSupport

/// A PKCS#12 file (RFC 7292), decoded and still closed.
struct PKCS12Store: ~Copyable {
    private let store: Owned<PKCS12Object>

    /// How deep bags within bags may lie.
    private static let maximumDepth = 4

    /// Decodes a file.
    init(_ file: SecretBytes) throws(OpenSSLError) {
        store = try unsafe derDecoded(file, by: "d2i_PKCS12") { unsafe d2i_PKCS12(nil, $0, $1) }
    }

    /// What is in the store.
    ///
    /// - Parameter passphrase: Opens it; an empty one is tried when there is none.
    /// - Returns: Keys and certificates, in the order of the file. The keys are open.
    /// - Throws: ``CertificateError``: ``CertificateErrorCode/missingPassphrase``,
    ///   ``CertificateErrorCode/wrongPassphrase``, ``CertificateErrorCode/unsupported`` or
    ///   ``CertificateErrorCode/malformed``.
    func objects(passphrase: SecretBytes?) throws(CertificateError) -> [Container.Object] {
        let password = try verified(passphrase)
        guard let contents = unsafe PKCS12_unpack_authsafes(store.pointer) else {
            throw CertificateError(
                .malformed,
                "the PKCS#12 file is damaged: \(OpenSSLError(in: "PKCS12_unpack_authsafes"))"
            )
        }
        defer { unsafe pki_sk_PKCS7_pop_free(contents) }
        var objects: [Container.Object] = []
        for index in unsafe 0..<max(0, pki_sk_PKCS7_num(contents)) {
            guard let safe = unsafe pki_sk_PKCS7_value(contents, index) else { continue }
            guard let bags = try unsafe bags(of: safe, password) else {
                throw CertificateError(
                    .unsupported,
                    "the PKCS#12 file is encrypted for a public key, not under a password"
                )
            }
            defer { unsafe pki_sk_PKCS12_SAFEBAG_pop_free(bags) }
            objects += try unsafe read(bags, password, depth: 0)
        }
        return objects
    }

    /// A password in the two forms that an empty one has in PKCS#12: no bytes at all, or only the end of a string.
    private enum Password {
        case none
        case some(SecretBytes)

        func withPointer<Result>(_ body: (UnsafePointer<CChar>?, CInt) -> Result) -> Result {
            switch self {
            case .none: return body(nil, 0)
            case .some(let secret):
                return unsafe secret.withUnsafeBytes { bytes in
                    // Of an empty buffer there may be no address, which would stand for no password.
                    guard bytes.count > 0 else { return unsafe "".withCString { unsafe body($0, 0) } }
                    return unsafe body(bytes.bindMemory(to: CChar.self).baseAddress, CInt(bytes.count))
                }
            }
        }
    }

    /// Finds the password under which the store's authentication code is right.
    private func verified(_ passphrase: SecretBytes?) throws(CertificateError) -> Password {
        let candidates: [Password] = passphrase.map { [.some($0)] } ?? [.none, .some(SecretBytes([]))]
        guard unsafe PKCS12_mac_present(store.pointer) == 1 else { return candidates[candidates.count - 1] }
        var rounds: UnsafePointer<ASN1_INTEGER>?
        var algorithm: UnsafePointer<X509_ALGOR>?
        unsafe PKCS12_get0_mac(nil, &algorithm, nil, &rounds, store.pointer)
        // RFC 9579 has the rounds in the algorithm.
        if let algorithm = unsafe algorithm, unsafe OBJ_obj2nid(algorithm.pointee.algorithm) == NID_pbmac1 {
            _ = try unsafe PasswordEncryption(algorithm)
        }
        if let rounds = unsafe rounds {
            let count = unsafe ASN1_INTEGER_get(rounds)
            try PasswordEncryption.check(rounds: count < 0 ? .max : count)
        }
        for candidate in candidates {
            let isRight = unsafe candidate.withPointer { text, count in
                unsafe PKCS12_verify_mac(store.pointer, text, count) == 1
            }
            if isRight { return candidate }
        }
        let error = OpenSSLError(in: "PKCS12_verify_mac")
        guard passphrase != nil else {
            throw CertificateError(
                .missingPassphrase,
                "the PKCS#12 file is encrypted and no passphrase was given",
                hint: PrivateKey.passphraseHint
            )
        }
        guard error.reasons.allSatisfy({ $0.contains("mac verify") }) else {
            throw CertificateError(.unsupported, "the PKCS#12 file cannot be authenticated: \(error)")
        }
        throw CertificateError(.wrongPassphrase, "the passphrase does not open the PKCS#12 file")
    }

    private func bags(
        of safe: UnsafeMutablePointer<PKCS7>,
        _ password: Password
    ) throws(CertificateError) -> OpaquePointer? {
        switch unsafe OBJ_obj2nid(safe.pointee.type) {
        case NID_pkcs7_data:
            guard let bags = unsafe PKCS12_unpack_p7data(safe) else {
                throw CertificateError(
                    .malformed,
                    "the PKCS#12 file is damaged: \(OpenSSLError(in: "PKCS12_unpack_p7data"))"
                )
            }
            return unsafe bags
        case NID_pkcs7_encrypted:
            let algorithm = unsafe safe.pointee.d.encrypted?.pointee.enc_data?.pointee.algorithm
            let encryption = try unsafe PasswordEncryption(UnsafePointer(algorithm))
            try encryption.prepare()
            let bags = unsafe password.withPointer { text, count in
                unsafe PKCS12_unpack_p7encdata(safe, text, count)
            }
            guard let bags = unsafe bags else { throw refusal(password, OpenSSLError(in: "PKCS12_unpack_p7encdata")) }
            return unsafe bags
        default: return nil
        }
    }

    private func read(
        _ bags: OpaquePointer,
        _ password: Password,
        depth: Int
    ) throws(CertificateError) -> [Container.Object] {
        var objects: [Container.Object] = []
        for index in unsafe 0..<max(0, pki_sk_PKCS12_SAFEBAG_num(bags)) {
            guard let bag = unsafe pki_sk_PKCS12_SAFEBAG_value(bags, index) else { continue }
            switch unsafe PKCS12_SAFEBAG_get_nid(bag) {
            case NID_keyBag:
                guard let info = unsafe PKCS12_SAFEBAG_get0_p8inf(bag) else { continue }
                objects.append(.privateKey(try unsafe key(info, encryption: nil)))
            case NID_pkcs8ShroudedKeyBag:
                objects.append(.privateKey(try unsafe shroudedKey(bag, password)))
            case NID_certBag where unsafe PKCS12_SAFEBAG_get_bag_nid(bag) == NID_x509Certificate:
                guard let certificate = unsafe PKCS12_SAFEBAG_get1_cert(bag) else {
                    throw CertificateError(
                        .malformed,
                        "a certificate in the PKCS#12 file cannot be read: \(OpenSSLError(in: "PKCS12_SAFEBAG_get1_cert"))"
                    )
                }
                defer { unsafe X509_free(certificate) }
                guard let encoded = try? unsafe derEncoding(by: "i2d_X509", { unsafe i2d_X509(certificate, $0) }) else {
                    throw CertificateError(.malformed, "a certificate in the PKCS#12 file cannot be read")
                }
                objects.append(.certificate(try Certificate(derEncoded: encoded)))
            case NID_safeContentsBag where depth < Self.maximumDepth:
                guard let inner = unsafe PKCS12_SAFEBAG_get0_safes(bag) else { continue }
                objects += try unsafe read(inner, password, depth: depth + 1)
            default: continue
            }
        }
        return objects
    }

    private func shroudedKey(
        _ bag: OpaquePointer,
        _ password: Password
    ) throws(CertificateError) -> EncodedPrivateKey {
        guard let shrouded = unsafe PKCS12_SAFEBAG_get0_pkcs8(bag) else {
            throw CertificateError(.malformed, "a private key in the PKCS#12 file cannot be read")
        }
        let encryption = try unsafe PasswordEncryption(signature: shrouded)
        try encryption.prepare()
        let info = unsafe password.withPointer { text, count in unsafe PKCS12_decrypt_skey(bag, text, count) }
        guard let info = unsafe info else { throw refusal(password, OpenSSLError(in: "PKCS12_decrypt_skey")) }
        defer { unsafe PKCS8_PRIV_KEY_INFO_free(info) }
        return try unsafe key(info, encryption: encryption.description)
    }

    private func key(_ info: OpaquePointer, encryption: String?) throws(CertificateError) -> EncodedPrivateKey {
        let count = unsafe i2d_PKCS8_PRIV_KEY_INFO(info, nil)
        guard count > 0 else {
            throw CertificateError(
                .malformed,
                "a private key in the PKCS#12 file cannot be read: \(OpenSSLError(in: "i2d_PKCS8_PRIV_KEY_INFO"))"
            )
        }
        let encoded = unsafe SecretBytes(capacity: Int(count)) { buffer in
            var position = buffer.baseAddress
            return Int(unsafe i2d_PKCS8_PRIV_KEY_INFO(info, &position))
        }
        return EncodedPrivateKey(form: .pkcs8, encryption: encryption, contents: .privateKeyInfo(encoded))
    }

    /// Without an authentication code, only the decryption tells whether the password is right.
    private func refusal(_ password: Password, _ error: OpenSSLError) -> CertificateError {
        if case .some(let secret) = password, secret.count > 0 {
            return error.wrongPassphrase(for: "the PKCS#12 file")
        }
        return CertificateError(
            .missingPassphrase,
            "the PKCS#12 file is encrypted and no passphrase was given",
            hint: PrivateKey.passphraseHint
        )
    }
}

enum PKCS12Object: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe PKCS12_free(pointer) }
}
