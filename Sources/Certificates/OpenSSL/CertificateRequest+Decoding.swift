// SPDX-License-Identifier: Apache-2.0

import COpenSSL
public import SystemSupport

extension CertificateRequest {
    /// Reads the first request of a PEM text, or one in DER, and checks its signature. The name is used in messages,
    /// usually its path.
    public init(reading file: [UInt8], name: String) throws(CertificateError) {
        do {
            try self.init(derEncoded: try Self.derEncoded(in: file), name: name)
        } catch {
            throw CertificateError(error.code, "\(name): \(error.message)", hint: error.hint)
        }
    }

    private static func derEncoded(in file: [UInt8]) throws(CertificateError) -> [UInt8] {
        let file = WrappedText.unwrapped(file)
        if file.first == 0x30 { return file }
        let labels = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"]
        guard let document = try PEMDocument.documents(in: file).first(where: { labels.contains($0.label) }) else {
            throw CertificateError(
                .malformed, "there is no certificate request in it",
                hint: "a request in PEM begins with -----BEGIN CERTIFICATE REQUEST-----")
        }
        return document.bytes
    }

    /// Reads a request and checks its signature.
    public init(derEncoded: [UInt8], name: String) throws(CertificateError) {
        try self.init(unproven: derEncoded, name: name)
        switch isSignedByItsKey {
        case true?: return
        case false?:
            throw CertificateError(.mismatch, "the request's signature was not made with the key in it")
        case nil:
            throw CertificateError(
                .unsupported,
                "the request's signature, by a key of the kind \(publicKey.algorithm), cannot be checked with "
                    + OpenSSLVersion.text)
        }
    }

    /// Reads a request to be looked at: its signature is checked and may be wrong, see ``isSignedByItsKey``.
    package init(unproven derEncoded: [UInt8], name: String) throws(CertificateError) {
        self.name = name
        self.derEncoded = derEncoded
        do {
            let request: Owned<X509RequestObject> = try unsafe derDecoded(derEncoded, by: "d2i_X509_REQ") {
                unsafe d2i_X509_REQ(nil, $0, $1)
            }
            guard let info = unsafe X509_REQ_get_X509_PUBKEY(request.pointer) else {
                throw OpenSSLError(in: "X509_REQ_get_X509_PUBKEY")
            }
            let keyBytes = try unsafe derEncoding(by: "i2d_X509_PUBKEY") { unsafe i2d_X509_PUBKEY(info, $0) }
            publicKey = unsafe PublicKey(derEncoded: keyBytes, info: info)
            isSignedByItsKey = unsafe Self.isSigned(request.pointer, by: publicKey)
            var algorithm: UnsafePointer<X509_ALGOR>?
            unsafe X509_REQ_get0_signature(request.pointer, nil, &algorithm)
            signatureAlgorithm = unsafe SignatureAlgorithm(algorithm)
            subject = try unsafe DistinguishedName(X509_REQ_get_subject_name(request.pointer))
            extensions = try unsafe Self.extensions(of: request.pointer)
            subjectAlternativeNames =
                try extensions
                .filter { $0.identifier == CertificateExtension.subjectAlternativeName }
                .flatMap { (requested) throws(OpenSSLError) in try GeneralName.names(in: requested.value) }
        } catch {
            throw CertificateError(.malformed, "the certificate request cannot be read: \(error)")
        }
    }

    private static func isSigned(_ request: OpaquePointer, by publicKey: PublicKey) -> Bool? {
        defer { forgiveOpenSSLErrors() }
        guard let key = try? publicKey.key() else { return nil }
        return unsafe X509_REQ_verify(request, key.pointer) == 1
    }

    private static func extensions(of request: OpaquePointer) throws(OpenSSLError) -> [CertificateExtension] {
        guard let stack = unsafe X509_REQ_get_extensions(request) else {
            forgiveOpenSSLErrors()
            return []
        }
        let extensions = try unsafe Owned<X509ExtensionsObject>(stack, from: "X509_REQ_get_extensions")
        var copies: [CertificateExtension] = []
        for index in 0..<(unsafe pki_sk_X509_EXTENSION_num(extensions.pointer)) {
            guard let pointer = unsafe pki_sk_X509_EXTENSION_value(extensions.pointer, index) else { continue }
            copies.append(try unsafe CertificateExtension(pointer))
        }
        return copies
    }
}
