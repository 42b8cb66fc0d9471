// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import struct FoundationEssentials.Date
import Glibc
public import SystemSupport

extension Certificate {
    /// Reads a certificate from its DER encoding, with no bytes after it.
    public init(derEncoded: [UInt8]) throws(CertificateError) {
        do {
            if let certificate = try? Certificate(byParts: derEncoded) {
                self = certificate
                return
            }
            try self.init(whole: derEncoded)
        } catch {
            throw CertificateError(.malformed, "the certificate cannot be read: \(error)")
        }
    }

    init(copying certificate: OpaquePointer?) throws {
        try self.init(derEncoded: unsafe derEncoding(by: "i2d_X509") { unsafe i2d_X509(certificate, $0) })
    }

    private static func object(_ bytes: [UInt8]) throws(OpenSSLError) -> Owned<X509Object> {
        try unsafe derDecoded(bytes, by: "d2i_X509") { unsafe d2i_X509(nil, $0, $1) }
    }

    /// libcrypto's view of the certificate, for one function.
    func object() throws(OpenSSLError) -> Owned<X509Object> { try Self.object(derEncoded) }

    /// Whether this certificate's key signed another; `false` also if the algorithm is not known. Names and validity are
    /// not checked.
    public func hasSigned(_ certificate: Certificate) -> Bool {
        defer { forgiveOpenSSLErrors() }
        guard let key = try? publicKey.key(), let object = try? certificate.object() else { return false }
        return unsafe X509_verify(object.pointer, key.pointer) == 1
    }

    /// The SHA-1 of the DER encoding, in lower-case hexadecimal: a name that older tools know a certificate by, and no proof.
    package var sha1Fingerprint: String { hexadecimal(sha1(derEncoded)) }

    /// The alternative names of the subject; none when the extension is absent or malformed.
    public var subjectAlternativeNames: [GeneralName] {
        guard let found = extensions.first(where: { $0.identifier == CertificateExtension.subjectAlternativeName }),
            let names = try? GeneralName.names(in: found.value)
        else { return [] }
        return names
    }

    /// The extended key usages by libcrypto's short names (`clientAuth`) or in dots; none when the extension is absent.
    public var extendedKeyUsage: [String] {
        let found = extensions.filter { $0.identifier == CertificateExtension.extendedKeyUsage }
        guard found.count == 1, let object = try? found[0].object(),
            let usages = unsafe OpaquePointer(X509V3_EXT_d2i(object.pointer))
        else {
            forgiveOpenSSLErrors()
            return []
        }
        defer { unsafe EXTENDED_KEY_USAGE_free(usages) }
        return unsafe (0..<pki_sk_ASN1_OBJECT_num(usages)).map { index in
            unsafe name(of: pki_sk_ASN1_OBJECT_value(usages, index))
        }
    }
}

extension Certificate {
    /// Reads any certificate.
    init(whole derEncoded: [UInt8]) throws(OpenSSLError) {
        let certificate = try Self.object(derEncoded)
        try unsafe self.init(derEncoded, certificate.pointer)
    }

    private init(_ derEncoded: [UInt8], _ certificate: OpaquePointer) throws(OpenSSLError) {
        guard let info = unsafe X509_get_X509_PUBKEY(certificate) else {
            throw OpenSSLError(in: "X509_get_X509_PUBKEY")
        }
        let keyBytes = try unsafe derEncoding(by: "i2d_X509_PUBKEY") { unsafe i2d_X509_PUBKEY(info, $0) }
        var algorithm: UnsafePointer<X509_ALGOR>?
        unsafe X509_get0_signature(nil, &algorithm, certificate)
        try unsafe self.init(
            derEncoded, version: Int(X509_get_version(certificate)) + 1, X509_get0_serialNumber(certificate), algorithm,
            issuer: DistinguishedName(X509_get_issuer_name(certificate)),
            subject: DistinguishedName(X509_get_subject_name(certificate)), X509_get0_notBefore(certificate),
            X509_get0_notAfter(certificate), PublicKey(derEncoded: keyBytes, info: info),
            X509_get0_extensions(certificate))
    }

