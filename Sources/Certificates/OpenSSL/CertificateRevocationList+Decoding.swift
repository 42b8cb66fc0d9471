// SPDX-License-Identifier: Apache-2.0

import COpenSSL
public import SystemSupport
import struct FoundationEssentials.Date

extension CertificateRevocationList {
    /// Reads a list.
    ///
    /// - Parameter derEncoded: The DER encoding and nothing behind it.
    /// - Throws: ``CertificateError`` with ``CertificateErrorCode/malformed``.
    public init(derEncoded: [UInt8]) throws(CertificateError) {
        do {
            let list = try Self.object(derEncoded)
            try Self.checkAlgorithms(derEncoded)
            self.init(derEncoded: derEncoded, contents: try unsafe Contents(list.pointer))
        } catch {
            throw CertificateError(.malformed, "the certificate revocation list cannot be read: \(error)")
        }
    }

    private static func object(_ bytes: [UInt8]) throws(OpenSSLError) -> Owned<X509RevocationListObject> {
        try unsafe derDecoded(bytes, by: "d2i_X509_CRL") { unsafe d2i_X509_CRL(nil, $0, $1) }
    }

    /// Refuses a list whose algorithm is one thing under the signature and another beside it (RFC 5280 §5.1.1.2), which
    /// libcrypto compares in certificates only.
    private static func checkAlgorithms(_ bytes: [UInt8]) throws(OpenSSLError) {
        guard let outer = DER.elements(inSequence: bytes), outer.count == 3,
            let fields = DER.elements(in: outer[0].contents),
            let inner = fields.first(where: { $0.tag == DER.sequence }), inner.contents == outer[1].contents
        else { throw OpenSSLError(in: "CertificateList.signatureAlgorithm") }
    }

    /// Whether a key made the signature.
    ///
    /// - Parameter key: The key.
    /// - Returns: `false` also when the algorithm is not known.
    public func isSigned(by key: PublicKey) -> Bool {
        defer { forgiveOpenSSLErrors() }
        guard let key = try? key.key(), let object = try? Self.object(derEncoded) else { return false }
        return unsafe X509_CRL_verify(object.pointer, key.pointer) == 1
    }
}

enum X509RevocationListObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe X509_CRL_free(pointer) }
}

extension CertificateRevocationList.Contents {
    /// What is acted upon, or changes nothing about whether a certificate is revoked.
    private static let handled: Set<CInt> = [
        NID_authority_key_identifier, NID_crl_number, NID_crl_reason, NID_invalidity_date, NID_issuer_alt_name,
        NID_freshest_crl, NID_info_access,
    ]

    fileprivate init(_ list: OpaquePointer) throws(OpenSSLError) {
        version = unsafe Int(X509_CRL_get_version(list)) + 1
        guard version == 1 || version == 2 else { throw OpenSSLError(in: "X509_CRL_get_version") }
        signatureAlgorithm = unsafe SignatureAlgorithm(revocationList: list)
        issuer = try unsafe DistinguishedName(X509_CRL_get_issuer(list))
        thisUpdate = try unsafe Date(X509_CRL_get0_lastUpdate(list))
        nextUpdate = nil
        if let time = unsafe X509_CRL_get0_nextUpdate(list) { nextUpdate = try unsafe Date(time) }
        extensions = []
        var unhandled: [String] = []
        for index in 0..<(unsafe X509_CRL_get_ext_count(list)) {
            guard let pointer = unsafe X509_CRL_get_ext(list, index) else { continue }
            extensions.append(try unsafe CertificateExtension(pointer))
            if let name = unsafe Self.unhandledName(pointer), !unhandled.contains(name) { unhandled.append(name) }
        }
        number = try unsafe Self.number(list)
        authorityKeyIdentifier = try unsafe Self.authorityKeyIdentifier(list)
        entries = try unsafe Self.entries(list, &unhandled)
        unhandledCriticalExtensions = unhandled
        forgiveOpenSSLErrors()
    }

    private static func unhandledName(_ pointer: OpaquePointer) -> String? {
        guard unsafe X509_EXTENSION_get_critical(pointer) != 0 else { return nil }
        let object = unsafe X509_EXTENSION_get_object(pointer)
        return unsafe handled.contains(OBJ_obj2nid(object)) ? nil : name(of: object)
    }

