// SPDX-License-Identifier: Apache-2.0

import COpenSSL

extension CertificateExtension {
    /// The value in libcrypto's words, with blanks for ends of lines; nothing when it does not know the extension, or the
    /// value is malformed. What others wrote may stand in it: it is not fit for a terminal yet.
    package var text: String? {
        defer { forgiveOpenSSLErrors() }
        guard
            let object: Owned<X509ExtensionObject> = try? unsafe derDecoded(
                derEncoded,
                by: "d2i_X509_EXTENSION",
                { unsafe d2i_X509_EXTENSION(nil, $0, $1) }
            ),
            let output = try? unsafe Owned<InputOutputObject>(BIO_new(BIO_s_mem()), from: "BIO_new"),
            unsafe X509V3_EXT_print(output.pointer, object.pointer, 0, 0) == 1
        else { return nil }
        var data: UnsafeMutablePointer<CChar>?
        let count = unsafe pki_BIO_get_mem_data(output.pointer, &data)
        let lines = unsafe String(decoding: UnsafeRawBufferPointer(start: data, count: count), as: UTF8.self)
        return lines.split { $0.isWhitespace }.joined(separator: " ")
    }
}

extension CertificateExtension {
    /// Whether libcrypto can read the value of an extension.
    ///
    /// - Parameters:
    ///   - identifier: The object identifier in dots.
    ///   - value: The value.
    /// - Returns: `false` also for an extension that libcrypto does not know.
    static func canRead(_ identifier: String, _ value: [UInt8]) -> Bool {
        defer { forgiveOpenSSLErrors() }
        let encoded = CertificateExtension(identifier, name: identifier, isCritical: false, value: value).derEncoded
        guard
            let object: Owned<X509ExtensionObject> = try? unsafe derDecoded(
                encoded,
                by: "d2i_X509_EXTENSION",
                { unsafe d2i_X509_EXTENSION(nil, $0, $1) }
            ),
            let method = unsafe X509V3_EXT_get(object.pointer),
            let item = unsafe method.pointee.it?(),
            let decoded = unsafe X509V3_EXT_d2i(object.pointer)
        else { return false }
        unsafe ASN1_item_free(OpaquePointer(decoded), item)
        return true
    }
}
