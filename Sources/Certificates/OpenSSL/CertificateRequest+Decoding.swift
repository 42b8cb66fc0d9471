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
        // Programs differ in which of them they read.
        guard Self.extensionRequestCount(in: derEncoded) <= 1 else {
            throw CertificateError(.malformed, "the certificate request asks for extensions twice")
        }
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
        do {
            if let request = try? CertificateRequest(byParts: derEncoded, name: name) {
                self = request
                return
            }
            try self.init(whole: derEncoded, name: name)
        } catch {
            throw CertificateError(.malformed, "the certificate request cannot be read: \(error)")
        }
    }

    /// Reads any request.
    init(whole derEncoded: [UInt8], name: String) throws(OpenSSLError) {
        let request: Owned<X509RequestObject> = try unsafe derDecoded(derEncoded, by: "d2i_X509_REQ") {
            unsafe d2i_X509_REQ(nil, $0, $1)
        }
        guard let info = unsafe X509_REQ_get_X509_PUBKEY(request.pointer) else {
            throw OpenSSLError(in: "X509_REQ_get_X509_PUBKEY")
        }
        let keyBytes = try unsafe derEncoding(by: "i2d_X509_PUBKEY") { unsafe i2d_X509_PUBKEY(info, $0) }
        let publicKey = unsafe PublicKey(derEncoded: keyBytes, info: info)
        var algorithm: UnsafePointer<X509_ALGOR>?
        unsafe X509_REQ_get0_signature(request.pointer, nil, &algorithm)
        var extensions: [CertificateExtension] = []
        if let stack = unsafe X509_REQ_get_extensions(request.pointer) {
            extensions = try Self.copies(of: try unsafe Owned(stack, from: "X509_REQ_get_extensions"))
        }
        forgiveOpenSSLErrors()
        try unsafe self.init(
            derEncoded, name, isSignedByItsKey: Self.isSigned(request.pointer, by: publicKey),
            SignatureAlgorithm(algorithm), DistinguishedName(X509_REQ_get_subject_name(request.pointer)), publicKey,
            extensions)
    }

    /// Reads a request with a key in the usual encoding of a curve, and no attributes but the extensions that it asks for;
    /// `nil` if it is another. As in a certificate, libcrypto reads the parts: see `Certificate`.
    init?(byParts derEncoded: [UInt8], name: String) throws(OpenSSLError) {
        guard let whole = DER.elements(inSequence: derEncoded),
            whole.map(\.tag) == [DER.sequence, DER.sequence, DER.bitString],
            let fields = DER.elements(in: whole[0].contents),
            fields.map(\.tag) == [DER.integer, DER.sequence, DER.sequence, DER.constructed(0)],
            fields[0].contents.elementsEqual([0]), let attributes = DER.elements(in: fields[3].contents),
            attributes.count <= 1, let publicKey = PublicKey(usualEncoding: Array(fields[2].encoding)),
            let verifier = try? SignatureVerifier(publicKey)
        else { return nil }
        var extensions: [CertificateExtension] = []
        if let attribute = attributes.first {
            guard attribute.tag == DER.sequence, let parts = DER.elements(in: attribute.contents),
                parts.map(\.tag) == [DER.identifier, DER.set],
                DER.objectIdentifierText(parts[0].contents) == Self.extensionRequest,
                let values = DER.elements(in: parts[1].contents), values.map(\.tag) == [DER.sequence]
            else { return nil }
            extensions = try Self.copies(
                of: try unsafe derDecoded(Array(values[0].encoding), by: "d2i_X509_EXTENSIONS") {
                    unsafe d2i_X509_EXTENSIONS(nil, $0, $1)
                })
        }
        let algorithm: Owned<AlgorithmObject> = try unsafe derDecoded(
            Array(whole[1].encoding), by: "d2i_X509_ALGOR"
        ) { unsafe OpaquePointer(d2i_X509_ALGOR(nil, $0, $1)) }
        let signatureAlgorithm = unsafe SignatureAlgorithm(UnsafePointer(algorithm.pointer))
        guard let isSigned = verifier.hasSigned(whole, by: signatureAlgorithm) else { return nil }
        let subject = DistinguishedName(derEncoded: Array(fields[1].encoding))
        _ = try subject.object()
        try self.init(
            derEncoded, name, isSignedByItsKey: isSigned, signatureAlgorithm, subject, publicKey, extensions)
    }

    private static let extensionRequest = "1.2.840.113549.1.9.14"
    /// The same, as Microsoft's programs write it.
    private static let microsoftExtensionRequest = "1.3.6.1.4.1.311.2.1.14"

    /// The number of values of all attributes that ask for extensions.
    private static func extensionRequestCount(in derEncoded: [UInt8]) -> Int {
        guard let whole = DER.elements(inSequence: derEncoded)?.first, let fields = DER.elements(in: whole.contents),
            let attributes = fields.last.flatMap({ DER.elements(in: $0.contents) })
        else { return 0 }
        return attributes.reduce(0) { count, attribute in
            guard let parts = DER.elements(in: attribute.contents), parts.count == 2,
                let identifier = DER.objectIdentifierText(parts[0].contents),
                [extensionRequest, microsoftExtensionRequest].contains(identifier)
            else { return count }
            return count + (DER.elements(in: parts[1].contents)?.count ?? 0)
        }
    }

    private init(
        _ derEncoded: [UInt8], _ name: String, isSignedByItsKey: Bool?, _ signatureAlgorithm: SignatureAlgorithm,
        _ subject: DistinguishedName, _ publicKey: PublicKey, _ extensions: [CertificateExtension]
    ) throws(OpenSSLError) {
        self.derEncoded = derEncoded
        self.name = name
        self.isSignedByItsKey = isSignedByItsKey
        self.signatureAlgorithm = signatureAlgorithm
        self.subject = subject
        self.publicKey = publicKey
        self.extensions = extensions
        var names: [GeneralName] = []
        for requested in extensions where requested.identifier == CertificateExtension.subjectAlternativeName {
            names += try GeneralName.names(in: requested.value)
        }
        subjectAlternativeNames = names
    }

    private static func copies(
        of extensions: borrowing Owned<X509ExtensionsObject>
    ) throws(OpenSSLError) -> [CertificateExtension] {
        var copies: [CertificateExtension] = []
        for index in 0..<(unsafe pki_sk_X509_EXTENSION_num(extensions.pointer)) {
            guard let pointer = unsafe pki_sk_X509_EXTENSION_value(extensions.pointer, index) else { continue }
            copies.append(try unsafe CertificateExtension(pointer))
        }
        return copies
    }

    private static func isSigned(_ request: OpaquePointer, by publicKey: PublicKey) -> Bool? {
        defer { forgiveOpenSSLErrors() }
        guard let key = try? publicKey.key() else { return nil }
        return unsafe X509_REQ_verify(request, key.pointer) == 1
    }
}
