// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import SystemSupport

/// Recognizes an object without a label by decoding it.
enum BinaryObject {
    struct Found {
        var objects: [Container.Object]
        var isPKCS12 = false
    }

    /// Recognizes an object in DER; `nil` if the bytes are not DER or of no known kind. Throws if the kind is clear and
    /// the object cannot be used.
    static func recognize(_ file: SecretBytes, passphrase: SecretBytes?) throws(CertificateError) -> Found? {
        guard file.first == DER.sequence else { return nil }
        defer { forgiveOpenSSLErrors() }
        if let store = try? PKCS12Store(file) {
            return Found(objects: try store.objects(passphrase: passphrase), isPKCS12: true)
        }
        if let key = try EncodedPrivateKey(recognizing: file) { return Found(objects: [.privateKey(key)]) }
        // The remaining kinds are not secret.
        let bytes = file.array
        if let certificate = try? Certificate(derEncoded: bytes) { return Found(objects: [.certificate(certificate)]) }
        if let list = try? CertificateRevocationList(derEncoded: bytes) {
            return Found(objects: [.revocationList(list)])
        }
        if let request = try? CertificateRequest(unproven: bytes, name: CertificateRequest.nameInContainers) {
            return Found(objects: [.certificateRequest(request)])
        }
        if let objects = try signedDataObjects(bytes) { return Found(objects: objects) }
        if let key = try? PublicKey(derEncoded: bytes) { return Found(objects: [.publicKey(key)]) }
        return nil
    }

    /// The certificates and CRLs in a PKCS#7 SignedData (RFC 5652 §5); `nil` if the bytes are not one.
    private static func signedDataObjects(_ bytes: [UInt8]) throws(CertificateError) -> [Container.Object]? {
        let decoded = unsafe bytes.withUnsafeBufferPointer { buffer in
            var position = buffer.baseAddress
            return unsafe d2i_PKCS7(nil, &position, buffer.count)
        }
        guard let message = unsafe decoded else { return nil }
        defer { unsafe PKCS7_free(message) }
        guard unsafe OBJ_obj2nid(message.pointee.type) == NID_pkcs7_signed, let signed = unsafe message.pointee.d.sign
        else { return nil }
        var objects: [Container.Object] = []
        if let certificates = unsafe signed.pointee.cert {
            for index in unsafe 0..<max(0, pki_sk_X509_num(certificates)) {
                guard let certificate = try? unsafe Certificate(copying: pki_sk_X509_value(certificates, index)) else {
                    throw CertificateError(.malformed, "a certificate in the PKCS#7 message cannot be read")
                }
                objects.append(.certificate(certificate))
            }
        }
        if let lists = unsafe signed.pointee.crl {
            for index in unsafe 0..<max(0, pki_sk_X509_CRL_num(lists)) {
                let list = unsafe pki_sk_X509_CRL_value(lists, index)
                guard let encoded = try? unsafe derEncoding(by: "i2d_X509_CRL", { unsafe i2d_X509_CRL(list, $0) })
                else {
                    throw CertificateError(.malformed, "a revocation list in the PKCS#7 message cannot be read")
                }
                objects.append(.revocationList(try CertificateRevocationList(derEncoded: encoded)))
            }
        }
        return objects
    }
}

extension EncodedPrivateKey {
    /// A private key in DER, recognized by decoding it; `nil` if it is not one.
    init?(recognizing file: SecretBytes) throws(CertificateError) {
        defer { forgiveOpenSSLErrors() }
        let isEncrypted = (try? KeyHandle.encryptedKey(file)) != nil
        if isEncrypted {
            try self.init(encryptedPrivateKeyInfo: file)
            return
        }
        let isInfo = (try? KeyHandle.privateKeyInfo(file)) != nil
        if isInfo {
            self.init(form: .pkcs8, encryption: nil, contents: .privateKeyInfo(file))
            return
        }
        // RSAPrivateKey begins with version and modulus, ECPrivateKey with version 1 and an octet string.
        let tags = unsafe file.withUnsafeBytes { bytes -> [UInt8] in
            guard bytes.count > 8 else { return [] }
            let lengthOctets = unsafe bytes[1] < 0x80 ? 1 : 1 + Int(bytes[1] & 0x7f)
            let version = 1 + lengthOctets
            guard version + 3 < bytes.count else { return [] }
            return unsafe [bytes[version], bytes[version + 1], bytes[version + 2], bytes[version + 3]]
        }
        switch tags {
        case [DER.integer, 1, 0, DER.integer]:
            self.init(form: .pkcs1, encryption: nil, contents: .traditional(file))
        case [DER.integer, 1, 1, DER.octetString]:
            self.init(form: .sec1, encryption: nil, contents: .traditional(file))
        default: return nil
        }
    }

    /// An EncryptedPrivateKeyInfo, whose encryption is read and found to be bearable.
    init(encryptedPrivateKeyInfo file: SecretBytes) throws(CertificateError) {
        let encryption: PasswordEncryption
        do {
            let encrypted = try KeyHandle.encryptedKey(file)
            encryption = try unsafe PasswordEncryption(signature: encrypted.pointer)
        } catch let error as CertificateError {
            throw CertificateError(error.code, "the private key: \(error.message)", hint: error.hint)
        } catch {
            throw CertificateError(.malformed, "the private key cannot be read: \(error)")
        }
        self.init(form: .pkcs8, encryption: encryption.description, contents: .encryptedPrivateKeyInfo(file))
    }
}

extension PasswordEncryption {
    /// The algorithm of an X509_SIG.
    init(signature: OpaquePointer) throws(CertificateError) {
        var algorithm: UnsafePointer<X509_ALGOR>?
        unsafe X509_SIG_get0(signature, &algorithm, nil)
        try unsafe self.init(algorithm)
    }
}

extension Certificate {
    /// Reads a certificate in OpenSSL's own format, without the trust settings that follow it.
    init(trustedDEREncoded bytes: [UInt8]) throws(CertificateError) {
        var count = 0
        let certificate = unsafe bytes.withUnsafeBufferPointer { buffer in
            var position = buffer.baseAddress
            let object = unsafe d2i_X509(nil, &position, buffer.count)
            if let start = buffer.baseAddress, let end = unsafe position { count = unsafe end - start }
            return unsafe object
        }
        guard let certificate = unsafe certificate else {
            throw CertificateError(.malformed, "the certificate cannot be read: \(OpenSSLError(in: "d2i_X509"))")
        }
        unsafe X509_free(certificate)
        try self.init(derEncoded: Array(bytes.prefix(count)))
    }
}

extension PublicKey {
    /// Reads an RSAPublicKey (RFC 8017 appendix A.1.1).
    init(rsaPublicKey bytes: [UInt8]) throws(CertificateError) {
        try self.init(derEncoded: Self.rsaEncoding(bytes))
    }
}
