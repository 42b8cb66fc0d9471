// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// The checks of one CRL by itself.
struct RevocationListChecks {
    let revocations: CertificateRevocationList
    var findings: [RuleViolation] = []

    /// The rules that an entry broke. A CRL may have a million entries with the same fault.
    private var reported: Set<String> = []

    init(_ revocations: CertificateRevocationList) { self.revocations = revocations }

    mutating func run() {
        guard let encoded = EncodedRevocationList(revocations.derEncoded) else {
            return findings.add(EncodingRule.der, "has a structure that cannot be read")
        }
        if let defect = DER.defect(in: revocations.derEncoded[...]) {
            findings.add(EncodingRule.der, "is not in DER: \(defect)")
        }
        findings.check(signature: encoded.outerAlgorithm)
        if revocations.signatureAlgorithm.isWeak {
            findings.add(EncodingRule.weakSignature, "is signed with \(revocations.signatureAlgorithm.name)")
        }
        if revocations.issuer.isEmpty { findings.add(NameRule.issuerEmpty, "has an empty issuer") }
        findings.check(name: encoded.issuer, whose: "issuer")
        checkTimes(encoded)
        let extensions = findings.check(encoded.extensions, KnownExtension.ofLists)
        if revocations.version == 2 {
            checkExtensions(encoded, extensions)
        } else {
            findings.add(RevocationListRule.version, "is of version \(revocations.version), not 2")
        }
        checkEntries(encoded)
    }

    private mutating func checkTimes(_ encoded: EncodedRevocationList) {
        findings.check(time: encoded.thisUpdate, "thisUpdate")
        guard let nextUpdate = encoded.nextUpdate, let next = revocations.nextUpdate else {
            return findings.add(RevocationListRule.noNextUpdate, "has no nextUpdate")
        }
        findings.check(time: nextUpdate, "nextUpdate")
        if next < revocations.thisUpdate {
            findings.add(RevocationListRule.updateOrder, "has a nextUpdate before its thisUpdate")
        }
    }

    private mutating func checkExtensions(_ encoded: EncodedRevocationList, _ extensions: [String: EncodedExtension]) {
        let identifiers = Set((encoded.extensions ?? []).map(\.identifier))
        if !identifiers.contains("2.5.29.20") { findings.add(RevocationListRule.noNumber, "has no number") }
        if !identifiers.contains(CertificateExtension.authorityKeyIdentifier) {
            findings.add(RevocationListRule.noAuthorityKey, "has no authorityKeyIdentifier")
        } else if let found = extensions[CertificateExtension.authorityKeyIdentifier] {
            findings.check(authorityKey: found)
        }
        if let number = extensions["2.5.29.20"].flatMap({ DER.elements(in: $0.value)?.first }) {
            if number.contents.count > 20 {
                findings.add(RevocationListRule.numberLength, "has a number of \(number.contents.count) octets")
            }
            if number.contents.first.map({ $0 >= 0x80 }) ?? false {
                findings.add(RevocationListRule.numberNegative, "has a number below zero")
            }
        }
        if identifiers.contains("2.5.29.28") {
            findings.add(RevocationListRule.distributionPoint, "has an issuingDistributionPoint")
        }
        if revocations.isDelta { findings.add(RevocationListRule.delta, "is a delta CRL") }
    }

    private mutating func checkEntries(_ encoded: EncodedRevocationList) {
        guard let entries = encoded.entries else { return }
        if entries.isEmpty { findings.add(RevocationListRule.emptyList, "has an empty field revokedCertificates") }
        var seen: Set<ArraySlice<UInt8>> = []
        seen.reserveCapacity(entries.count)
        var knownTimes: Set<ArraySlice<UInt8>> = []
        for entry in entries {
            let shown = "the entry \(hexadecimal(entry.serialNumber.prefix(24)))"
            let isPositive = entry.serialNumber.first.map { $0 < 0x80 } ?? false
            if !isPositive || entry.serialNumber.count > 20 || entry.serialNumber.allSatisfy({ $0 == 0 }) {
                report(RevocationListRule.entrySerial, "has \(shown), which is not a valid serial number")
            }
            // There may be an entry for each issuer of the same serial number.
            let names = KnownExtension.ofEntries
            let isOfAnother = (entry.extensions ?? []).contains { names[$0.identifier]?.name == "certificateIssuer" }
            if !isOfAnother, !seen.insert(entry.serialNumber).inserted {
                report(RevocationListRule.entryDuplicate, "has \(shown) twice")
            }
            // Many entries have the same time.
            if knownTimes.insert(entry.date.encoding).inserted {
                var found: [RuleViolation] = []
                found.check(time: entry.date, "the date of \(shown)")
                report(found)
            }
            if let extensions = entry.extensions { check(extensions, shown) }
        }
        if revocations.entries.contains(where: { $0.revocationDate > revocations.thisUpdate }) {
            findings.add(RevocationListRule.entryFuture, "has an entry that is dated after the CRL")
        }
    }

