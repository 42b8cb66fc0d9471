// SPDX-License-Identifier: Apache-2.0

import SystemSupport

extension CertificateChecks {
    /// Examines the basic constraints.
    mutating func examineConstraints() {
        let found = extensions[CertificateExtension.basicConstraints]
        let parts = found.flatMap { DER.elements(in: DER.sequence, $0.value) } ?? []
        let hasLength = parts.contains { $0.tag == DER.integer }
        if parts.contains(where: { $0.tag == DER.boolean && $0.contents.first == 0 }) {
            list.add(EncodingRule.defaultValue, "says CA:FALSE in its basicConstraints, which is the default")
        }
        if certificate.isCA {
            if role == .client || role == .server { list.add(UsageRule.isCA, "is a CA's (CA:TRUE)") }
            if found?.isCritical == false {
                list.add(UsageRule.constraintsCritical, "has basicConstraints that are not critical")
            }
        } else {
            if role.isCA { list.add(UsageRule.notCA, "is not a CA's: it lacks basicConstraints with CA:TRUE") }
            if hasLength { list.add(UsageRule.pathLength, "has a path length, and is not a CA's") }
        }
        guard certificate.isCA, let length = certificate.basicConstraints?.pathLength, length < 0 else { return }
        list.add(EncodingRule.malformedExtension, "has a path length below zero")
    }

    /// Examines the key usage.
    mutating func examineKeyUsage() {
        guard let found = extensions[CertificateExtension.keyUsage] else {
            // An extension that stands there and cannot be read was reported already.
            let isAbsent = !certificate.extensions.contains { $0.identifier == CertificateExtension.keyUsage }
            if certificate.isCA, isAbsent { list.add(UsageRule.caKeyUsage, "is a CA's, and has no key usage") }
            return
        }
        guard let usage = KeyUsage(derEncoded: Array(found.value)), !usage.isEmpty else {
            return list.add(UsageRule.usageEmpty, "has a key usage without any use")
        }
        if certificate.isCA {
            if !found.isCritical { list.add(UsageRule.caKeyUsageCritical, "has a key usage that is not critical") }
            if !usage.contains(.keyCertSign) {
                list.add(UsageRule.caCertSign, "is a CA's, and its key usage (\(usage)) lacks keyCertSign")
            } else if !usage.contains(.crlSign) {
                list.add(UsageRule.caListSign, "is a CA's, and its key usage (\(usage)) lacks cRLSign")
            }
        } else if usage.contains(.keyCertSign), !role.isCA {
            list.add(UsageRule.certSign, "has the key usage keyCertSign, and is not a CA's")
        }
        let impossible = usage.subtracting(.possible(for: certificate.publicKey.algorithm))
        if !impossible.isEmpty {
            list.add(
                UsageRule.impossible,
                "has the key usage \(impossible), which a key of the kind \(certificate.publicKey.algorithm) cannot do"
            )
        } else if !usage.isDisjoint(with: [.encipherOnly, .decipherOnly]),
            !usage.contains(.keyAgreement) || usage.isSuperset(of: [.encipherOnly, .decipherOnly])
        {
            list.add(
                UsageRule.onlyBits,
                "has the key usage \(usage), in which encipherOnly or decipherOnly says nothing"
            )
        }
    }