    /// Reads a certificate of version 3 with a key in the usual encoding of a curve; `nil` if it is another.
    ///
    /// libcrypto reads the parts, as it does in a whole certificate. It would search its decoders for the key, which takes
    /// ten times as long as everything else.
    init?(byParts derEncoded: [UInt8]) throws(OpenSSLError) {
        guard let whole = DER.elements(inSequence: derEncoded),
            whole.map(\.tag) == [DER.sequence, DER.sequence, DER.bitString],
            let fields = DER.elements(in: whole[0].contents),
            fields.map(\.tag) == [
                DER.constructed(0), DER.integer, DER.sequence, DER.sequence, DER.sequence, DER.sequence, DER.sequence,
                DER.constructed(3),
            ], fields[0].contents.elementsEqual([DER.integer, 1, 2]),
            fields[2].contents == whole[1].contents, let times = DER.elements(in: fields[4].contents), times.count == 2,
            // The octets of the signature follow the number of unused bits.
            let unusedBits = whole[2].contents.first, unusedBits < 8,
            let publicKey = PublicKey(usualEncoding: Array(fields[6].encoding))
        else { return nil }
        func read<Object: OpenSSLObject>(
            _ bytes: ArraySlice<UInt8>, _ function: StaticString,
            _ decode: (UnsafeMutablePointer<UnsafePointer<UInt8>?>, Int) -> OpaquePointer?
        ) throws(OpenSSLError) -> Owned<Object> { try unsafe derDecoded(Array(bytes), by: function, decode) }
        let serialNumber: Owned<IntegerObject> = try unsafe read(fields[1].encoding, "d2i_ASN1_INTEGER") {
            unsafe OpaquePointer(d2i_ASN1_INTEGER(nil, $0, $1))
        }
        let algorithm: Owned<AlgorithmObject> = try unsafe read(whole[1].encoding, "d2i_X509_ALGOR") {
            unsafe OpaquePointer(d2i_X509_ALGOR(nil, $0, $1))
        }
        let notBefore: Owned<TimeObject> = try unsafe read(times[0].encoding, "d2i_ASN1_TIME") {
            unsafe OpaquePointer(d2i_ASN1_TIME(nil, $0, $1))
        }
        let notAfter: Owned<TimeObject> = try unsafe read(times[1].encoding, "d2i_ASN1_TIME") {
            unsafe OpaquePointer(d2i_ASN1_TIME(nil, $0, $1))
        }
        let extensions: Owned<X509ExtensionsObject> = try unsafe read(fields[7].contents, "d2i_X509_EXTENSIONS") {
            unsafe d2i_X509_EXTENSIONS(nil, $0, $1)
        }
        let issuer = DistinguishedName(derEncoded: Array(fields[3].encoding))
        let subject = DistinguishedName(derEncoded: Array(fields[5].encoding))
        for name in [issuer, subject] { _ = try name.object() }
        try unsafe self.init(
            derEncoded, version: 3, UnsafePointer(serialNumber.pointer), UnsafePointer(algorithm.pointer),
            issuer: issuer, subject: subject, UnsafePointer(notBefore.pointer), UnsafePointer(notAfter.pointer),
            publicKey, extensions.pointer)
    }

    private init(
        _ derEncoded: [UInt8], version: Int, _ serialNumber: UnsafePointer<ASN1_INTEGER>?,
        _ algorithm: UnsafePointer<X509_ALGOR>?, issuer: DistinguishedName, subject: DistinguishedName,
        _ notBefore: UnsafePointer<ASN1_TIME>?, _ notAfter: UnsafePointer<ASN1_TIME>?, _ publicKey: PublicKey,
        _ stack: OpaquePointer?
    ) throws(OpenSSLError) {
        self.derEncoded = derEncoded
        self.version = version
        self.serialNumber = unsafe integer(serialNumber)
        signatureAlgorithm = unsafe SignatureAlgorithm(algorithm)
        self.issuer = issuer
        self.subject = subject
        self.notBefore = try unsafe Date(notBefore)
        self.notAfter = try unsafe Date(notAfter)
        self.publicKey = publicKey
        var extensions: [CertificateExtension] = []
        for index in 0..<(unsafe stack == nil ? 0 : pki_sk_X509_EXTENSION_num(stack)) {
            guard let pointer = unsafe pki_sk_X509_EXTENSION_value(stack, index) else { continue }
            extensions.append(try unsafe CertificateExtension(pointer))
        }
        self.extensions = extensions
        basicConstraints = unsafe BasicConstraints(stack)
        let usages = extensions.filter { $0.identifier == CertificateExtension.keyUsage }
        keyUsage = usages.count == 1 ? KeyUsage(derEncoded: usages[0].value) : nil
        subjectKeyIdentifier = unsafe keyIdentifier(stack)
        authorityKeyIdentifier = unsafe authorityIdentifier(stack)
        forgiveOpenSSLErrors()
    }
}

