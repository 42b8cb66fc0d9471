// SPDX-License-Identifier: Apache-2.0

import COpenSSL

extension GeneralName {
    /// Reads libcrypto's general name.
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
    ///
    /// - Parameter extensionValue: The DER encoding of GeneralNames.
    /// - Returns: The names in their order.
    /// - Throws: ``OpenSSLError`` when the value is malformed.
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
