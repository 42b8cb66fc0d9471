// SPDX-License-Identifier: Apache-2.0

import COpenSSL
public import SystemSupport

extension CertificateTemplate {
    /// Reads a template. The name is used in messages, usually its path. Only a trusted one, which the user wrote, may
    /// read other files and environment variables, and name libraries.
    public init(reading text: [UInt8], name: String, isTrusted: Bool = false) throws(CertificateError) {
        if !isTrusted { try TemplateRule.check(text, name: name) }
        let configuration = try Configuration(text, name: name)
        self.name = name
        self.text = text
        let subjectSection = configuration.value("distinguished_name", in: "req") ?? "req_distinguished_name"
        let asksForValues = configuration.value("prompt", in: "req") != "no" && configuration.entries(in: "req") != nil
        let entries = configuration.entries(in: subjectSection) ?? []
        do {
            subject = try DistinguishedName(relativeNames: Self.relativeNames(entries, onlyDefaults: asksForValues))
        } catch {
            throw CertificateError(
                error.code, "\(redacted("[ \(subjectSection) ]")) in \(name): \(redacted(error.message))",
                hint: error.hint.map(redacted))
        }
        var settings: [String: String] = [:]
        for entry in configuration.entries(in: "pki") ?? [] { settings[entry.name] = entry.value }
        self.settings = settings
        let named = configuration.value("x509_extensions", in: "req") ?? configuration.value("extensions", in: nil)
        if let named, configuration.entries(in: named) == nil {
            throw CertificateError(
                .malformed, "\(name) names the extension section [ \(redacted(named)) ] and has none")
        }
        let fallback = configuration.value("req_extensions", in: "req")
        let section = [named, "v3", fallback].compactMap(\.self).first { configuration.entries(in: $0) != nil }
        // A file for `openssl x509 -extfile` may hold its extensions before any section.
        extensionEntries = configuration.entries(in: section ?? "default") ?? []
    }

    /// Reads the lines of a subject section as req(1) does: `2.OU` is one more OU, a leading `+` joins the set before it,
    /// and where values are asked for only the lines `NAME_default` hold any.
    private static func relativeNames(_ entries: [Entry], onlyDefaults: Bool) -> [[DistinguishedName.Attribute]] {
        var sets: [[DistinguishedName.Attribute]] = []
        for entry in entries {
            var type = Substring(entry.name)
            if onlyDefaults {
                guard type.hasSuffix("_default"), !entry.value.isEmpty else { continue }
                type = type.dropLast("_default".count)
            }
            if let separator = type.firstIndex(where: { ":,.".contains($0) }),
                type.index(after: separator) < type.endIndex,
                !type.allSatisfy({ $0.isNumber || $0 == "." })
            {
                type = type[type.index(after: separator)...]
            }
            let joins = type.hasPrefix("+")
            if joins { type = type.dropFirst() }
            let attribute = DistinguishedName.Attribute(type: String(type), value: entry.value)
            if joins, !sets.isEmpty { sets[sets.count - 1].append(attribute) } else { sets.append([attribute]) }
        }
        return sets
    }
}

/// Makes the extensions of one certificate from a template, by X509V3_EXT_nconf.
struct TemplateExtensions {
    var template: CertificateTemplate
    /// The subject, for values such as `email:copy`.
    var subject: DistinguishedName
    /// The issuer, for values such as `issuer:copy`; `nil` for a self-signed certificate.
    var issuer: Certificate?

    /// The identifier of RFC 3820's extension.
    private static let proxyCertificateInformation = "1.3.6.1.5.5.7.1.14"

