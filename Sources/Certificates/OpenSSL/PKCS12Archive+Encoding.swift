// SPDX-License-Identifier: Apache-2.0

import COpenSSL
public import SystemSupport

extension PKCS12Archive {
    /// Encrypts and authenticates the archive.
    ///
    /// The key is encrypted by libcrypto and is never seen here.
    ///
    /// - Parameter passphrase: Opens the file. Must be UTF-8 and not empty: what is not would be another passphrase in
    ///   other programs.
    /// - Returns: The contents of the file.
    /// - Throws: ``CertificateError`` with ``CertificateErrorCode/wrongPassphrase`` when the passphrase cannot be used, or
    ///   ``CertificateErrorCode/failed`` when libcrypto fails.
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

    /// The bag of the key, encrypted (RFC 7292 §4.2.2); nothing when there is no key.
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

    /// What joins a key and its certificate: the identifier of the key, and the name.
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
        let information = DER.sequence([
            Self.data, try encryption.derEncoded, DER.encode(DER.implicit(0), encrypted),
        ])
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
        let status = unsafe passphrase.withUnsafeBytes { secret in
            let text = unsafe secret.bindMemory(to: CChar.self).baseAddress
            let digest = unsafe encryption == .modern ? EVP_sha256() : EVP_sha1()
            return unsafe PKCS12_set_mac(store.pointer, text, CInt(secret.count), nil, 16, rounds, digest)
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