    /// Examines the extended key usage.
    mutating func examineExtendedKeyUsage() {
        guard let found = extensions[CertificateExtension.extendedKeyUsage],
            let usages = DER.elements(in: DER.sequence, found.value)
        else { return }
        guard !usages.isEmpty else {
            return list.add(UsageRule.extendedEmpty, "has an extended key usage without any use")
        }
        let names = usages.map { DER.objectIdentifierText($0.contents) ?? hexadecimal($0.contents) }
        if Set(names).count < names.count {
            list.add(UsageRule.extendedDuplicate, "has an extended key usage twice")
        }
        let isForAny = names.contains(ExtendedUsage.any)
        if isForAny { list.add(UsageRule.extendedAny, "has the extended key usage anyExtendedKeyUsage") }
        let shown = certificate.extendedKeyUsage.joined(separator: ", ")
        if role == .client, !isForAny, !names.contains(ExtendedUsage.client) {
            list.add(UsageRule.client, "has the extended key usage \(shown), not clientAuth")
        }
        if role == .server, !isForAny, !names.contains(ExtendedUsage.server) {
            list.add(UsageRule.server, "has the extended key usage \(shown), not serverAuth")
        }
        guard !role.isCA, !certificate.isCA, let usage = certificate.keyUsage, !usage.isEmpty else { return }
        for (name, needed) in ExtendedUsage.needs where names.contains(name.identifier) {
            guard usage.isDisjoint(with: needed) else { continue }
            list.add(
                UsageRule.extendedInconsistent,
                "has the extended key usage \(name.text), and its key usage (\(usage)) has none of \(needed)",
                hint: "add \(needed) to the key usage, as far as the key can do it"
            )
        }
    }

    /// Examines the identifiers of the certified key and of the issuer's.
    mutating func examineKeyIdentifiers(_ encoded: EncodedCertificate) {
        func isAbsent(_ identifier: String) -> Bool {
            !(encoded.extensions ?? []).contains { $0.identifier == identifier }
        }
        if certificate.isCA, isAbsent(CertificateExtension.subjectKeyIdentifier) {
            list.add(UsageRule.subjectKey, "is a CA's, and has no subjectKeyIdentifier")
        }
        if isAbsent(CertificateExtension.authorityKeyIdentifier) {
            if !certificate.isSelfIssued {
                list.add(UsageRule.noAuthorityKey, "has no authorityKeyIdentifier")
            }
            return
        }
        guard let found = extensions[CertificateExtension.authorityKeyIdentifier] else { return }
        list.examine(authorityKey: found)
        // With one name, the issuer's key can be another still: a root that certified its next key.
        guard certificate.isCA, certificate.isSelfIssued, let own = certificate.subjectKeyIdentifier,
            let issuers = certificate.authorityKeyIdentifier, own != issuers, certificate.hasSigned(certificate)
        else { return }
        list.add(
            IssuerRule.keyIdentifier,
            "is self-signed, and its authorityKeyIdentifier is not its subjectKeyIdentifier"
        )
    }
}

extension FindingList {
    /// Examines the form of an authorityKeyIdentifier.
    mutating func examine(authorityKey found: EncodedExtension) {
        let parts = DER.elements(in: DER.sequence, found.value) ?? []
        if !parts.contains(where: { $0.tag == DER.implicit(0) && !$0.contents.isEmpty }) {
            add(UsageRule.authorityKeyWithoutKey, "has an authorityKeyIdentifier without a key identifier")
        } else if parts.count > 1 {
            add(
                UsageRule.authorityKeyIssuer,
                "has an authorityKeyIdentifier that names the issuer's certificate, not the key alone"
            )
        }
    }
}

/// The extended key usages that have rules of their own (RFC 5280 §4.2.1.12).
enum ExtendedUsage {
    static let any = "2.5.29.37.0"
    static let server = "1.3.6.1.5.5.7.3.1"
    static let client = "1.3.6.1.5.5.7.3.2"

    /// Of which key usages each needs one at least.
    static let needs: [(name: (identifier: String, text: String), usage: KeyUsage)] = [
        ((server, "serverAuth"), [.digitalSignature, .keyEncipherment, .keyAgreement]),
        ((client, "clientAuth"), [.digitalSignature, .keyAgreement]),
        (("1.3.6.1.5.5.7.3.3", "codeSigning"), [.digitalSignature]),
        (("1.3.6.1.5.5.7.3.8", "timeStamping"), [.digitalSignature, .nonRepudiation]),
        (("1.3.6.1.5.5.7.3.9", "OCSPSigning"), [.digitalSignature, .nonRepudiation]),
    ]
}
