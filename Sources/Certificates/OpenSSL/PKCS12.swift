// SPDX-License-Identifier: Apache-2.0

import COpenSSL
public import SystemSupport

extension PKCS12Archive {
    /// Returns the file, encrypted and authenticated. The passphrase must be UTF-8 and not empty: other programs would
    /// read another one differently. The key is encrypted by libcrypto.
    public func encoded(passphrase: SecretBytes) throws(CertificateError) -> SecretBytes {
        try Self.refuseUnusable(passphrase)
        do {
            var parts = [try encryptedPart(DER.sequence(try certificateBags()), under: passphrase)]
            if let bag = try keyBag(under: passphrase) { parts.append(Self.plainPart(DER.sequence([bag]))) }
            return try authenticated(DER.sequence(parts), under: passphrase)
        } catch {
            throw CertificateError(.failed, "the PKCS#12 file cannot be made: \(error)")
        }
    }

    private static func refuseUnusable(_ passphrase: SecretBytes) throws(CertificateError) {
        guard passphrase.count > 0 else {
            throw CertificateError(.wrongPassphrase, "the passphrase for the new PKCS#12 file is empty")
        }
        let isText = unsafe passphrase.withUnsafeBytes { bytes in
            var parser = Unicode.UTF8.ForwardParser()
            var iterator = unsafe bytes.makeIterator()
            while true {
                switch unsafe parser.parseScalar(from: &iterator) {
                case .valid(let scalar): if scalar.first == 0 { return false }
                case .emptyInput: return true
                case .error: return false
                }
            }
        }
        guard isText else {
            throw CertificateError(
                .wrongPassphrase,
                "the passphrase for the new PKCS#12 file is not text in UTF-8, which other programs would read differently"
            )
        }
    }

    // MARK: - Bags

    /// The bags of the certificates (RFC 7292 §4.2.3).
    private func certificateBags() throws(OpenSSLError) -> [[UInt8]] {
        switch contents {
        case .trust(let certificates):
            return certificates.map { entry in
                let attributes = [Self.friendlyName(entry.name), Self.trustedByJava]
                return Self.bag(entry.certificate, attributes: attributes)
            }
        case .identity(let key, let certificates, let name):
            let attributes = try Self.attributes(of: key, name)
            return certificates.enumerated().map { Self.bag($1, attributes: $0 == 0 ? attributes : []) }
        }
    }

    /// The bag of the key, encrypted (RFC 7292 §4.2.2); `nil` without a key.
    private func keyBag(under passphrase: SecretBytes) throws(OpenSSLError) -> [UInt8]? {
        guard case .identity(let key, _, let name) = contents else { return nil }
        let encrypted = try key.handle.encryptedInfo(under: passphrase, by: newEncryption())
        return Self.bag("1.2.840.113549.1.12.10.1.2", encrypted, attributes: try Self.attributes(of: key, name))
    }

    private static func bag(_ certificate: Certificate, attributes: [[UInt8]]) -> [UInt8] {
        let value = DER.sequence([
            DER.objectIdentifier("1.2.840.113549.1.9.22.1"),
            DER.encode(DER.constructed(0), DER.encode(DER.octetString, certificate.derEncoded)),
        ])
        return bag("1.2.840.113549.1.12.10.1.3", value, attributes: attributes)
    }

    private static func bag(_ type: String, _ value: [UInt8], attributes: [[UInt8]]) -> [UInt8] {
        DER.sequence([
            DER.objectIdentifier(type), DER.encode(DER.constructed(0), value),
            attributes.isEmpty ? [] : DER.set(of: attributes),
        ])
    }

    /// The attributes that join a key and its certificate: the identifier of the key, and the name.
    private static func attributes(of key: PrivateKey, _ name: String?) throws(OpenSSLError) -> [[UInt8]] {
        let identifier = DER.encode(DER.octetString, try key.publicKey.keyIdentifier())
        let joining = attribute("1.2.840.113549.1.9.21", identifier)
        return [joining] + (name.map { $0.isEmpty ? [] : [friendlyName($0)] } ?? [])
    }

    private static func friendlyName(_ name: String) -> [UInt8] {
        let characters = name.utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
        return attribute("1.2.840.113549.1.9.20", DER.encode(DER.bmpString, characters))
    }

    /// Oracle's attribute without which Java takes no certificate as trusted: for every extended key usage.
    private static var trustedByJava: [UInt8] {
        attribute("2.16.840.1.113894.746875.1.1", DER.objectIdentifier("2.5.29.37.0"))
    }

    private static func attribute(_ type: String, _ value: [UInt8]) -> [UInt8] {
        DER.sequence([DER.objectIdentifier(type), DER.set(of: [value])])
    }

    // MARK: - Parts

    /// A ContentInfo of data (RFC 2315 §8).
    private static func plainPart(_ contents: [UInt8]) -> [UInt8] {
        DER.sequence([data, DER.encode(DER.constructed(0), DER.encode(DER.octetString, contents))])
    }

    /// A ContentInfo of encrypted data (RFC 2315 §13).
    private func encryptedPart(_ contents: [UInt8], under passphrase: SecretBytes) throws(OpenSSLError) -> [UInt8] {
        let encryption = try newEncryption()
        let encrypted = try encryption.encrypt(contents, under: passphrase)
        let information = DER.sequence([Self.data, try encryption.derEncoded, DER.encode(DER.implicit(0), encrypted)])
        return DER.sequence([
            DER.objectIdentifier("1.2.840.113549.1.7.6"),
            DER.encode(DER.constructed(0), DER.sequence([DER.unsignedInteger([]), information])),
        ])
    }

