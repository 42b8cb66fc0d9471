// SPDX-License-Identifier: Apache-2.0

import SystemSupport

import struct FoundationEssentials.Date

extension CertificateParameters {
    /// Makes the certificate of a root CA, signed with its own key.
    ///
    /// - Parameter key: The key that ``publicKey`` is the public half of.
    /// - Returns: The certificate.
    /// - Throws: ``CertificateError`` naming the rule that the parameters break, or what the key throws.
    public func selfSigned(by key: any SigningKey) throws -> Certificate {
        guard key.publicKey == publicKey else {
            throw CertificateError(.mismatch, "a self-signed certificate must be signed with the key it certifies")
        }
        return try signed(by: key, issuer: nil)
    }

    /// Makes a certificate that a CA issues.
    ///
    /// The issuer's name is the CA's subject, byte for byte, and the authority key identifier its subject key identifier.
    ///
    /// - Parameters:
    ///   - key: The CA's key.
    ///   - issuer: The CA's certificate.
    /// - Returns: The certificate.
    /// - Throws: ``CertificateError`` when the issuer is not a CA, the key is not its key, the validity does not lie
    ///   within the issuer's, or the parameters break another rule; or what the key throws.
    public func signed(by key: any SigningKey, issuer: Certificate) throws -> Certificate {
        guard key.publicKey == issuer.publicKey else {
            throw CertificateError(.mismatch, "the CA key is not the key in the CA certificate (\(issuer.subject))")
        }
        guard issuer.isCA, issuer.keyUsage?.contains(.keyCertSign) ?? true else {
            throw CertificateError(
                .forbidden,
                "\(issuer.subject) is not a CA: its certificate does not allow it to sign others"
            )
        }
        guard notBefore >= issuer.notBefore, notAfter <= issuer.notAfter else {
            throw CertificateError(.forbidden, "the validity does not lie within that of the CA (\(issuer.subject))")
        }
        return try signed(by: key, issuer: .some(issuer))
    }

    private func signed(by key: any SigningKey, issuer: Certificate?) throws -> Certificate {
        guard notBefore < notAfter else {
            throw CertificateError(.forbidden, "the certificate would end before it begins")
        }
        guard !serialNumber.magnitude.isEmpty, serialNumber.fitsInTwentyOctets else {
            throw CertificateError(.forbidden, "the serial number must be positive and have at most 20 octets")
        }
        let algorithm = try SignatureIdentifier(for: key.publicKey.algorithm)
        let toBeSigned = DER.sequence([
            DER.encode(DER.constructed(0), DER.unsignedInteger([2])),
            DER.unsignedInteger(serialNumber.magnitude),
            algorithm.derEncoded,
            issuer?.subject.derEncoded ?? subject.derEncoded,
            DER.sequence([try DER.time(notBefore), try DER.time(notAfter)]),
            subject.derEncoded,
            publicKey.derEncoded,
            DER.encode(DER.constructed(3), DER.sequence(try extensions(issuer: issuer).map(\.derEncoded))),
        ])
        let signature = try key.signature(for: toBeSigned, digest: algorithm.digest)
        return try Certificate(
            derEncoded: DER.sequence([toBeSigned, algorithm.derEncoded, DER.bitString(signature)])
        )
    }

    /// The template's extensions, made right: key identifiers always and by key alone, critical where RFC 5280 wants it,
    /// no key usage that the key cannot have, and what the parameters say in place of what the template says.
    private func extensions(issuer: Certificate?) throws -> [CertificateExtension] {
        var replaced: Set<String> = [CertificateExtension.authorityKeyIdentifier]
        if template.hashesSubjectKey { replaced.insert(CertificateExtension.subjectKeyIdentifier) }
        if !subjectAlternativeNames.isEmpty { replaced.insert(CertificateExtension.subjectAlternativeName) }
        if !nameConstraints.isEmpty { replaced.insert(CertificateExtension.nameConstraints) }
        var extensions = try TemplateExtensions(
            template: template,
            subject: subject,
            issuer: issuer
        ).extensions(except: replaced)

        try replace(CertificateExtension.keyUsage, in: &extensions) { made throws(CertificateError) in
            guard let usage = KeyUsage(derEncoded: made.value) else { return made }
            let possible = usage.intersection(.possible(for: publicKey.algorithm))
            return CertificateExtension(made.identifier, name: made.name, isCritical: true, value: possible.derEncoded)
        }
        try replace(CertificateExtension.basicConstraints, in: &extensions) { made throws(CertificateError) in
            guard let constraints = BasicConstraints(derEncoded: made.value), constraints.isCA else { return made }
            let length = pathLength ?? constraints.pathLength
            let value = BasicConstraints(isCA: true, pathLength: length).derEncoded
            return CertificateExtension(made.identifier, name: made.name, isCritical: true, value: value)
        }
        if !subjectAlternativeNames.isEmpty { extensions.append(try alternativeNameExtension()) }
        if !nameConstraints.isEmpty {
            extensions.append(
                CertificateExtension(
                    CertificateExtension.nameConstraints,
                    name: "nameConstraints",
                    isCritical: true,
                    value: nameConstraints.derEncoded
                )
            )
        }
        if !extensions.contains(where: { $0.identifier == CertificateExtension.subjectKeyIdentifier }) {
            let value = DER.encode(DER.octetString, try publicKey.keyIdentifier())
            let identifier = CertificateExtension.subjectKeyIdentifier
            extensions.append(
                CertificateExtension(identifier, name: "subjectKeyIdentifier", isCritical: false, value: value)
            )
        }
        extensions.append(try authorityKeyIdentifier(issuer: issuer, extensions))
        return extensions
    }

    private func replace(
        _ identifier: String,
        in extensions: inout [CertificateExtension],
        _ replacement: (CertificateExtension) throws(CertificateError) -> CertificateExtension
    ) throws(CertificateError) {
        guard let index = extensions.firstIndex(where: { $0.identifier == identifier }) else { return }
        extensions[index] = try replacement(extensions[index])
    }

    /// Critical exactly when there is no subject (RFC 5280 §4.2.1.6).
    private func alternativeNameExtension() throws(CertificateError) -> CertificateExtension {
        var names: [[UInt8]] = []
        for name in subjectAlternativeNames {
            guard let encoded = name.derEncoded else {
                throw CertificateError(.unsupported, "alternative names of the kind \(name) cannot be issued")
            }
            names.append(encoded)
        }
        return CertificateExtension(
            CertificateExtension.subjectAlternativeName,
            name: "subjectAltName",
            isCritical: subject.isEmpty,
            value: DER.sequence(names)
        )
    }

    private func authorityKeyIdentifier(
        issuer: Certificate?,
        _ extensions: [CertificateExtension]
    ) throws -> CertificateExtension {
        if let issuer { return try CertificateExtension(authorityKeyOf: issuer) }
        let own = extensions.first { $0.identifier == CertificateExtension.subjectKeyIdentifier }
        // The value is an OCTET STRING.
        let octets = own.flatMap { DER.elements(in: $0.value[...])?.first }
        return CertificateExtension(
            authorityKeyIdentifier: try octets.map { Array($0.contents) } ?? publicKey.keyIdentifier()
        )
    }
}
