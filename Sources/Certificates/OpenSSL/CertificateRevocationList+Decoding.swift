// SPDX-License-Identifier: Apache-2.0

import COpenSSL
public import SystemSupport
import struct FoundationEssentials.Date

extension CertificateRevocationList {
    /// Reads a CRL from its DER encoding, with no bytes after it.
    public init(derEncoded: [UInt8]) throws(CertificateError) {
        do {
            let list = try Self.object(derEncoded)
            try Self.checkAlgorithms(derEncoded)
            try unsafe self.init(derEncoded, list.pointer)
        } catch {
            throw CertificateError(.malformed, "the certificate revocation list cannot be read: \(error)")
        }
    }

    private static func object(_ bytes: [UInt8]) throws(OpenSSLError) -> Owned<X509RevocationListObject> {
        try unsafe derDecoded(bytes, by: "d2i_X509_CRL") { unsafe d2i_X509_CRL(nil, $0, $1) }
    }

    /// Refuses a CRL with two different signature algorithms (RFC 5280 §5.1.1.2), which libcrypto checks in certificates
    /// only.
    private static func checkAlgorithms(_ bytes: [UInt8]) throws(OpenSSLError) {
        guard let outer = DER.elements(inSequence: bytes), outer.count == 3,
            let fields = DER.elements(in: outer[0].contents),
            let inner = fields.first(where: { $0.tag == DER.sequence }), inner.contents == outer[1].contents
        else { throw OpenSSLError(in: "CertificateList.signatureAlgorithm") }
    }

    /// Whether a key made the signature; `false` also if the algorithm is not known.
    public func isSigned(by key: PublicKey) -> Bool {
        defer { forgiveOpenSSLErrors() }
        guard let key = try? key.key(), let object = try? Self.object(derEncoded) else { return false }
        return unsafe X509_CRL_verify(object.pointer, key.pointer) == 1
    }
}

enum X509RevocationListObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe X509_CRL_free(pointer) }
}

extension CertificateRevocationList {
    /// The critical extensions that are processed, or do not affect whether a certificate is revoked.
    private static let handled: Set<CInt> = [
        NID_authority_key_identifier, NID_crl_number, NID_crl_reason, NID_invalidity_date, NID_issuer_alt_name,
        NID_freshest_crl, NID_info_access,
    ]

    private init(_ derEncoded: [UInt8], _ list: OpaquePointer) throws(OpenSSLError) {
        self.derEncoded = derEncoded
        version = unsafe Int(X509_CRL_get_version(list)) + 1
        guard version == 1 || version == 2 else { throw OpenSSLError(in: "X509_CRL_get_version") }
        var algorithm: UnsafePointer<X509_ALGOR>?
        unsafe X509_CRL_get0_signature(list, nil, &algorithm)
        signatureAlgorithm = unsafe SignatureAlgorithm(algorithm)
        issuer = try unsafe DistinguishedName(X509_CRL_get_issuer(list))
        thisUpdate = try unsafe Date(X509_CRL_get0_lastUpdate(list))
        let next = unsafe X509_CRL_get0_nextUpdate(list)
        nextUpdate = try unsafe next == nil ? nil : Date(next)
        var extensions: [CertificateExtension] = []
        var unhandled: [String] = []
        for index in 0..<(unsafe X509_CRL_get_ext_count(list)) {
            guard let pointer = unsafe X509_CRL_get_ext(list, index) else { continue }
            extensions.append(try unsafe CertificateExtension(pointer))
            if let name = unsafe Self.unhandledName(pointer), !unhandled.contains(name) { unhandled.append(name) }
        }
        self.extensions = extensions
        number = try unsafe Self.number(list)
        authorityKeyIdentifier = try unsafe Self.authorityKeyIdentifier(list)
        entriesByNumber = try unsafe Self.entries(list, &unhandled)
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
        return unsafe integer(number)
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

    private static func entries(
        _ list: OpaquePointer, _ unhandled: inout [String]
    ) throws(OpenSSLError) -> [SerialNumber: Entry] {
        guard let stack = unsafe X509_CRL_get_REVOKED(list) else { return [:] }
        let count = unsafe pki_sk_X509_REVOKED_num(stack)
        var entries: [SerialNumber: Entry] = [:]
        entries.reserveCapacity(Int(count))
        for index in 0..<max(0, count) {
            guard let revoked = unsafe pki_sk_X509_REVOKED_value(stack, index) else { continue }
            let serialNumber = unsafe integer(X509_REVOKED_get0_serialNumber(revoked))
            let date = try unsafe Date(X509_REVOKED_get0_revocationDate(revoked))
            let reason = try unsafe reason(revoked, &unhandled)
            // What is taken back is not revoked. Of two entries for one certificate the first counts.
            guard reason != .removeFromCRL, entries[serialNumber] == nil else { continue }
            entries[serialNumber] = Entry(serialNumber: serialNumber, revocationDate: date, reason: reason)
        }
        return entries
    }

    private static func reason(
        _ revoked: OpaquePointer, _ unhandled: inout [String]
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