    /// The whole file around its parts, with the message authentication code that libcrypto makes.
    private func authenticated(_ parts: [UInt8], under passphrase: SecretBytes) throws(OpenSSLError) -> SecretBytes {
        let plain = DER.sequence([DER.unsignedInteger([3]), Self.plainPart(parts)])
        let store: Owned<PKCS12Object> = try unsafe derDecoded(plain, by: "d2i_PKCS12") {
            unsafe d2i_PKCS12(nil, $0, $1)
        }
        let digest = unsafe encryption == .modern ? EVP_sha256() : EVP_sha1()
        let status = unsafe passphrase.withText {
            unsafe PKCS12_set_mac(store.pointer, $0, $1, nil, 16, rounds, digest)
        }
        try check(status, "PKCS12_set_mac")
        return SecretBytes(try unsafe derEncoding(by: "i2d_PKCS12") { unsafe i2d_PKCS12(store.pointer, $0) })
    }

    private func newEncryption() throws(OpenSSLError) -> NewPasswordEncryption {
        switch encryption {
        case .modern: try .pbkdf2(rounds: rounds)
        case .legacy: try .tripleDES(rounds: rounds)
        }
    }

    private static let data = DER.objectIdentifier("1.2.840.113549.1.7.1")
}

extension PKCS12Archive {
    /// The rounds of every key derivation, that of the authentication code included: a guess is tried where it costs least.
    private var rounds: CInt {
        if hasRandomPassphrase { return 2048 }
        return encryption == .modern ? 600_000 : 100_000
    }
}

/// A PKCS#12 file (RFC 7292), decoded and still closed.
struct PKCS12Store: ~Copyable {
    private let store: Owned<PKCS12Object>

    /// The deepest nesting of bags.
    private static let maximumDepth = 4

    init(_ file: SecretBytes) throws(OpenSSLError) {
        store = try unsafe derDecoded(file, by: "d2i_PKCS12") { unsafe d2i_PKCS12(nil, $0, $1) }
    }

    /// Returns the keys, decrypted, and certificates in the order of the file. Without a passphrase, the empty one is
    /// tried.
    func objects(passphrase: SecretBytes?) throws(CertificateError) -> [Container.Object] {
        let password = try verified(passphrase)
        guard let contents = unsafe PKCS12_unpack_authsafes(store.pointer) else {
            throw CertificateError(
                .malformed, "the PKCS#12 file is damaged: \(OpenSSLError(in: "PKCS12_unpack_authsafes"))")
        }
        defer { unsafe pki_sk_PKCS7_pop_free(contents) }
        var objects: [Container.Object] = []
        for index in unsafe 0..<max(0, pki_sk_PKCS7_num(contents)) {
            guard let safe = unsafe pki_sk_PKCS7_value(contents, index) else { continue }
            guard let bags = try unsafe bags(of: safe, password) else {
                throw CertificateError(
                    .unsupported, "the PKCS#12 file is encrypted for a public key, not under a password")
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
                // An empty buffer may have no address, which would mean no password.
                guard secret.count > 0 else { return unsafe "".withCString { unsafe body($0, 0) } }
                return unsafe secret.withText(body)
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
                .missingPassphrase, "the PKCS#12 file is encrypted and no passphrase was given",
                hint: PrivateKey.passphraseHint)
        }
        guard error.reasons.allSatisfy({ $0.contains("mac verify") }) else {
            throw CertificateError(.unsupported, "the PKCS#12 file cannot be authenticated: \(error)")
        }
        throw CertificateError(.wrongPassphrase, "the passphrase does not open the PKCS#12 file")
    }

    private func bags(
        of safe: UnsafeMutablePointer<PKCS7>, _ password: Password
    ) throws(CertificateError) -> OpaquePointer? {
        switch unsafe OBJ_obj2nid(safe.pointee.type) {
        case NID_pkcs7_data:
            guard let bags = unsafe PKCS12_unpack_p7data(safe) else {
                throw CertificateError(
                    .malformed, "the PKCS#12 file is damaged: \(OpenSSLError(in: "PKCS12_unpack_p7data"))")
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
        _ bags: OpaquePointer, _ password: Password, depth: Int
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
                guard let copy = try? unsafe Certificate(copying: certificate) else {
                    throw CertificateError(.malformed, "a certificate in the PKCS#12 file cannot be read")
                }
                objects.append(.certificate(copy))
            case NID_safeContentsBag where depth < Self.maximumDepth:
                guard let inner = unsafe PKCS12_SAFEBAG_get0_safes(bag) else { continue }
                objects += try unsafe read(inner, password, depth: depth + 1)
            default: continue
            }
        }
        return objects
    }

    private func shroudedKey(_ bag: OpaquePointer, _ password: Password) throws(CertificateError) -> EncodedPrivateKey {
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
                "a private key in the PKCS#12 file cannot be read: \(OpenSSLError(in: "i2d_PKCS8_PRIV_KEY_INFO"))")
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
            .missingPassphrase, "the PKCS#12 file is encrypted and no passphrase was given",
            hint: PrivateKey.passphraseHint)
    }
}

enum PKCS12Object: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe PKCS12_free(pointer) }
}
