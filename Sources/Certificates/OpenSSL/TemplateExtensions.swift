// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import SystemSupport

/// Makes the extensions of one certificate from the words of a template, by X509V3_EXT_nconf.
struct TemplateExtensions {
    /// The template.
    var template: CertificateTemplate
    /// The subject, for values such as `email:copy`.
    var subject: DistinguishedName
    /// Who issues, for values such as `issuer:copy`; nothing for a certificate that its own key signs.
    var issuer: Certificate?

    /// The identifier of RFC 3820's extension.
    private static let proxyCertificateInformation = "1.3.6.1.5.5.7.1.14"

    /// Makes the extensions, in the order of the template.
    ///
    /// - Parameter replaced: Identifiers of extensions that the caller makes itself.
    /// - Returns: The extensions.
    /// - Throws: ``CertificateError`` naming the line of the template that is wrong.
    func extensions(except replaced: Set<String>) throws(CertificateError) -> [CertificateExtension] {
        let configuration = try Configuration(template.text, name: template.name)
        do {
            let certificate = try scratchCertificate()
            // Reading the issuer is dear, and only the issuer's alternative names are ever copied.
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
        _ configuration: borrowing Configuration,
        _ certificate: OpaquePointer,
        _ issuer: OpaquePointer,
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
                    hint: "take the line out"
                )
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
            hint: "the extensions and their values are described in x509v3_config(5)"
        )
    }

    /// A certificate with nothing but what extension values may refer to.
    private func scratchCertificate() throws(OpenSSLError) -> Owned<X509Object> {
        let certificate = try unsafe Owned<X509Object>(X509_new(), from: "X509_new")
        let name = try subject.object()
        try unsafe check(X509_set_version(certificate.pointer, 2), "X509_set_version")
        try unsafe check(X509_set_subject_name(certificate.pointer, name.pointer), "X509_set_subject_name")
        return certificate
    }
}
