// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// The examination of one list of revoked certificates.
struct RevocationListChecks {
    let revocations: CertificateRevocationList
    var list = FindingList()

    /// The rules that an entry has broken. A list may have a million entries with one fault.
    private var told: Set<String> = []

    init(_ revocations: CertificateRevocationList) { self.revocations = revocations }

    /// Looks at everything.
    mutating func run() {
        guard let encoded = EncodedRevocationList(revocations.derEncoded) else {
            return list.add(EncodingRule.der, "is put together in a way that cannot be followed")
        }
        if let defect = DER.defect(in: revocations.derEncoded[...]) {
            list.add(EncodingRule.der, "is not in DER: \(defect)")
        }
        list.examine(signature: encoded.outerAlgorithm)
        if revocations.signatureAlgorithm.isWeak {
            list.add(EncodingRule.weakSignature, "is signed with \(revocations.signatureAlgorithm.name)")
        }
        if revocations.issuer.isEmpty { list.add(NameRule.issuerEmpty, "has an empty issuer") }
        list.examine(name: encoded.issuer, whose: "issuer")
        examineTimes(encoded)
        let extensions = list.examine(encoded.extensions, KnownExtension.ofLists)
        if revocations.version == 2 {
            examineExtensions(encoded, extensions)
        } else {
            list.add(RevocationListRule.version, "is of version \(revocations.version), not 2")
        }
        examineEntries(encoded)
    }

    private mutating func examineTimes(_ encoded: EncodedRevocationList) {
        list.examine(time: encoded.thisUpdate, "thisUpdate")
        guard let nextUpdate = encoded.nextUpdate, let next = revocations.nextUpdate else {
            return list.add(RevocationListRule.noNextUpdate, "does not say when the next one comes")
        }
        list.examine(time: nextUpdate, "nextUpdate")
        if next < revocations.thisUpdate {
            list.add(RevocationListRule.updateOrder, "says that the next one comes before this one")
        }
    }

    private mutating func examineExtensions(
        _ encoded: EncodedRevocationList,
        _ extensions: [String: EncodedExtension]
    ) {
        let identifiers = Set((encoded.extensions ?? []).map(\.identifier))
        if !identifiers.contains("2.5.29.20") { list.add(RevocationListRule.noNumber, "has no number") }
        if !identifiers.contains(CertificateExtension.authorityKeyIdentifier) {
            list.add(RevocationListRule.noAuthorityKey, "has no authorityKeyIdentifier")
        } else if let found = extensions[CertificateExtension.authorityKeyIdentifier] {
            list.examine(authorityKey: found)
        }
        if let number = extensions["2.5.29.20"].flatMap({ DER.elements(in: $0.value)?.first }) {
            if number.contents.count > 20 {
                list.add(RevocationListRule.numberLength, "has a number of \(number.contents.count) octets")
            }
            if number.contents.first.map({ $0 >= 0x80 }) ?? false {
                list.add(RevocationListRule.numberNegative, "has a number below zero")
            }
        }
        if identifiers.contains("2.5.29.28") {
            list.add(RevocationListRule.distributionPoint, "has an issuingDistributionPoint")
        }
        if revocations.isDelta { list.add(RevocationListRule.delta, "is a list of changes") }
    }

    private mutating func examineEntries(_ encoded: EncodedRevocationList) {
        guard let entries = encoded.entries else { return }
        if entries.isEmpty { list.add(RevocationListRule.emptyList, "has a list of entries without any") }
        var seen: Set<ArraySlice<UInt8>> = []
        seen.reserveCapacity(entries.count)
        var knownTimes: Set<ArraySlice<UInt8>> = []
        for entry in entries {
            let shown = "the entry \(hexadecimal(entry.serialNumber.prefix(24)))"
            let isPositive = entry.serialNumber.first.map { $0 < 0x80 } ?? false
            if !isPositive || entry.serialNumber.count > 20 || entry.serialNumber.allSatisfy({ $0 == 0 }) {
                tell(.entrySerial, "has \(shown), which is the serial number of no certificate")
            }
            // Of one serial number there may be an entry for each issuer.
            let names = KnownExtension.ofEntries
            let isOfAnother = (entry.extensions ?? []).contains { names[$0.identifier]?.name == "certificateIssuer" }
            if !isOfAnother, !seen.insert(entry.serialNumber).inserted { tell(.entryDuplicate, "has \(shown) twice") }
            // Entries made at one time are many.
            if knownTimes.insert(entry.date.encoding).inserted {
                var found = FindingList()
                found.examine(time: entry.date, "the date of \(shown)")
                tell(found)
            }
            if let extensions = entry.extensions { examine(extensions, shown) }
        }
        if revocations.entries.contains(where: { $0.revocationDate > revocations.thisUpdate }) {
            list.add(RevocationListRule.entryFuture, "has an entry that is dated after the list")
        }
    }

    private mutating func examine(_ extensions: [EncodedExtension], _ shown: String) {
        let readable: [String: EncodedExtension]
        if extensions.count == 1, let only = extensions.first, only.identifier == "2.5.29.21", !only.isCritical,
            !only.writesDefault, only.value.count == 3
        {
            // The common form, of which there may be a million, needs no closer look.
            readable = [only.identifier: only]
        } else {
            var found = FindingList()
            readable = found.examine(extensions, KnownExtension.ofEntries, place: "in \(shown) ")
            tell(found)
        }
        guard let code = readable["2.5.29.21"].flatMap({ DER.elements(in: $0.value)?.first }) else { return }
        guard code.contents.count == 1, let reason = code.contents.first, reason <= 10, reason != 7 else {
            return tell(.reasonInvalid, "has \(shown) with the reason \(hexadecimal(code.contents.prefix(8)))")
        }
        if reason == 0 { tell(.reasonUnspecified, "has \(shown) with the reason unspecified") }
        if reason == 8, !revocations.isDelta {
            tell(.reasonRemove, "has \(shown) with the reason removeFromCRL, and is a complete list")
        }
    }

    private mutating func tell(_ rule: RevocationListRule, _ finding: String) {
        if told.insert(rule.rawValue).inserted { list.add(rule, finding) }
    }

    /// Takes over what was found of an entry, as far as no entry before had the fault.
    private mutating func tell(_ found: FindingList) {
        for finding in found.findings where told.insert("entry \(finding.rule.name)").inserted { list.add(finding) }
    }
}
