// SPDX-License-Identifier: Apache-2.0

/// An extension that RFC 5280 or another RFC defines, with what is said of its criticality.
struct KnownExtension {
    /// What a rule says of an extension's criticality.
    enum Criticality {
        case must, mustNot, open
    }

    let name: String
    let criticality: Criticality
    /// Whether libcrypto can tell a value that is malformed.
    var isReadable = true

    /// The extensions of certificates.
    static let ofCertificates: [String: KnownExtension] = [
        "2.5.29.9": .init(name: "subjectDirectoryAttributes", criticality: .mustNot, isReadable: false),
        CertificateExtension.subjectKeyIdentifier: .init(name: "subjectKeyIdentifier", criticality: .mustNot),
        CertificateExtension.keyUsage: .init(name: "keyUsage", criticality: .open),
        CertificateExtension.subjectAlternativeName: .init(name: "subjectAltName", criticality: .open),
        "2.5.29.18": .init(name: "issuerAltName", criticality: .open),
        CertificateExtension.basicConstraints: .init(name: "basicConstraints", criticality: .open),
        CertificateExtension.nameConstraints: .init(name: "nameConstraints", criticality: .open),
        "2.5.29.31": .init(name: "cRLDistributionPoints", criticality: .open),
        CertificateExtension.certificatePolicies: .init(name: "certificatePolicies", criticality: .open),
        "2.5.29.33": .init(name: "policyMappings", criticality: .open),
        CertificateExtension.authorityKeyIdentifier: .init(name: "authorityKeyIdentifier", criticality: .mustNot),
        "2.5.29.36": .init(name: "policyConstraints", criticality: .must),
        CertificateExtension.extendedKeyUsage: .init(name: "extKeyUsage", criticality: .open),
        "2.5.29.46": .init(name: "freshestCRL", criticality: .mustNot),
        "2.5.29.54": .init(name: "inhibitAnyPolicy", criticality: .must),
        "1.3.6.1.5.5.7.1.1": .init(name: "authorityInfoAccess", criticality: .mustNot),
        "1.3.6.1.5.5.7.1.3": .init(name: "qcStatements", criticality: .open, isReadable: false),
        "1.3.6.1.5.5.7.1.11": .init(name: "subjectInfoAccess", criticality: .mustNot),
        "1.3.6.1.5.5.7.1.24": .init(name: "tlsFeature", criticality: .open, isReadable: false),
        "1.3.6.1.5.5.7.48.1.5": .init(name: "noCheck", criticality: .open, isReadable: false),
    ]

    /// The extensions of lists.
    static let ofLists: [String: KnownExtension] = [
        "2.5.29.18": .init(name: "issuerAltName", criticality: .mustNot),
        "2.5.29.20": .init(name: "cRLNumber", criticality: .mustNot),
        "2.5.29.27": .init(name: "deltaCRLIndicator", criticality: .must),
        "2.5.29.28": .init(name: "issuingDistributionPoint", criticality: .must),
        CertificateExtension.authorityKeyIdentifier: .init(name: "authorityKeyIdentifier", criticality: .mustNot),
        "2.5.29.46": .init(name: "freshestCRL", criticality: .mustNot),
        "1.3.6.1.5.5.7.1.1": .init(name: "authorityInfoAccess", criticality: .mustNot),
    ]

    /// The extensions of a list's entries.
    static let ofEntries: [String: KnownExtension] = [
        "2.5.29.21": .init(name: "reasonCode", criticality: .mustNot),
        "2.5.29.24": .init(name: "invalidityDate", criticality: .mustNot),
        "2.5.29.29": .init(name: "certificateIssuer", criticality: .must),
    ]
}

extension FindingList {
    /// Examines what can be said of every extension.
    ///
    /// - Parameters:
    ///   - extensions: The extensions; nothing when the field is left out.
    ///   - known: Those that are known.
    ///   - place: What goes before an extension's name in a finding.
    /// - Returns: The extensions whose values can be read, each once, by their identifiers.
    mutating func examine(
        _ extensions: [EncodedExtension]?,
        _ known: [String: KnownExtension],
        place: String = ""
    ) -> [String: EncodedExtension] {
        guard let extensions else { return [:] }
        if extensions.isEmpty { add(EncodingRule.noExtensions, "has an empty list of extensions") }
        var readable: [String: EncodedExtension] = [:]
        var seen: Set<String> = []
        for found in extensions {
            let kind = known[found.identifier]
            let name = kind?.name ?? found.identifier
            guard seen.insert(found.identifier).inserted else {
                add(EncodingRule.duplicateExtension, "has \(place)the extension \(name) twice")
                continue
            }
            if found.writesDefault {
                add(EncodingRule.defaultValue, "says of \(place)the extension \(name) that it is not critical")
            }
            guard let kind else {
                if found.isCritical {
                    add(EncodingRule.unknownCritical, "has \(place)the critical extension \(name), which is not known")
                }
                continue
            }
            switch kind.criticality {
            case .must where !found.isCritical:
                add(EncodingRule.mustBeCritical, "has \(place)the extension \(name), and it is not critical")
            case .mustNot where found.isCritical:
                add(EncodingRule.mustNotBeCritical, "has \(place)the extension \(name), and it is critical")
            default: break
            }
            if let defect = DER.defect(in: found.value) {
                let isMalformed = DER.elements(in: found.value)?.count != 1
                add(
                    isMalformed ? EncodingRule.malformedExtension : EncodingRule.der,
                    isMalformed
                        ? "has \(place)the extension \(name) with a value that cannot be read"
                        : "has \(place)the extension \(name), in which \(defect)"
                )
                if isMalformed { continue }
            } else if kind.isReadable, !CertificateExtension.canRead(found.identifier, Array(found.value)) {
                add(
                    EncodingRule.malformedExtension,
                    "has \(place)the extension \(name) with a value that cannot be read"
                )
                continue
            }
            readable[found.identifier] = found
        }
        return readable
    }
}

extension CertificateExtension {
    static let certificatePolicies = "2.5.29.32"
    static let extendedKeyUsage = "2.5.29.37"
}
