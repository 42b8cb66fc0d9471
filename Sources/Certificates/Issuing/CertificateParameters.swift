// SPDX-License-Identifier: Apache-2.0

public import struct FoundationEssentials.Date
import SystemSupport

/// The contents of a certificate that its issuer does not determine.
public struct CertificateParameters: Sendable {
    /// The serial number.
    public var serialNumber: SerialNumber

    /// The subject.
    public var subject: DistinguishedName

    /// The key to certify.
    public var publicKey: PublicKey

    /// The first time of validity; whole seconds.
    public var notBefore: Date

    /// The last time of validity; whole seconds.
    public var notAfter: Date

    /// Where the extensions come from.
    public var template: CertificateTemplate

    /// Alternative names; when there are any they take the place of the template's.
    public var subjectAlternativeNames: [GeneralName]

    /// How long the path below a CA may be; takes the place of the template's.
    public var pathLength: Int?

    /// Which names a CA may certify; when there are any they take the place of the template's.
    public var nameConstraints: NameConstraints

    /// Where its status is found; extensions of the template go first.
    package var statusAddresses: StatusAddresses?

    /// Creates parameters.
    public init(
        serialNumber: SerialNumber, subject: DistinguishedName, publicKey: PublicKey, notBefore: Date, notAfter: Date,
        template: CertificateTemplate, subjectAlternativeNames: [GeneralName] = [], pathLength: Int? = nil,
        nameConstraints: NameConstraints = NameConstraints()
    ) {
        self.serialNumber = serialNumber
        self.subject = subject
        self.publicKey = publicKey
        self.notBefore = notBefore
        self.notAfter = notAfter
        self.template = template
        self.subjectAlternativeNames = subjectAlternativeNames
        self.pathLength = pathLength
        self.nameConstraints = nameConstraints
    }
}

extension CertificateParameters {
    /// Returns the certificate of a root CA, signed with its own key, whose public half must be ``publicKey``.
    public func selfSigned(by key: any SigningKey) throws -> Certificate {
        guard key.publicKey == publicKey else {
            throw CertificateError(.mismatch, "a self-signed certificate must be signed with the key it certifies")
        }
        return try signed(by: key, issuer: nil)
    }

    /// Returns a certificate that a CA issues. The issuer's name is the CA's subject, byte for byte, and the authority
    /// key identifier its subject key identifier. Throws ``CertificateError`` if the issuer is not a CA, the key is not
    /// its key, the validity is not within the issuer's, or the parameters break another rule.
    public func signed(by key: any SigningKey, issuer: Certificate) throws -> Certificate {
        guard key.publicKey == issuer.publicKey else {
            throw CertificateError(.mismatch, "the CA key is not the key in the CA certificate (\(issuer.subject))")
        }
        guard issuer.isCA, issuer.keyUsage?.contains(.keyCertSign) ?? true else {
            throw CertificateError(
                .forbidden, "\(issuer.subject) is not a CA: its certificate does not allow it to sign others")
        }
        guard notBefore >= issuer.notBefore, notAfter <= issuer.notAfter else {
            throw CertificateError(.forbidden, "the validity does not lie within that of the CA (\(issuer.subject))")
        }
        return try signed(by: key, issuer: .some(issuer))
    }

    private func signed(by key: any SigningKey, issuer: Certificate?) throws -> Certificate {
        guard notBefore < notAfter else {
            throw CertificateError(.forbidden, "the certificate's notAfter is not later than its notBefore")
        }
        guard !serialNumber.magnitude.isEmpty, serialNumber.fitsInTwentyOctets else {
            throw CertificateError(.forbidden, "the serial number must be positive and have at most 20 octets")
        }
        let algorithm = try SignatureIdentifier(for: key.publicKey.algorithm)
        let toBeSigned = DER.sequence([
            DER.encode(DER.constructed(0), DER.unsignedInteger([2])), DER.unsignedInteger(serialNumber.magnitude),
            algorithm.derEncoded, issuer?.subject.derEncoded ?? subject.derEncoded,
            DER.sequence([try DER.time(notBefore), try DER.time(notAfter)]), subject.derEncoded, publicKey.derEncoded,
            DER.encode(DER.constructed(3), DER.sequence(try extensions(issuer: issuer).map(\.derEncoded))),
        ])
        let signature = try key.signature(for: toBeSigned, digest: algorithm.digest)
        return try Certificate(derEncoded: DER.sequence([toBeSigned, algorithm.derEncoded, DER.bitString(signature)]))
    }