/// The subject key identifier; `nil` if the extension is absent, malformed or there twice.
private func keyIdentifier(_ extensions: OpaquePointer?) -> [UInt8]? {
    guard let memory = unsafe X509V3_get_d2i(extensions, NID_subject_key_identifier, nil, nil) else { return nil }
    let identifier = unsafe memory.assumingMemoryBound(to: ASN1_OCTET_STRING.self)
    defer { unsafe ASN1_OCTET_STRING_free(identifier) }
    return unsafe octets(of: identifier)
}

/// The identifier of the issuer's key; `nil` if there is none, or the extension is malformed or there twice.
private func authorityIdentifier(_ extensions: OpaquePointer?) -> [UInt8]? {
    guard let memory = unsafe X509V3_get_d2i(extensions, NID_authority_key_identifier, nil, nil) else { return nil }
    let identifier = unsafe memory.assumingMemoryBound(to: AUTHORITY_KEYID.self)
    defer { unsafe AUTHORITY_KEYID_free(identifier) }
    return unsafe identifier.pointee.keyid.map { unsafe octets(of: $0) }
}

extension SignatureAlgorithm {
    init(_ algorithm: UnsafePointer<X509_ALGOR>?) {
        let identifier = unsafe OBJ_obj2nid(algorithm?.pointee.algorithm)
        let longName = unsafe identifier == NID_undef ? nil : text(of: OBJ_nid2ln(identifier))
        name = unsafe longName ?? dottedText(of: algorithm?.pointee.algorithm)
        var digestIdentifier = NID_undef
        if identifier == NID_rsassaPss {
            digestIdentifier = unsafe Self.digest(ofPSS: algorithm?.pointee.parameter)
        } else {
            _ = unsafe OBJ_find_sigid_algs(identifier, &digestIdentifier, nil)
        }
        forgiveOpenSSLErrors()
        digest = unsafe digestIdentifier == NID_undef ? nil : text(of: OBJ_nid2sn(digestIdentifier))
        // An algorithm without a hash function of its own, such as ML-DSA, is not weak.
        let strong: Set<String> = ["SHA256", "SHA384", "SHA512", "SHA3-256", "SHA3-384", "SHA3-512"]
        isWeak = digest.map { !strong.contains($0) } ?? false
    }

    /// The hash function of RSASSA-PSS (RFC 4055 §3.1), SHA-1 when the parameters leave it out.
    private static func digest(ofPSS parameter: UnsafeMutablePointer<ASN1_TYPE>?) -> CInt {
        guard let parameter = unsafe parameter, unsafe parameter.pointee.type == V_ASN1_SEQUENCE else {
            return NID_undef
        }
        let bytes = unsafe octets(of: parameter.pointee.value.sequence)
        let decoded = unsafe bytes.withUnsafeBufferPointer { buffer in
            var position = buffer.baseAddress
            return unsafe d2i_RSA_PSS_PARAMS(nil, &position, buffer.count)
        }
        guard let decoded = unsafe decoded else { return NID_undef }
        defer { unsafe RSA_PSS_PARAMS_free(decoded) }
        guard let hash = unsafe decoded.pointee.hashAlgorithm else { return NID_sha1 }
        return unsafe OBJ_obj2nid(hash.pointee.algorithm)
    }
}

extension BasicConstraints {
    fileprivate init?(_ extensions: OpaquePointer?) {
        guard let memory = unsafe X509V3_get_d2i(extensions, NID_basic_constraints, nil, nil) else { return nil }
        let constraints = unsafe memory.assumingMemoryBound(to: BASIC_CONSTRAINTS.self)
        defer { unsafe BASIC_CONSTRAINTS_free(constraints) }
        let length = unsafe constraints.pointee.pathlen.map { encoded in
            var length: Int64 = 0
            // Beyond 64 bits it limits nothing.
            if unsafe ASN1_INTEGER_get_int64(&length, encoded) == 1 { return Int(length) }
            return unsafe encoded.pointee.type & V_ASN1_NEG == 0 ? Int.max : Int.min
        }
        forgiveOpenSSLErrors()
        self.init(isCA: unsafe constraints.pointee.ca != 0, pathLength: length)
    }
}

extension CertificateExtension {
    init(_ pointer: OpaquePointer) throws(OpenSSLError) {
        let object = unsafe X509_EXTENSION_get_object(pointer)
        identifier = unsafe dottedText(of: object)
        name = unsafe Certificates.name(of: object)
        isCritical = unsafe X509_EXTENSION_get_critical(pointer) != 0
        derEncoded = try unsafe derEncoding(by: "i2d_X509_EXTENSION") { unsafe i2d_X509_EXTENSION(pointer, $0) }
        value = unsafe octets(of: X509_EXTENSION_get_data(pointer))
    }
}

