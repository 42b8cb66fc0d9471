// SPDX-License-Identifier: Apache-2.0

/// The examination of one certificate.
struct CertificateChecks {
    let certificate: Certificate
    let role: CertificateRole
    var list = FindingList()

    /// The extensions whose values can be read, by their identifiers.
    private(set) var extensions: [String: EncodedExtension] = [:]

    init(_ certificate: Certificate, role: CertificateRole) {
        self.certificate = certificate
        self.role = role
    }

    /// Looks at everything.
    mutating func run() {
        guard let encoded = EncodedCertificate(certificate.derEncoded) else {
            return list.add(EncodingRule.der, "is put together in a way that cannot be followed")
        }
        examineFields(encoded)
        extensions = list.examine(encoded.extensions, KnownExtension.ofCertificates)
        let hasExtensions = encoded.extensions != nil
        if certificate.version != 3 {
            let words = hasExtensions ? ", and has extensions" : ", not 3"
            list.add(EncodingRule.version, "is of X.509 version \(certificate.version)\(words)")
        }
        list.examine(key: certificate.publicKey)
        examineNames(encoded)
        // What a certificate of an older version lacks, it cannot have.
        guard certificate.version == 3 else { return }
        examineConstraints()
        examineKeyUsage()
        examineExtendedKeyUsage()
        examineKeyIdentifiers(encoded)
        examineAlternativeNames()
        examineNameConstraints()
        examinePolicies()
    }

    private mutating func examineFields(_ encoded: EncodedCertificate) {
        if let defect = DER.defect(in: certificate.derEncoded[...]) {
            list.add(EncodingRule.der, "is not in DER: \(defect)")
        }
        if encoded.version == [0] { list.add(EncodingRule.defaultValue, "says that it is of version 1") }
        if encoded.hasUniqueIdentifiers { list.add(EncodingRule.uniqueIdentifiers, "has a unique identifier") }
        let serial = encoded.serialNumber
        if serial.allSatisfy({ $0 == 0 }) {
            list.add(EncodingRule.serialZero, "has the serial number 0")
        } else if serial.first.map({ $0 >= 0x80 }) ?? false {
            list.add(EncodingRule.serialNegative, "has a serial number below zero")
        }
        if serial.count > 20 { list.add(EncodingRule.serialLength, "has a serial number of \(serial.count) octets") }
        if encoded.innerAlgorithm.encoding != encoded.outerAlgorithm.encoding {
            list.add(
                EncodingRule.algorithmsDiffer,
                "has one algorithm under the signature and another beside it"
            )
        }
        list.examine(signature: encoded.outerAlgorithm)
        // Nobody relies on the signature that a root makes on itself.
        let isRoot = certificate.isCA && certificate.isSelfIssued
        if certificate.signatureAlgorithm.isWeak, !isRoot {
            list.add(EncodingRule.weakSignature, "is signed with \(certificate.signatureAlgorithm.name)")
        }
        if certificate.notBefore > certificate.notAfter {
            list.add(TimeRule.order, "ends before it begins to be valid")
        }
        list.examine(time: encoded.notBefore, "notBefore")
        list.examine(time: encoded.notAfter, "notAfter")
    }

    private mutating func examineNames(_ encoded: EncodedCertificate) {
        if certificate.issuer.isEmpty { list.add(NameRule.issuerEmpty, "has an empty issuer") }
        if certificate.subject.isEmpty, certificate.isCA || role.isCA {
            list.add(NameRule.subjectEmpty, "has an empty subject")
        } else if certificate.subject.isEmpty, extensions[CertificateExtension.subjectAlternativeName] == nil {
            list.add(NameRule.unnamed, "has neither a subject nor an alternative name")
        }
        list.examine(name: encoded.issuer, whose: "issuer")
        if encoded.subject.encoding != encoded.issuer.encoding {
            list.examine(name: encoded.subject, whose: "subject")
        }
    }

    private mutating func examinePolicies() {
        guard let found = extensions[CertificateExtension.certificatePolicies],
            let policies = DER.elements(in: DER.sequence, found.value)
        else { return }
        let identifiers = policies.compactMap { DER.elements(in: $0.contents)?.first?.contents }
        if Set(identifiers).count < identifiers.count {
            list.add(EncodingRule.policiesDuplicate, "names a certificate policy twice")
        }
    }
}

extension FindingList {
    /// Examines the parameters of a signature's algorithm.
    mutating func examine(signature algorithm: DER.Element) {
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
                add(EncodingRule.algorithmParameters, "has a signature with parameters, which its algorithm has not")
            }
        default: break
        }
    }
}