    /// The template's extensions with the corrections that RFC 5280 requires: key identifiers always and by key alone,
    /// criticality, no key usage that the key cannot have; and with the parameters' values in place of the template's.
    private func extensions(issuer: Certificate?) throws -> [CertificateExtension] {
        var replaced: Set<String> = [CertificateExtension.authorityKeyIdentifier]
        if template.hashesSubjectKey { replaced.insert(CertificateExtension.subjectKeyIdentifier) }
        if !subjectAlternativeNames.isEmpty { replaced.insert(CertificateExtension.subjectAlternativeName) }
        if !nameConstraints.isEmpty { replaced.insert(CertificateExtension.nameConstraints) }
        var extensions = try TemplateExtensions(template: template, subject: subject, issuer: issuer).extensions(
            except: replaced)

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
        if !subjectAlternativeNames.isEmpty {
            extensions.append(try CertificateExtension(subjectAlternativeNames, isCritical: subject.isEmpty))
        }
        if !nameConstraints.isEmpty {
            extensions.append(
                CertificateExtension(
                    CertificateExtension.nameConstraints, name: "nameConstraints", isCritical: true,
                    value: nameConstraints.derEncoded))
        }
        for made in statusAddresses?.extensions ?? []
        where !extensions.contains(where: { $0.identifier == made.identifier }) { extensions.append(made) }
        if !extensions.contains(where: { $0.identifier == CertificateExtension.subjectKeyIdentifier }) {
            let value = DER.encode(DER.octetString, try publicKey.keyIdentifier())
            let identifier = CertificateExtension.subjectKeyIdentifier
            extensions.append(
                CertificateExtension(identifier, name: "subjectKeyIdentifier", isCritical: false, value: value))
        }
        extensions.append(try authorityKeyIdentifier(issuer: issuer, extensions))
        return extensions
    }

    private func replace(
        _ identifier: String, in extensions: inout [CertificateExtension],
        _ replacement: (CertificateExtension) throws(CertificateError) -> CertificateExtension
    ) throws(CertificateError) {
        guard let index = extensions.firstIndex(where: { $0.identifier == identifier }) else { return }
        extensions[index] = try replacement(extensions[index])
    }

    private func authorityKeyIdentifier(
        issuer: Certificate?, _ extensions: [CertificateExtension]
    ) throws -> CertificateExtension {
        if let issuer { return try CertificateExtension(authorityKeyOf: issuer) }
        let own = extensions.first { $0.identifier == CertificateExtension.subjectKeyIdentifier }
        // The value is an OCTET STRING.
        let octets = own.flatMap { DER.elements(in: $0.value[...])?.first }
        return CertificateExtension(
            authorityKeyIdentifier: try octets.map { Array($0.contents) } ?? publicKey.keyIdentifier())
    }
}

