// SPDX-License-Identifier: Apache-2.0

/// A PKCS#10 certification request (RFC 2986).
///
/// An issuer uses its key, subject and alternative names, and can refuse `otherExtensions` by name. The public
/// initializers refuse a request whose signature was not made with the key in it; one from a ``Container`` may have any,
/// see ``isSignedByItsKey``.
public struct CertificateRequest: Hashable, Sendable {
    /// The request's name in messages, usually its path.
    public let name: String

    /// The name of a request that has no file of its own.
    static let nameInContainers = "the certificate request"

    /// The DER encoding, exactly as it was read.
    public let derEncoded: [UInt8]

    /// Whether the signature was made with the key in the request; `nil` if this libcrypto cannot tell.
    public let isSignedByItsKey: Bool?

    /// How the key's owner signed.
    public let signatureAlgorithm: SignatureAlgorithm

    /// The subject asked for; may be empty.
    public let subject: DistinguishedName

    /// The key to certify, whose owner signed the request.
    public let publicKey: PublicKey

    /// The alternative names asked for.
    public let subjectAlternativeNames: [GeneralName]

    /// Every extension asked for, in their order.
    public let extensions: [CertificateExtension]

    /// The names of the extensions asked for besides the alternative names, in their order.
    package var otherExtensions: [String] {
        extensions.filter { $0.identifier != CertificateExtension.subjectAlternativeName }.map(\.name)
    }

    /// The request as a PEM object, without any text around it.
    public var pemEncoded: String { PEMDocument(label: "CERTIFICATE REQUEST", bytes: derEncoded).text }
}

/// The extensions of a request other than names, compared with those that its certificate will have anyway.
package struct RequestedExtensions: Sendable {
    /// The names of extensions that ask for nothing the certificate must not have: the profile determines their values.
    package private(set) var ignored: [String] = []

    /// The names of extensions that ask for more, each with what it asks for.
    package private(set) var refused: [String] = []

    /// Sorts the extensions of a request.
    package init(of request: CertificateRequest, granting usage: KeyUsage, _ purposes: [String]) {
        for asked in request.extensions where asked.identifier != CertificateExtension.subjectAlternativeName {
            if let excess = Self.excess(in: asked, usage, purposes) {
                refused.append(excess)
            } else {
                ignored.append(asked.name)
            }
        }
    }

    /// What an extension asks for beyond what is granted; `nil` if it asks for no more.
    private static func excess(in asked: CertificateExtension, _ usage: KeyUsage, _ purposes: [String]) -> String? {
        switch asked.identifier {
        // It follows from the key.
        case CertificateExtension.subjectKeyIdentifier: return nil
        case CertificateExtension.basicConstraints:
            // FALSE is the default and must be left out in DER; some programs write it.
            let isNoCA = asked.value == [0x30, 0x00] || asked.value == [0x30, 0x03, 0x01, 0x01, 0x00]
            return isNoCA ? nil : "\(asked.name) CA:TRUE"
        case CertificateExtension.keyUsage:
            guard let wanted = KeyUsage(derEncoded: asked.value) else { return "a malformed \(asked.name)" }
            // Other usages are common defaults of requesters and are left out; only those of a CA are refused.
            let more = wanted.intersection([.keyCertSign, .crlSign]).subtracting(usage)
            return more.isEmpty ? nil : "\(asked.name) \(more)"
        case CertificateExtension.extendedKeyUsage:
            guard let wanted = DER.elements(inSequence: asked.value), !wanted.isEmpty else {
                return "a malformed \(asked.name)"
            }
            let granted = Set(purposes)
            let more = wanted.map { DER.objectIdentifierText($0.contents) ?? "unknown" }.filter {
                !granted.contains($0)
            }
            let names = more.map { identifier in Self.purposes.first { $0.value == identifier }?.key ?? identifier }
            return more.isEmpty ? nil : "\(asked.name) \(names.joined(separator: ", "))"
        default:
            if asked.isCritical { return "\(asked.name), which is critical" }
            // What libcrypto has no name for is unknown to verifiers too.
            return Self.harmless.contains(asked.identifier) || asked.name == asked.identifier ? nil : asked.name
        }
    }

    /// Extensions that enrolment programs add on their own: S/MIME capabilities, the certificate template and application
    /// policies of Microsoft's certreq, Netscape's comment.
    private static let harmless: Set<String> = [
        "1.2.840.113549.1.9.15", "1.3.6.1.4.1.311.20.2", "1.3.6.1.4.1.311.21.7", "1.3.6.1.4.1.311.21.10",
        "2.16.840.1.113730.1.13",
    ]

    /// The extended key usages that have names (RFC 5280 §4.2.1.12).
    private static let purposes = [
        "serverAuth": "1.3.6.1.5.5.7.3.1", "clientAuth": "1.3.6.1.5.5.7.3.2", "codeSigning": "1.3.6.1.5.5.7.3.3",
        "emailProtection": "1.3.6.1.5.5.7.3.4", "timeStamping": "1.3.6.1.5.5.7.3.8", "OCSPSigning": "1.3.6.1.5.5.7.3.9",
        "anyExtendedKeyUsage": "2.5.29.37.0",
    ]
}

extension CertificateTemplate {
    /// The key usages that the template names, whatever kind of key will have them, and the extended ones.
    package func usages() throws(CertificateError) -> (usage: KeyUsage, purposes: [String]) {
        let names = [CertificateExtension.subjectAlternativeName, CertificateExtension.authorityKeyIdentifier]
        let made = try TemplateExtensions(template: self, subject: subject, issuer: nil)
            .extensions(except: Set(names + [CertificateExtension.subjectKeyIdentifier]))
        let usage = made.first { $0.identifier == CertificateExtension.keyUsage }
        let purposes = made.first { $0.identifier == CertificateExtension.extendedKeyUsage }
        return (
            usage.flatMap { KeyUsage(derEncoded: $0.value) } ?? [],
            purposes.flatMap { DER.elements(inSequence: $0.value) }?
                .compactMap { DER.objectIdentifierText($0.contents) } ?? []
        )
    }
}
