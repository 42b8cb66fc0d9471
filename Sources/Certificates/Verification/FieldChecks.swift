// SPDX-License-Identifier: Apache-2.0

import SystemSupport

extension [RuleViolation] {
    /// The kinds of key that have no size or curve to examine, by libcrypto's names.
    private static let soundKinds: Set<String> = ["ED25519", "ED448", "X25519", "X448", "RSA-PSS"]

    /// The curves that all software reads.
    private static let usualCurves: Set<String> = ["prime256v1", "secp384r1", "secp521r1"]

    mutating func check(key: PublicKey) {
        switch key.algorithm {
        case .rsa(let bits): checkRSA(key, bits: bits)
        case .ec(let curve): checkEC(key, curve: curve)
        case .mlDSA: break
        case .other(let name):
            if !Self.soundKinds.contains(name) {
                add(KeyRule.algorithm, "is for a key of the kind \(printable(name, limit: 80))")
            }
        }
    }

    private mutating func checkRSA(_ key: PublicKey, bits: Int) {
        if bits < 2048 { add(KeyRule.shortRSA, "has an RSA key of \(bits) bits") }
        guard let numbers = DER.elements(inSequence: key.subjectPublicKey), numbers.count == 2 else { return }
        if numbers[0].contents.last.map({ $0 & 1 == 0 }) ?? true {
            add(KeyRule.evenModulus, "has an RSA key with an even modulus")
        }
        let exponent = numbers[1].contents.drop { $0 == 0 }
        let isNegative = numbers[1].contents.first.map { $0 & 0x80 != 0 } ?? true
        let value = exponent.count > 4 ? Int.max : exponent.reduce(0) { $0 << 8 | Int($1) }
        if isNegative || value < 3 || exponent.last.map({ $0 & 1 == 0 }) ?? true {
            add(KeyRule.exponent, "has an RSA key with the public exponent \(isNegative ? "below zero" : "\(value)")")
        } else if value < 65_537 {
            add(KeyRule.smallExponent, "has an RSA key with the public exponent \(value)")
        }
    }

    private mutating func checkEC(_ key: PublicKey, curve: String) {
        let algorithm = DER.elements(inSequence: key.derEncoded)?.first
        let parameters = algorithm.flatMap { DER.elements(in: $0.contents) }?.dropFirst().first
        if parameters?.tag == DER.sequence {
            add(KeyRule.explicitCurve, "has a key whose curve is given by its parameters")
        } else if !Self.usualCurves.contains(curve) {
            add(KeyRule.curve, "has a key on \(key.algorithm)")
        }
        if let first = key.subjectPublicKey.first, first == 2 || first == 3 {
            add(KeyRule.compressedPoint, "has a key whose point is compressed")
        }
    }
}

extension [RuleViolation] {
    /// Checks the encoding of a UTCTime or a GeneralizedTime; its name is, for example, `notBefore`.
    mutating func check(time: DER.Element, _ name: String) {
        let text = String(decoding: time.contents, as: UTF8.self)
        let shown = printable(text, limit: 40)
        let yearDigits = time.tag == DER.generalizedTime ? 4 : 2
        if time.tag == DER.generalizedTime {
            if let year = Int(text.prefix(4)), year < 2050 {
                add(TimeRule.form, "has \(name) as GeneralizedTime (\(shown)), and it is before 2050")
            }
            if text.contains(".") || text.contains(",") {
                add(TimeRule.fraction, "has \(name) with a fraction of a second (\(shown))")
            }
        }
        if time.contents.last != UInt8(ascii: "Z") {
            add(TimeRule.zone, "has \(name) with an offset from UTC (\(shown))")
        }
        // Year, month, day, hour, minute and second, two digits each but for the year.
        if text.prefix(while: \.isNumber).count < yearDigits + 10 {
            add(TimeRule.seconds, "has \(name) without seconds (\(shown))")
        }
    }
}

/// An extension that an RFC defines.
struct KnownExtension {
    /// Whether the extension must be critical, must not be, or may be either.
    enum Criticality {
        case must, mustNot, open
    }

    let name: String
    let criticality: Criticality
    /// Whether libcrypto can decode the value.
    var isReadable = true

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

    static let ofLists: [String: KnownExtension] = [
        "2.5.29.18": .init(name: "issuerAltName", criticality: .mustNot),
        "2.5.29.20": .init(name: "cRLNumber", criticality: .mustNot),
        "2.5.29.27": .init(name: "deltaCRLIndicator", criticality: .must),
        "2.5.29.28": .init(name: "issuingDistributionPoint", criticality: .must),
        CertificateExtension.authorityKeyIdentifier: .init(name: "authorityKeyIdentifier", criticality: .mustNot),
        "2.5.29.46": .init(name: "freshestCRL", criticality: .mustNot),
        "1.3.6.1.5.5.7.1.1": .init(name: "authorityInfoAccess", criticality: .mustNot),
    ]

    static let ofEntries: [String: KnownExtension] = [
        "2.5.29.21": .init(name: "reasonCode", criticality: .mustNot),
        "2.5.29.24": .init(name: "invalidityDate", criticality: .mustNot),
        "2.5.29.29": .init(name: "certificateIssuer", criticality: .must),
    ]
}

extension [RuleViolation] {
    /// Checks every extension and returns those whose values can be read, each once, by their identifiers. The place goes before
    /// an extension's name in a finding.
    mutating func check(
        _ extensions: [EncodedExtension]?, _ known: [String: KnownExtension], place: String = ""
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
                add(
                    EncodingRule.defaultValue,
                    "has \(place)the extension \(name) with the default critical = FALSE written out")
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
                        : "has \(place)the extension \(name), in which \(defect)")
                if isMalformed { continue }
            } else if kind.isReadable, !CertificateExtension.canRead(found.identifier, [UInt8](found.value)) {
                add(
                    EncodingRule.malformedExtension,
                    "has \(place)the extension \(name) with a value that cannot be read")
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