    /// Returns the extensions, in the order of the template, except those that the caller makes itself.
    func extensions(except replaced: Set<String>) throws(CertificateError) -> [CertificateExtension] {
        let configuration = try Configuration(template.text, name: template.name)
        do {
            let certificate = try scratchCertificate()
            // Reading the issuer is slow, and only its alternative names are ever copied.
            guard let issuer, template.extensionEntries.contains(where: { $0.value.contains("issuer") }) else {
                return try unsafe made(configuration, certificate.pointer, certificate.pointer, except: replaced)
            }
            let issuerCertificate = try issuer.object()
            return try unsafe made(configuration, certificate.pointer, issuerCertificate.pointer, except: replaced)
        } catch let error as CertificateError {
            throw error
        } catch {
            throw CertificateError(.failed, "the extensions of \(template.name) cannot be made: \(error)")
        }
    }

    private func made(
        _ configuration: borrowing Configuration, _ certificate: OpaquePointer, _ issuer: OpaquePointer,
        except replaced: Set<String>
    ) throws -> [CertificateExtension] {
        var context = unsafe X509V3_CTX()
        unsafe X509V3_set_ctx(&context, issuer, certificate, nil, nil, 0)
        unsafe X509V3_set_nconf(&context, configuration.pointer)
        var made: [CertificateExtension] = []
        for entry in template.extensionEntries {
            let identifier = identifier(of: entry.name)
            if replaced.contains(identifier) { continue }
            // A proxy certificate's policy can be the contents of a file, which libcrypto would read.
            guard identifier != Self.proxyCertificateInformation else {
                throw CertificateError(
                    .forbidden,
                    "\(template.name) asks for proxyCertInfo, which could read a file, and no CA issues proxy certificates",
                    hint: "take the line out")
            }
            let pointer = unsafe X509V3_EXT_nconf(configuration.pointer, &context, entry.name, entry.value)
            guard let pointer = unsafe pointer else { throw refusal(of: entry) }
            let object = try unsafe Owned<X509ExtensionObject>(pointer, from: "X509V3_EXT_nconf")
            let added = try unsafe CertificateExtension(object.pointer)
            guard !made.contains(where: { $0.identifier == added.identifier }) else {
                throw CertificateError(.forbidden, "\(template.name) has the extension \(redacted(entry.name)) twice")
            }
            made.append(added)
        }
        return made
    }

    private func identifier(of name: String) -> String {
        defer { forgiveOpenSSLErrors() }
        guard let object = unsafe OBJ_txt2obj(name, 0) else { return name }
        defer { unsafe ASN1_OBJECT_free(object) }
        return unsafe dottedText(of: object)
    }

    private func refusal(of entry: CertificateTemplate.Entry) -> CertificateError {
        let reasons = OpenSSLError(in: "X509V3_EXT_nconf").reasons.joined(separator: "; ")
        return CertificateError(
            .malformed,
            "\(template.name): the extension \(redacted("\"\(entry.name) = \(entry.value)\"")) is not one that libcrypto "
                + "can make: \(redacted(reasons))",
            hint: "the extensions and their values are described in x509v3_config(5)")
    }

    /// A certificate with only what extension values may refer to.
    private func scratchCertificate() throws(OpenSSLError) -> Owned<X509Object> {
        let certificate = try unsafe Owned<X509Object>(X509_new(), from: "X509_new")
        let name = try subject.object()
        try unsafe check(X509_set_version(certificate.pointer, 2), "X509_set_version")
        try unsafe check(X509_set_subject_name(certificate.pointer, name.pointer), "X509_set_subject_name")
        return certificate
    }
}

/// A text in the format of config(5), read by libcrypto.
struct Configuration: ~Copyable {
    private let object: Owned<ConfigurationObject>

    /// libcrypto's own view, valid as long as this value lives.
    var pointer: UnsafeMutablePointer<CONF> { unsafe UnsafeMutablePointer<CONF>(object.pointer) }

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
            // libcrypto adds the line itself, which may be of a key.
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

    /// A value; `nil` if the section or the name is absent. Without a section, the part before the first one is used.
    func value(_ name: String, in section: String?) -> String? {
        defer { forgiveOpenSSLErrors() }
        // libcrypto looks into the default section when a section lacks the name; this does not.
        return entries(in: section ?? "default")?.last { $0.name == name }?.value
    }

    /// The lines of a section in their order; `nil` if it is absent.
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
