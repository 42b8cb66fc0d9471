// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// The checks of one certificate by itself.
struct CertificateChecks {
    let certificate: Certificate
    let role: CertificateRole
    var findings: [RuleViolation] = []

    /// The extensions whose values can be read, by their identifiers.
    private(set) var extensions: [String: EncodedExtension] = [:]

    mutating func run() {
        guard let encoded = EncodedCertificate(certificate.derEncoded) else {
            return findings.add(EncodingRule.der, "has a structure that cannot be read")
        }
        checkFields(encoded)
        extensions = findings.check(encoded.extensions, KnownExtension.ofCertificates)
        let hasExtensions = encoded.extensions != nil
        if certificate.version != 3 {
            let words = hasExtensions ? ", and has extensions" : ", not 3"
            findings.add(EncodingRule.version, "is of X.509 version \(certificate.version)\(words)")
        }
        findings.check(key: certificate.publicKey)
        checkOwnSignature()
        checkNames(encoded)
        // A certificate of an older version cannot have extensions.
        guard certificate.version == 3 else { return }
        checkConstraints()
        checkKeyUsage()
        checkExtendedKeyUsage()
        checkKeyIdentifiers(encoded)
        checkAlternativeNames()
        checkNameConstraints()
        checkPolicies()
    }

    private mutating func checkFields(_ encoded: EncodedCertificate) {
        if let defect = DER.defect(in: certificate.derEncoded[...]) {
            findings.add(EncodingRule.der, "is not in DER: \(defect)")
        }
        if encoded.version == [0] {
            findings.add(EncodingRule.defaultValue, "has the version 1 written out, which is the default")
        }
        if encoded.hasUniqueIdentifiers { findings.add(EncodingRule.uniqueIdentifiers, "has a unique identifier") }
        let serial = encoded.serialNumber
        if serial.allSatisfy({ $0 == 0 }) {
            findings.add(EncodingRule.serialZero, "has the serial number 0")
        } else if serial.first.map({ $0 >= 0x80 }) ?? false {
            findings.add(EncodingRule.serialNegative, "has a serial number below zero")
        }
        if serial.count > 20 {
            findings.add(EncodingRule.serialLength, "has a serial number of \(serial.count) octets")
        }
        if encoded.innerAlgorithm.encoding != encoded.outerAlgorithm.encoding {
            findings.add(EncodingRule.algorithmsDiffer, "has two different signature algorithms")
        }
        findings.check(signature: encoded.outerAlgorithm)
        // A root's signature on itself proves nothing.
        let isRoot = certificate.isCA && certificate.isSelfIssued
        if certificate.signatureAlgorithm.isWeak, !isRoot {
            findings.add(EncodingRule.weakSignature, "is signed with \(certificate.signatureAlgorithm.name)")
        }
        if certificate.notBefore > certificate.notAfter {
            findings.add(TimeRule.order, "has a notAfter before its notBefore")
        }
        findings.check(time: encoded.notBefore, "notBefore")
        findings.check(time: encoded.notAfter, "notAfter")
    }

    /// A self-issued certificate claims the signature of its own key, unless it names another: a root that certified its
    /// next key.
    private mutating func checkOwnSignature() {
        guard certificate.isSelfIssued, !certificate.subject.isEmpty else { return }
        let (own, signers) = (certificate.subjectKeyIdentifier, certificate.authorityKeyIdentifier)
        let isSure = own != nil && own == signers
        guard isSure || certificate.isCA && (own == nil || signers == nil),
            SignatureVerifier.knows(certificate.publicKey),
            !certificate.hasSigned(certificate)
        else { return }
        findings.add(IssuerRule.signature, "is self-signed, and its signature is not that of its key")
    }

    private mutating func checkNames(_ encoded: EncodedCertificate) {
        if certificate.issuer.isEmpty { findings.add(NameRule.issuerEmpty, "has an empty issuer") }
        if certificate.subject.isEmpty, certificate.isCA || role.isCA {
            findings.add(NameRule.subjectEmpty, "has an empty subject")
        } else if certificate.subject.isEmpty, extensions[CertificateExtension.subjectAlternativeName] == nil {
            findings.add(NameRule.unnamed, "has neither a subject nor an alternative name")
        }
        findings.check(name: encoded.issuer, whose: "issuer")
        if encoded.subject.encoding != encoded.issuer.encoding {
            findings.check(name: encoded.subject, whose: "subject")
        }
    }

