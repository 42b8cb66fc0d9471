// SPDX-License-Identifier: Apache-2.0

/// What a request asks for besides a key and names, held against what its certificate would have anyway.
package struct RequestedExtensions: Sendable {
    /// What asks for no more, and is passed over: each by its name.
    package private(set) var ignored: [String] = []

    /// What asks for more: each by its name, with what it asks for.
    package private(set) var refused: [String] = []

    /// Sorts the extensions of a request.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - usage: The key usages that the certificate may have.
    ///   - purposes: The extended key usages that it will have, as object identifiers in dots.
    package init(of request: CertificateRequest, granting usage: KeyUsage, _ purposes: [String]) {
        for asked in request.extensions where asked.identifier != CertificateExtension.subjectAlternativeName {
            if let excess = Self.excess(in: asked, usage, purposes) {
                refused.append(excess)
            } else {
                ignored.append(asked.name)
            }
        }
    }

    /// What an extension asks for beyond what there is; `nil` when it asks for no more.
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
            let more = wanted.subtracting(usage)
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

    /// What enrolment programs add for themselves: S/MIME capabilities, the certificate template and the application
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