/// URLs at which others find out about a certificate and its issuer.
package struct StatusAddresses: Hashable, Sendable {
    /// The OCSP responder.
    package var responder: String
    /// The issuer's certificate in DER.
    package var issuer: String
    /// The CRL; `nil` if there is none.
    package var revocationList: String?

    package init(responder: String, issuer: String, revocationList: String?) {
        (self.responder, self.issuer, self.revocationList) = (responder, issuer, revocationList)
    }

    /// Authority information access and CRL distribution points (RFC 5280 §4.2.2.1, §4.2.1.13).
    fileprivate var extensions: [CertificateExtension] {
        func uri(_ text: String) -> [UInt8] { GeneralName.uri(text).derEncoded ?? [] }
        let access = [("1.3.6.1.5.5.7.48.1", responder), ("1.3.6.1.5.5.7.48.2", issuer)].map { method, url in
            DER.sequence([DER.objectIdentifier(method), uri(url)])
        }
        let points = revocationList.map { url in
            CertificateExtension(
                CertificateExtension.distributionPoints, name: "crlDistributionPoints", isCritical: false,
                value: DER.sequence([
                    DER.sequence([DER.encode(DER.constructed(0), DER.encode(DER.constructed(0), uri(url)))])
                ]))
        }
        return [
            CertificateExtension(
                CertificateExtension.authorityInformation, name: "authorityInfoAccess", isCritical: false,
                value: DER.sequence(access))
        ] + [points].compactMap(\.self)
    }
}

extension CertificateExtension {
    /// The alternative names; critical only if there is no subject (RFC 5280 §4.2.1.6).
    init(_ names: [GeneralName], isCritical: Bool) throws(CertificateError) {
        var encoded: [[UInt8]] = []
        for name in names {
            guard let octets = name.derEncoded else {
                throw CertificateError(.unsupported, "alternative names of the kind \(name) cannot be issued")
            }
            encoded.append(octets)
        }
        self.init(
            Self.subjectAlternativeName, name: "subjectAltName", isCritical: isCritical, value: DER.sequence(encoded))
    }

    /// The authority key identifier of what a CA signs: its subject key identifier, or one computed from its key.
    init(authorityKeyOf issuer: Certificate) throws {
        self.init(authorityKeyIdentifier: try issuer.subjectKeyIdentifier ?? issuer.publicKey.keyIdentifier())
    }

    /// An authority key identifier by key only: issuer and serial number would tie all that a CA signs to one of its
    /// certificates.
    init(authorityKeyIdentifier keyIdentifier: [UInt8]) {
        self.init(
            Self.authorityKeyIdentifier, name: "authorityKeyIdentifier", isCritical: false,
            value: DER.sequence([DER.encode(DER.implicit(0), keyIdentifier)]))
    }
}

/// The AlgorithmIdentifier of a CA key's signatures, and their hash function.
struct SignatureIdentifier {
    let derEncoded: [UInt8]

    /// The hash function; not used by ML-DSA.
    let digest: Digest

    /// Chooses by the CA's key: SHA-256, and a hash as strong as the curve for larger curves.
    init(for algorithm: KeyAlgorithm) throws(CertificateError) {
        switch algorithm {
        case .rsa:
            // RFC 4055 §5: the parameters are NULL.
            self.init("1.2.840.113549.1.1.11", parameters: [0x05, 0x00], .sha256)
        case .ec("secp384r1"):
            self.init("1.2.840.10045.4.3.3", .sha384)
        case .ec("secp521r1"):
            self.init("1.2.840.10045.4.3.4", .sha512)
        case .ec:
            self.init("1.2.840.10045.4.3.2", .sha256)
        case .mlDSA(let parameterSet):
            let last = [44: 17, 65: 18, 87: 19][parameterSet] ?? 0
            self.init("2.16.840.1.101.3.4.3.\(last)", .sha512)
        case .other(let name):
            throw CertificateError(
                .unsupported, "a CA key of the kind \(name) is not supported", hint: "use an RSA, EC or ML-DSA key")
        }
    }

    private init(_ identifier: String, parameters: [UInt8] = [], _ digest: Digest) {
        derEncoded = DER.sequence([DER.objectIdentifier(identifier), parameters])
        self.digest = digest
    }
}

extension SigningKey {
    /// Signs as certificates are signed.
    package func issuingSignature(for message: [UInt8]) throws -> [UInt8] {
        try signature(for: message, digest: SignatureIdentifier(for: publicKey.algorithm).digest)
    }
}