    private static func number(_ list: OpaquePointer) throws(OpenSSLError) -> SerialNumber? {
        var found: CInt = 0
        guard let memory = unsafe X509_CRL_get_ext_d2i(list, NID_crl_number, &found, nil) else {
            // -1 says that there is none; what is twice or malformed must not pass for absent.
            guard found == -1 else { throw OpenSSLError(in: "X509_CRL_get_ext_d2i") }
            return nil
        }
        let number = unsafe memory.assumingMemoryBound(to: ASN1_INTEGER.self)
        defer { unsafe ASN1_INTEGER_free(number) }
        return unsafe SerialNumber(octets(of: number))
    }

    private static func authorityKeyIdentifier(_ list: OpaquePointer) throws(OpenSSLError) -> [UInt8]? {
        var found: CInt = 0
        guard let memory = unsafe X509_CRL_get_ext_d2i(list, NID_authority_key_identifier, &found, nil) else {
            guard found == -1 else { throw OpenSSLError(in: "X509_CRL_get_ext_d2i") }
            return nil
        }
        let identifier = unsafe memory.assumingMemoryBound(to: AUTHORITY_KEYID.self)
        defer { unsafe AUTHORITY_KEYID_free(identifier) }
        return unsafe identifier.pointee.keyid.map { unsafe octets(of: $0) }
    }

    private typealias Entry = CertificateRevocationList.Entry

    private static func entries(
        _ list: OpaquePointer,
        _ unhandled: inout [String]
    ) throws(OpenSSLError) -> [SerialNumber: CertificateRevocationList.Entry] {
        guard let stack = unsafe X509_CRL_get_REVOKED(list) else { return [:] }
        let count = unsafe pki_sk_X509_REVOKED_num(stack)
        var entries: [SerialNumber: Entry] = [:]
        entries.reserveCapacity(Int(count))
        for index in 0..<max(0, count) {
            guard let revoked = unsafe pki_sk_X509_REVOKED_value(stack, index) else { continue }
            let serialNumber = unsafe SerialNumber(octets(of: X509_REVOKED_get0_serialNumber(revoked)))
            let date = try unsafe Date(X509_REVOKED_get0_revocationDate(revoked))
            let reason = try unsafe reason(revoked, &unhandled)
            // What is taken back is not revoked. Of two entries for one certificate the first counts.
            guard reason != .removeFromCRL, entries[serialNumber] == nil else { continue }
            entries[serialNumber] = Entry(serialNumber: serialNumber, revocationDate: date, reason: reason)
        }
        return entries
    }

    private static func reason(
        _ revoked: OpaquePointer,
        _ unhandled: inout [String]
    ) throws(OpenSSLError) -> RevocationReason? {
        let count = unsafe X509_REVOKED_get_ext_count(revoked)
        guard count > 0 else { return nil }
        for index in 0..<count {
            guard let pointer = unsafe X509_REVOKED_get_ext(revoked, index),
                let name = unsafe unhandledName(pointer), !unhandled.contains(name)
            else { continue }
            unhandled.append(name)
        }
        var found: CInt = 0
        guard let memory = unsafe X509_REVOKED_get_ext_d2i(revoked, NID_crl_reason, &found, nil) else {
            guard found == -1 else { throw OpenSSLError(in: "X509_REVOKED_get_ext_d2i") }
            return nil
        }
        let code = unsafe memory.assumingMemoryBound(to: ASN1_ENUMERATED.self)
        defer { unsafe ASN1_ENUMERATED_free(code) }
        return unsafe RevocationReason(rawValue: Int(ASN1_ENUMERATED_get(code))) ?? .unspecified
    }
}

extension SignatureAlgorithm {
    /// Reads a list's algorithm, for which libcrypto has no `get_signature_info`.
    fileprivate init(revocationList list: OpaquePointer) {
        var algorithm: UnsafePointer<X509_ALGOR>?
        unsafe X509_CRL_get0_signature(list, nil, &algorithm)
        unsafe self.init(algorithm, identifier: X509_CRL_get_signature_nid(list))
    }

    /// Reads a request's algorithm, for which there is none either.
    init(request: OpaquePointer) {
        var algorithm: UnsafePointer<X509_ALGOR>?
        unsafe X509_REQ_get0_signature(request, nil, &algorithm)
        unsafe self.init(algorithm, identifier: X509_REQ_get_signature_nid(request))
    }

    private init(_ algorithm: UnsafePointer<X509_ALGOR>?, identifier: CInt) {
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