extension Date {
    /// Reads an ASN.1 time, which is in UTC.
    init(_ time: UnsafePointer<ASN1_TIME>?) throws(OpenSSLError) {
        var parts = unsafe tm()
        try unsafe check(ASN1_TIME_to_tm(time, &parts), "ASN1_TIME_to_tm")
        let civil = unsafe CivilTime(
            year: Int(parts.tm_year) + 1900, month: Int(parts.tm_mon) + 1, day: Int(parts.tm_mday),
            hour: Int(parts.tm_hour), minute: Int(parts.tm_min), second: Int(parts.tm_sec))
        guard let civil else { throw OpenSSLError(in: "ASN1_TIME_to_tm") }
        self = civil.date
    }
}

extension CertificateExtension {
    /// The value as libcrypto prints it, with blanks for line ends; `nil` if it does not know the extension or the value
    /// is malformed. It may hold text of others that is not safe for a terminal.
    package var text: String? {
        defer { forgiveOpenSSLErrors() }
        guard let object = try? object(),
            let output = try? unsafe Owned<InputOutputObject>(BIO_new(BIO_s_mem()), from: "BIO_new"),
            unsafe X509V3_EXT_print(output.pointer, object.pointer, 0, 0) == 1
        else { return nil }
        var data: UnsafeMutablePointer<CChar>?
        let count = unsafe pki_BIO_get_mem_data(output.pointer, &data)
        let lines = unsafe String(decoding: UnsafeRawBufferPointer(start: data, count: count), as: UTF8.self)
        return lines.split { $0.isWhitespace }.joined(separator: " ")
    }

    /// Whether libcrypto can read the value of an extension. `false` also for an extension that libcrypto does not know.
    static func canRead(_ identifier: String, _ value: [UInt8]) -> Bool {
        defer { forgiveOpenSSLErrors() }
        let found = CertificateExtension(identifier, name: identifier, isCritical: false, value: value)
        guard let object = try? found.object(),
            let method = unsafe X509V3_EXT_get(object.pointer),
            let item = unsafe method.pointee.it?(),
            let decoded = unsafe X509V3_EXT_d2i(object.pointer)
        else { return false }
        unsafe ASN1_item_free(OpaquePointer(decoded), item)
        return true
    }

    fileprivate func object() throws(OpenSSLError) -> Owned<X509ExtensionObject> {
        try unsafe derDecoded(derEncoded, by: "d2i_X509_EXTENSION") { unsafe d2i_X509_EXTENSION(nil, $0, $1) }
    }
}

extension GeneralName {
    init(_ name: UnsafePointer<GENERAL_NAME>) {
        var type: CInt = 0
        guard let value = unsafe GENERAL_NAME_get0_value(name, &type) else {
            self = .other("kind \(type)")
            return
        }
        let contents = { unsafe octets(of: value.assumingMemoryBound(to: ASN1_STRING.self)) }
        let string = { String(decoding: contents(), as: UTF8.self) }
        switch type {
        case GEN_DNS: self = .dns(string())
        case GEN_IPADD: self = .ip(contents())
        case GEN_URI: self = .uri(string())
        case GEN_EMAIL: self = .email(string())
        case GEN_DIRNAME:
            let name = try? unsafe DistinguishedName(OpaquePointer(value))
            self = name.map(GeneralName.directory) ?? .other("dirName")
        case GEN_OTHERNAME: self = .other("otherName")
        case GEN_RID: self = .other("registeredID")
        case GEN_X400: self = .other("x400Address")
        case GEN_EDIPARTY: self = .other("ediPartyName")
        default: self = .other("kind \(type)")
        }
    }

    /// Reads the value of a subjectAltName extension.
    static func names(in extensionValue: [UInt8]) throws(OpenSSLError) -> [GeneralName] {
        let names: Owned<GeneralNamesObject> = try unsafe derDecoded(extensionValue, by: "d2i_GENERAL_NAMES") {
            unsafe d2i_GENERAL_NAMES(nil, $0, $1)
        }
        return unsafe (0..<pki_sk_GENERAL_NAME_num(names.pointer)).compactMap { index in
            guard let name = unsafe pki_sk_GENERAL_NAME_value(names.pointer, index) else { return nil }
            return unsafe GeneralName(name)
        }
    }
}