    private mutating func checkPolicies() {
        guard let found = extensions[CertificateExtension.certificatePolicies],
            let policies = DER.elements(in: DER.sequence, found.value)
        else { return }
        let identifiers = policies.compactMap { DER.elements(in: $0.contents)?.first?.contents }
        if Set(identifiers).count < identifiers.count {
            findings.add(EncodingRule.policiesDuplicate, "names a certificate policy twice")
        }
    }
}

extension [RuleViolation] {
    mutating func check(signature algorithm: DER.Element) {
        guard let parts = DER.elements(in: algorithm.contents), let first = parts.first,
            let identifier = DER.objectIdentifierText(first.contents)
        else { return }
        let parameters = parts.dropFirst().first
        switch identifier {
        case "1.2.840.113549.1.1.4", "1.2.840.113549.1.1.5", "1.2.840.113549.1.1.11", "1.2.840.113549.1.1.12",
            "1.2.840.113549.1.1.13", "1.2.840.113549.1.1.14":
            if parameters?.encoding.elementsEqual([0x05, 0x00]) != true {
                add(EncodingRule.algorithmParameters, "has an RSA signature whose parameters are not NULL")
            }
        case "1.2.840.10045.4.1", "1.2.840.10045.4.3.1", "1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3",
            "1.2.840.10045.4.3.4", "2.16.840.1.101.3.4.3.17", "2.16.840.1.101.3.4.3.18",
            "2.16.840.1.101.3.4.3.19", "1.3.101.112", "1.3.101.113":
            if parameters != nil {
                add(
                    EncodingRule.algorithmParameters,
                    "has a signature whose algorithm has no parameters, with parameters")
            }
        default: break
        }
    }
}

extension CertificateChecks {
    mutating func checkConstraints() {
        let found = extensions[CertificateExtension.basicConstraints]
        let parts = found.flatMap { DER.elements(in: DER.sequence, $0.value) } ?? []
        let hasLength = parts.contains { $0.tag == DER.integer }
        if parts.contains(where: { $0.tag == DER.boolean && $0.contents.first == 0 }) {
            findings.add(
                EncodingRule.defaultValue, "has CA:FALSE written out in its basicConstraints, which is the default")
        }
        if certificate.isCA {
            if role == .client || role == .server { findings.add(UsageRule.isCA, "is a CA's (CA:TRUE)") }
            if found?.isCritical == false {
                findings.add(UsageRule.constraintsCritical, "has basicConstraints that are not critical")
            }
        } else {
            if role.isCA { findings.add(UsageRule.notCA, "is not a CA's: it lacks basicConstraints with CA:TRUE") }
            if hasLength { findings.add(UsageRule.pathLength, "has a path length, and is not a CA's") }
        }
        guard certificate.isCA, let length = certificate.basicConstraints?.pathLength, length < 0 else { return }
        findings.add(EncodingRule.malformedExtension, "has a path length below zero")
    }

    mutating func checkKeyUsage() {
        guard let found = extensions[CertificateExtension.keyUsage] else {
            // An extension that cannot be read was reported already.
            let isAbsent = !certificate.extensions.contains { $0.identifier == CertificateExtension.keyUsage }
            if certificate.isCA, isAbsent { findings.add(UsageRule.caKeyUsage, "is a CA's, and has no key usage") }
            return
        }
        guard let usage = KeyUsage(derEncoded: Array(found.value)), !usage.isEmpty else {
            return findings.add(UsageRule.usageEmpty, "has a key usage without any use")
        }
        if certificate.isCA {
            if !found.isCritical { findings.add(UsageRule.caKeyUsageCritical, "has a key usage that is not critical") }
            if !usage.contains(.keyCertSign) {
                findings.add(UsageRule.caCertSign, "is a CA's, and its key usage (\(usage)) lacks keyCertSign")
            } else if !usage.contains(.crlSign) {
                findings.add(UsageRule.caListSign, "is a CA's, and its key usage (\(usage)) lacks cRLSign")
            }
        } else if usage.contains(.keyCertSign), !role.isCA {
            findings.add(UsageRule.certSign, "has the key usage keyCertSign, and is not a CA's")
        }
        let impossible = usage.subtracting(.possible(for: certificate.publicKey.algorithm))
        if !impossible.isEmpty {
            findings.add(
                UsageRule.impossible,
                "has the key usage \(impossible), which a key of the kind \(certificate.publicKey.algorithm) cannot do")
        } else if !usage.isDisjoint(with: [.encipherOnly, .decipherOnly]),
            !usage.contains(.keyAgreement) || usage.isSuperset(of: [.encipherOnly, .decipherOnly])
        {
            findings.add(
                UsageRule.onlyBits, "has the key usage \(usage), in which encipherOnly or decipherOnly has no meaning")
        }
    }

