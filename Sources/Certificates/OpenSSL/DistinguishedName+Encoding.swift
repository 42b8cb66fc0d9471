// SPDX-License-Identifier: Apache-2.0

import COpenSSL
public import SystemSupport

extension DistinguishedName {
    /// Encodes a name from its relative distinguished names, the most general first. Values become UTF8String, except
    /// where RFC 5280 Appendix A requires another type (country, domain component, email). Throws ``CertificateError``
    /// naming the attribute that is unknown, empty, too long or of the wrong characters.
    public init(relativeNames: [[Attribute]]) throws(CertificateError) {
        do {
            let name = try unsafe Owned<X509NameObject>(X509_NAME_new(), from: "X509_NAME_new")
            for set in relativeNames {
                for (index, attribute) in set.enumerated() {
                    let identifier = try attribute.checkedIdentifier()
                    let value = Array(attribute.value.utf8)
                    let status = unsafe X509_NAME_add_entry_by_NID(
                        name.pointer, identifier, MBSTRING_UTF8, value, CInt(value.count), -1, index == 0 ? 0 : -1)
                    guard status == 1 else { throw attribute.refusal("\(OpenSSLError(in: "X509_NAME_add_entry"))") }
                }
            }
            let encoded = try unsafe derEncoding(by: "i2d_X509_NAME") { unsafe i2d_X509_NAME(name.pointer, $0) }
            self.init(derEncoded: encoded)
        } catch let error as CertificateError {
            throw error
        } catch {
            throw CertificateError(.invalidName, "the name cannot be encoded: \(error)")
        }
    }

    /// Copies libcrypto's name, byte for byte.
    init(_ name: OpaquePointer?) throws(OpenSSLError) {
        var bytes: UnsafePointer<UInt8>?
        var count = 0
        try unsafe check(X509_NAME_get0_der(name, &bytes, &count), "X509_NAME_get0_der")
        self.init(derEncoded: unsafe Array(UnsafeBufferPointer(start: bytes, count: count)))
    }

    /// libcrypto's view of the name.
    func object() throws(OpenSSLError) -> Owned<X509NameObject> {
        try unsafe derDecoded(derEncoded, by: "d2i_X509_NAME") { unsafe d2i_X509_NAME(nil, $0, $1) }
    }

    /// The relative distinguished names, the most general first.
    public var relativeNames: [[Attribute]] {
        guard let name = try? object() else { return [] }
        var sets: [[Attribute]] = []
        var lastSet: CInt = -1
        for index in 0..<(unsafe X509_NAME_entry_count(name.pointer)) {
            guard let entry = unsafe X509_NAME_get_entry(name.pointer, index) else { continue }
            let attribute = unsafe Attribute(
                type: Certificates.name(of: X509_NAME_ENTRY_get_object(entry)),
                value: Self.text(of: X509_NAME_ENTRY_get_data(entry)))
            let set = unsafe X509_NAME_ENTRY_set(entry)
            if set == lastSet { sets[sets.count - 1].append(attribute) } else { sets.append([attribute]) }
            lastSet = set
        }
        return sets
    }

    private static func text(of string: UnsafeMutablePointer<ASN1_STRING>?) -> String {
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = unsafe ASN1_STRING_to_UTF8(&bytes, string)
        guard count >= 0, let bytes = unsafe bytes else {
            forgiveOpenSSLErrors()
            return ""
        }
        defer { unsafe pki_OPENSSL_free(bytes) }
        return unsafe String(decoding: UnsafeBufferPointer(start: bytes, count: Int(count)), as: UTF8.self)
    }
}

extension DistinguishedName: CustomStringConvertible {
    /// The text form of RFC 4514, the most specific part first, in UTF-8.
    public var description: String {
        guard let name = try? object(),
            let output = try? unsafe Owned<InputOutputObject>(BIO_new(BIO_s_mem()), from: "BIO_new"),
            unsafe X509_NAME_print_ex(output.pointer, name.pointer, 0, pki_name_flags_rfc4514()) >= 0
        else {
            forgiveOpenSSLErrors()
            return ""
        }
        var data: UnsafeMutablePointer<CChar>?
        let count = unsafe pki_BIO_get_mem_data(output.pointer, &data)
        return Self.escapingLoneNumberSigns(
            unsafe String(decoding: UnsafeRawBufferPointer(start: data, count: count), as: UTF8.self))
    }

    /// Escapes a value that is only a number sign: libcrypto does not escape it, and RFC 4514 would read hexadecimal
    /// there.
    private static func escapingLoneNumberSigns(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "#")) else { return text }
        let octets = Array(text.utf8)
        var escaped: [UInt8] = []
        for (index, octet) in octets.enumerated() {
            let isLast =
                index + 1 == octets.count || [UInt8(ascii: ","), UInt8(ascii: "+")].contains(octets[index + 1])
            if octet == UInt8(ascii: "#"), index > 0, octets[index - 1] == UInt8(ascii: "="), isLast {
                escaped.append(UInt8(ascii: "\\"))
            }
            escaped.append(octet)
        }
        return String(decoding: escaped, as: UTF8.self)
    }
}

extension DistinguishedName.Attribute {
    /// libcrypto's number for the type, once the value is known to be allowed.
    fileprivate func checkedIdentifier() throws(CertificateError) -> CInt {
        // The short names of RFC 4514 are written in capitals and meant in any case; libcrypto knows them as written.
        let asWritten = unsafe OBJ_txt2nid(type)
        let identifier = unsafe asWritten == NID_undef ? OBJ_txt2nid(type.uppercased()) : asWritten
        guard identifier != NID_undef else {
            forgiveOpenSSLErrors()
            throw CertificateError(
                .invalidName, "\"\(type)\" is not a known attribute of a name",
                hint: "usual ones are CN, O, OU, C, ST, L, DC, serialNumber, UID")
        }
        guard !value.isEmpty else { throw refusal("it is empty") }
        let count = value.unicodeScalars.count
        if let bound = Self.bound(of: identifier), count > bound {
            throw refusal("it has \(count) characters and RFC 5280 allows \(bound)")
        }
        if identifier == NID_countryName, count != 2 {
            throw refusal("a country is two letters of ISO 3166")
        }
        // The control characters of Unicode: those of ASCII, and those of ISO 8859-1 above them.
        guard !value.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7f...0x9f).contains($0.value) }) else {
            throw refusal("it holds a control character")
        }
        return identifier
    }

    /// The upper bounds of RFC 5280 Appendix A.1, in characters.
    private static func bound(of identifier: CInt) -> Int? {
        switch identifier {
        case NID_commonName, NID_organizationName, NID_organizationalUnitName, NID_serialNumber, NID_title: 64
        case NID_localityName, NID_stateOrProvinceName: 128
        default: nil
        }
    }

    fileprivate func refusal(_ why: String) -> CertificateError {
        CertificateError(.invalidName, "the value of \(type) in the name is not allowed: \(why)")
    }
}