    private mutating func check(_ extensions: [EncodedExtension], _ shown: String) {
        let readable: [String: EncodedExtension]
        if extensions.count == 1, let only = extensions.first, only.identifier == "2.5.29.21", !only.isCritical,
            !only.writesDefault, only.value.count == 3
        {
            // The usual encoding, of which there may be a million, needs no closer check.
            readable = [only.identifier: only]
        } else {
            var found: [RuleViolation] = []
            readable = found.check(extensions, KnownExtension.ofEntries, place: "in \(shown) ")
            report(found)
        }
        guard let code = readable["2.5.29.21"].flatMap({ DER.elements(in: $0.value)?.first }) else { return }
        guard code.contents.count == 1, let reason = code.contents.first, reason <= 10, reason != 7 else {
            return report(
                RevocationListRule.reasonInvalid, "has \(shown) with the reason \(hexadecimal(code.contents.prefix(8)))"
            )
        }
        if reason == 0 { report(RevocationListRule.reasonUnspecified, "has \(shown) with the reason unspecified") }
        if reason == 8, !revocations.isDelta {
            report(RevocationListRule.reasonRemove, "has \(shown) with the reason removeFromCRL, and is a complete CRL")
        }
    }

    private mutating func report(_ rule: ValidationRule, _ finding: String) {
        if reported.insert(rule.name).inserted { findings.add(rule, finding) }
    }

    /// Adds the violations of an entry that no entry before had.
    private mutating func report(_ found: [RuleViolation]) {
        for finding in found where reported.insert("entry \(finding.rule.name)").inserted { findings.append(finding) }
    }
}

extension [RuleViolation] {
    mutating func check(_ certificate: Certificate, issuedBy issuer: Certificate) {
        if !issuer.hasSigned(certificate) {
            add(IssuerRule.signature, "is not signed by the key of \(issuer.shownSubject)")
        }
        if !issuer.isCA {
            add(IssuerRule.notCA, "is issued by \(issuer.shownSubject), which is not a CA")
        } else if issuer.keyUsage?.contains(.keyCertSign) == false {
            add(IssuerRule.keyUsage, "is issued by \(issuer.shownSubject), whose key usage lacks keyCertSign")
        }
        check(issuer: certificate.issuer, keyIdentifier: certificate.authorityKeyIdentifier, issuer)
        if certificate.notAfter > issuer.notAfter {
            add(
                IssuerRule.validity,
                "is valid until \(CivilTime(certificate.notAfter).extended), longer than its issuer, "
                    + CivilTime(issuer.notAfter).extended)
        }
    }

    mutating func check(_ list: CertificateRevocationList, issuedBy issuer: Certificate) {
        if !list.isSigned(by: issuer) {
            add(IssuerRule.signature, "is not signed by the key of \(issuer.shownSubject)")
        }
        if issuer.keyUsage?.contains(.crlSign) == false {
            add(IssuerRule.listUsage, "is issued by \(issuer.shownSubject), whose key usage lacks cRLSign")
        }
        check(issuer: list.issuer, keyIdentifier: list.authorityKeyIdentifier, issuer)
    }

    private mutating func check(issuer name: DistinguishedName, keyIdentifier: [UInt8]?, _ issuer: Certificate) {
        if let named = keyIdentifier, let own = issuer.subjectKeyIdentifier, named != own {
            add(
                IssuerRule.keyIdentifier,
                "names the issuer's key \(hexadecimal(named.prefix(32))), and that of \(issuer.shownSubject) is "
                    + hexadecimal(own.prefix(32)))
        }
        if name != issuer.subject, name.isEqual(to: issuer.subject) {
            add(IssuerRule.nameEncoding, "encodes the name of its issuer in other bytes than \(issuer.shownSubject)")
        }
    }
}

extension Certificate {
    /// The subject, or the serial number when it is empty, for a message.
    var shownSubject: String {
        subject.isEmpty ? "serial number \(serialNumber)" : printable(subject.description, limit: 200)
    }
}

extension DistinguishedName {
    /// Whether two names are equal by RFC 5280 §7.1: whatever their encoding, case and blanks.
    package func isEqual(to other: DistinguishedName) -> Bool {
        if self == other { return true }
        func folded(_ names: [[Attribute]]) -> [Set<Attribute>] {
            names.map { set in
                Set(
                    set.map {
                        Attribute(
                            type: $0.type, value: $0.value.lowercased().split(separator: " ").joined(separator: " "))
                    }
                )
            }
        }
        return folded(relativeNames) == folded(other.relativeNames)
    }
}