    mutating func checkExtendedKeyUsage() {
        guard let found = extensions[CertificateExtension.extendedKeyUsage],
            let usages = DER.elements(in: DER.sequence, found.value)
        else { return }
        guard !usages.isEmpty else {
            return findings.add(UsageRule.extendedEmpty, "has an extended key usage without any use")
        }
        let names = usages.map { DER.objectIdentifierText($0.contents) ?? hexadecimal($0.contents) }
        if Set(names).count < names.count {
            findings.add(UsageRule.extendedDuplicate, "has an extended key usage twice")
        }
        let isForAny = names.contains(ExtendedUsage.any)
        if isForAny { findings.add(UsageRule.extendedAny, "has the extended key usage anyExtendedKeyUsage") }
        let shown = certificate.extendedKeyUsage.joined(separator: ", ")
        if role == .client, !isForAny, !names.contains(ExtendedUsage.client) {
            findings.add(UsageRule.client, "has the extended key usage \(shown), not clientAuth")
        }
        if role == .server, !isForAny, !names.contains(ExtendedUsage.server) {
            findings.add(UsageRule.server, "has the extended key usage \(shown), not serverAuth")
        }
        guard !role.isCA, !certificate.isCA, let usage = certificate.keyUsage, !usage.isEmpty else { return }
        for (name, needed) in ExtendedUsage.needs where names.contains(name.identifier) {
            guard usage.isDisjoint(with: needed) else { continue }
            findings.add(
                UsageRule.extendedInconsistent,
                "has the extended key usage \(name.text), and its key usage (\(usage)) has none of \(needed)",
                hint: "add \(needed) to the key usage, as far as the key can do it")
        }
    }

    mutating func checkKeyIdentifiers(_ encoded: EncodedCertificate) {
        func isAbsent(_ identifier: String) -> Bool {
            !(encoded.extensions ?? []).contains { $0.identifier == identifier }
        }
        if certificate.isCA, isAbsent(CertificateExtension.subjectKeyIdentifier) {
            findings.add(UsageRule.subjectKey, "is a CA's, and has no subjectKeyIdentifier")
        }
        if isAbsent(CertificateExtension.authorityKeyIdentifier) {
            if !certificate.isSelfIssued {
                findings.add(UsageRule.noAuthorityKey, "has no authorityKeyIdentifier")
            }
            return
        }
        guard let found = extensions[CertificateExtension.authorityKeyIdentifier] else { return }
        findings.check(authorityKey: found)
        // A self-issued certificate can be signed by another key: a root that certified its next key.
        guard certificate.isCA, certificate.isSelfIssued, let own = certificate.subjectKeyIdentifier,
            let issuers = certificate.authorityKeyIdentifier, own != issuers, certificate.hasSigned(certificate)
        else { return }
        findings.add(
            IssuerRule.keyIdentifier, "is self-signed, and its authorityKeyIdentifier is not its subjectKeyIdentifier")
    }
}

extension [RuleViolation] {
    mutating func check(authorityKey found: EncodedExtension) {
        let parts = DER.elements(in: DER.sequence, found.value) ?? []
        if !parts.contains(where: { $0.tag == DER.implicit(0) && !$0.contents.isEmpty }) {
            add(UsageRule.authorityKeyWithoutKey, "has an authorityKeyIdentifier without a key identifier")
        } else if parts.count > 1 {
            add(
                UsageRule.authorityKeyIssuer,
                "has an authorityKeyIdentifier that names the issuer's certificate, not the key alone")
        }
    }
}

/// The extended key usages that have rules of their own (RFC 5280 §4.2.1.12).
enum ExtendedUsage {
    static let any = "2.5.29.37.0"
    static let server = "1.3.6.1.5.5.7.3.1"
    static let client = "1.3.6.1.5.5.7.3.2"

    /// The key usages of which each needs at least one.
    static let needs: [(name: (identifier: String, text: String), usage: KeyUsage)] = [
        ((server, "serverAuth"), [.digitalSignature, .keyEncipherment, .keyAgreement]),
        ((client, "clientAuth"), [.digitalSignature, .keyAgreement]),
        (("1.3.6.1.5.5.7.3.3", "codeSigning"), [.digitalSignature]),
        (("1.3.6.1.5.5.7.3.8", "timeStamping"), [.digitalSignature, .nonRepudiation]),
        (("1.3.6.1.5.5.7.3.9", "OCSPSigning"), [.digitalSignature, .nonRepudiation]),
    ]
}
