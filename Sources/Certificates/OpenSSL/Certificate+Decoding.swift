// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import struct FoundationEssentials.Date
import Glibc
public import SystemSupport

extension Certificate {
    /// Reads a certificate.
    ///
    /// - Parameter derEncoded: The DER encoding and nothing behind it.
    /// - Throws: ``CertificateError`` with ``CertificateErrorCode/malformed``.
    public init(derEncoded: [UInt8]) throws(CertificateError) {
        do {
            let certificate = try Self.object(derEncoded)
            self.init(derEncoded: derEncoded, contents: try unsafe Contents(certificate.pointer))
        } catch {
            throw CertificateError(.malformed, "the certificate cannot be read: \(error)")
        }
    }

    private static func object(_ bytes: [UInt8]) throws(OpenSSLError) -> Owned<X509Object> {
        try unsafe derDecoded(bytes, by: "d2i_X509") { unsafe d2i_X509(nil, $0, $1) }
    }

    /// libcrypto's view of the certificate, for one function.
    func object() throws(OpenSSLError) -> Owned<X509Object> { try Self.object(derEncoded) }

    /// Whether this certificate's key made the signature on another.
    ///
    /// - Parameter certificate: A certificate that this one may have issued.
    /// - Returns: `false` also when the algorithm is not known. Names and validity are not looked at.
    public func hasSigned(_ certificate: Certificate) -> Bool {
        defer { forgiveOpenSSLErrors() }
        guard let key = try? publicKey.key(), let object = try? certificate.object() else { return false }
        return unsafe X509_verify(object.pointer, key.pointer) == 1
    }

    /// The SHA-1 of the DER encoding, in lower-case hexadecimal: a name that older tools know a certificate by, and no proof.
    package var sha1Fingerprint: String {
        var digest = [UInt8](repeating: 0, count: 20)
        let status = unsafe EVP_Digest(derEncoded, derEncoded.count, &digest, nil, EVP_sha1(), nil)
        defer { forgiveOpenSSLErrors() }
        return status == 1 ? hexadecimal(digest) : ""
    }

    /// The alternative names of the subject; none when the extension is absent or malformed.
    public var subjectAlternativeNames: [GeneralName] {
        guard let found = extensions.first(where: { $0.identifier == CertificateExtension.subjectAlternativeName }),
            let names = try? GeneralName.names(in: found.value)
        else { return [] }
        return names
    }

    /// The extended key usages by libcrypto's short names (`clientAuth`) or in dots; none when the extension is absent.
    public var extendedKeyUsage: [String] {
        guard let object = try? object(),
            let usages = unsafe OpaquePointer(X509_get_ext_d2i(object.pointer, NID_ext_key_usage, nil, nil))
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

extension Certificate.Contents {
    fileprivate init(_ certificate: OpaquePointer) throws(OpenSSLError) {
        guard let info = unsafe X509_get_X509_PUBKEY(certificate) else {
            throw OpenSSLError(in: "X509_get_X509_PUBKEY")
        }
        let keyBytes = try unsafe derEncoding(by: "i2d_X509_PUBKEY") { unsafe i2d_X509_PUBKEY(info, $0) }
        version = unsafe Int(X509_get_version(certificate)) + 1
        serialNumber = unsafe SerialNumber(octets(of: X509_get0_serialNumber(certificate)))
        signatureAlgorithm = unsafe SignatureAlgorithm(certificate)
        issuer = try unsafe DistinguishedName(X509_get_issuer_name(certificate))
        subject = try unsafe DistinguishedName(X509_get_subject_name(certificate))
        notBefore = try unsafe Date(X509_get0_notBefore(certificate))
        notAfter = try unsafe Date(X509_get0_notAfter(certificate))
        publicKey = unsafe PublicKey(derEncoded: keyBytes, info: info)
        extensions = []
        for index in 0..<(unsafe X509_get_ext_count(certificate)) {
            guard let pointer = unsafe X509_get_ext(certificate, index) else { continue }
            extensions.append(try unsafe CertificateExtension(pointer))
        }
        basicConstraints = unsafe BasicConstraints(certificate)
        keyUsage = unsafe KeyUsage(certificate)
        subjectKeyIdentifier = unsafe X509_get0_subject_key_id(certificate).map { unsafe octets(of: $0) }
        authorityKeyIdentifier = unsafe X509_get0_authority_key_id(certificate).map { unsafe octets(of: $0) }
        forgiveOpenSSLErrors()
    }
}

extension SignatureAlgorithm {
    fileprivate init(_ certificate: OpaquePointer) {
        var digestIdentifier: CInt = 0
        let known = unsafe X509_get_signature_info(certificate, &digestIdentifier, nil, nil, nil)
        forgiveOpenSSLErrors()
        var algorithm: UnsafePointer<X509_ALGOR>?
        unsafe X509_get0_signature(nil, &algorithm, certificate)
        let identifier = unsafe X509_get_signature_nid(certificate)
        let longName = unsafe identifier == NID_undef ? nil : text(of: OBJ_nid2ln(identifier))
        name = unsafe longName ?? dottedText(of: algorithm?.pointee.algorithm)
        digest = unsafe known == 1 && digestIdentifier != NID_undef ? text(of: OBJ_nid2sn(digestIdentifier)) : nil
        // One that cannot be told is weak only when the name says so: ML-DSA is unknown to older libcrypto.
        let strong: Set<String> = ["SHA256", "SHA384", "SHA512", "SHA3-256", "SHA3-384", "SHA3-512"]
        isWeak = digest.map { !strong.contains($0) } ?? false
    }
}

extension BasicConstraints {
    fileprivate init?(_ certificate: OpaquePointer) {
        guard let memory = unsafe X509_get_ext_d2i(certificate, NID_basic_constraints, nil, nil) else { return nil }
        let constraints = unsafe memory.assumingMemoryBound(to: BASIC_CONSTRAINTS.self)
        defer { unsafe BASIC_CONSTRAINTS_free(constraints) }
        let length = unsafe constraints.pointee.pathlen.map { unsafe Int(ASN1_INTEGER_get($0)) }
        self.init(isCA: unsafe constraints.pointee.ca != 0, pathLength: length)
    }
}

extension KeyUsage {
    /// Translates libcrypto's numbers, which keep the order of the octets.
    fileprivate init?(_ certificate: OpaquePointer) {
        guard unsafe X509_get_extension_flags(certificate) & UInt32(EXFLAG_KUSAGE) != 0 else { return nil }
        let bits = unsafe X509_get_key_usage(certificate)
        var usage = KeyUsage()
        for bit in 0..<9 {
            let mask: UInt32 = bit < 8 ? 0x80 >> UInt32(bit) : 0x8000
            if bits & mask != 0 { usage.insert(KeyUsage(rawValue: 1 << UInt16(bit))) }
        }
        self = usage
    }
}

extension CertificateExtension {
    /// Copies libcrypto's extension.
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
            year: Int(parts.tm_year) + 1900,
            month: Int(parts.tm_mon) + 1,
            day: Int(parts.tm_mday),
            hour: Int(parts.tm_hour),
            minute: Int(parts.tm_min),
            second: Int(parts.tm_sec)
        )
        guard let civil else { throw OpenSSLError(in: "ASN1_TIME_to_tm") }
        self = civil.date
    }
}
