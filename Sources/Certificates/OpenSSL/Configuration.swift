// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import SystemSupport

/// A text in the format of config(5), read by libcrypto.
struct Configuration: ~Copyable {
    private let object: Owned<ConfigurationObject>

    /// libcrypto's own view, valid as long as this value lives.
    var pointer: UnsafeMutablePointer<CONF> { unsafe UnsafeMutablePointer<CONF>(object.pointer) }

    /// Reads a text.
    ///
    /// - Throws: ``CertificateError`` with the number of the line that is wrong.
    init(_ text: [UInt8], name: String) throws(CertificateError) {
        object = try Self.load(text, name: name)
    }

    private static func load(_ text: [UInt8], name: String) throws(CertificateError) -> Owned<ConfigurationObject> {
        guard let pointer = unsafe NCONF_new(nil) else {
            throw CertificateError(.failed, "\(OpenSSLError(in: "NCONF_new"))")
        }
        var line = 0
        let status = unsafe text.withUnsafeBytes { bytes -> CInt in
            guard let input = unsafe BIO_new_mem_buf(bytes.baseAddress, CInt(bytes.count)) else { return 0 }
            defer { unsafe BIO_free_all(input) }
            return unsafe NCONF_load_bio(pointer, input, &line)
        }
        guard status > 0 else {
            unsafe NCONF_free(pointer)
            // What libcrypto adds is the line itself, and that may be of a key.
            let reasons = OpenSSLError(in: "NCONF_load_bio").plainReasons.joined(separator: "; ")
            let place = line > 0 ? "line \(line) of \(name)" : name
            throw CertificateError(.malformed, "\(place) is not in OpenSSL's configuration format: \(reasons)")
        }
        do {
            return try unsafe Owned(OpaquePointer(pointer), from: "NCONF_new")
        } catch {
            throw CertificateError(.failed, "\(error)")
        }
    }

    /// A value, or nothing when the section or the name is absent. A nil section is the part before the first section.
    func value(_ name: String, in section: String?) -> String? {
        defer { forgiveOpenSSLErrors() }
        // libcrypto looks into the default section when a section lacks the name; this does not.
        return entries(in: section ?? "default")?.last { $0.name == name }?.value
    }

    /// The lines of a section in their order, or nothing when it is absent.
    func entries(in section: String) -> [CertificateTemplate.Entry]? {
        defer { forgiveOpenSSLErrors() }
        guard let stack = unsafe NCONF_get_section(pointer, section) else { return nil }
        return unsafe (0..<pki_sk_CONF_VALUE_num(stack)).compactMap { index in
            guard let line = unsafe pki_sk_CONF_VALUE_value(stack, index) else { return nil }
            let name = unsafe text(of: line.pointee.name)
            let value = unsafe text(of: line.pointee.value)
            return name.map { CertificateTemplate.Entry(name: $0, value: value ?? "") }
        }
    }
}
