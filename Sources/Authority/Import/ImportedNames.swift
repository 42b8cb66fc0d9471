// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials

/// What the certificates of a directory are to be called.
struct ImportedNames {
    /// A name, and whether the certificate has it still.
    struct Name {
        var name: String
        var place: InventoryEntry.Place
    }

    /// The names by the numbers of the certificates.
    private(set) var names: [Int: Name] = [:]

    /// Names certificates.
    ///
    /// - Parameters:
    ///   - family: The certificates.
    ///   - accepted: Those to be named, the root first.
    ///   - kind: The layout of the directory.
    ///   - revocations: Who was revoked.
    init(
        _ family: CertificateFamily,
        accepted: [Int],
        kind: ImportedCA.Kind,
        _ revocations: [Int: InventoryEntry.Revocation]
    ) {
        let members = family.members
        var groups: [String: [Int]] = [:]
        for (position, index) in accepted.enumerated() {
            if position == 0 {
                groups["root", default: []].append(index)
            } else {
                groups[Self.name(of: members[index], kind), default: []].append(index)
            }
        }
        var taken = Set(groups.keys)
        for (name, indices) in groups {
            func rank(_ index: Int) -> [Double] {
                let member = members[index]
                return [
                    index == accepted.first ? 0 : 1, member.name.isArchived ? 1 : 0, revocations[index] == nil ? 0 : 1,
                    -member.certificate.notBefore.timeIntervalSince1970, Double(index),
                ]
            }
            let ranked = indices.map { (rank: rank($0), index: $0) }.sorted {
                $0.rank.lexicographicallyPrecedes($1.rank)
            }
            guard let holder = ranked.first?.index else { continue }
            for (position, entry) in ranked.enumerated() {
                let member = members[entry.index]
                let isPutAway = position > 0 || kind == .pki && member.name.isArchived
                var own = name
                if kind != .pki, position > 0, member.certificate.subject != members[holder].certificate.subject {
                    // Another's certificate, whose file happens to have the same name somewhere else.
                    own = Self.distinct(name, member.certificate, &taken)
                    names[entry.index] = Name(name: own, place: .current)
                    continue
                }
                names[entry.index] = Name(name: own, place: isPutAway ? .replaced : .current)
            }
        }
    }

    private static func name(of member: CertificateFamily.Member, _ kind: ImportedCA.Kind) -> String {
        let certificate = member.certificate
        let stem = member.name.stem
        if kind == .pki, member.file.hasSuffix("-cert.pem") || member.name.stamp != nil { return stem }
        let isTelling = !stem.isEmpty && !member.name.isSerial(certificate.serialNumber) && !member.name.isChain
        let texts = (isTelling ? [stem] : []) + [certificate.subject.commonName ?? ""]
        let fitting = texts.lazy.compactMap { ForeignName.fitting($0) }.first
        let name = fitting ?? alternativeName(of: certificate) ?? certificate.serialNumber.hexadecimal
        guard CertificateAuthority.reservedNames.contains(name) else { return name }
        return "\(name)-\(certificate.serialNumber.hexadecimal.prefix(8))"
    }

    private static func alternativeName(of certificate: Certificate) -> String? {
        certificate.subjectAlternativeNames.lazy.compactMap { name in
            ForeignName.fitting(name.description.drop { $0 != ":" }.dropFirst())
        }.first
    }

    private static func distinct(_ name: String, _ certificate: Certificate, _ taken: inout Set<String>) -> String {
        let digits = certificate.serialNumber.hexadecimal
        for length in [8, digits.count] {
            let candidate = "\(name.prefix(63 - length))-\(digits.prefix(length))"
            if taken.insert(candidate).inserted { return candidate }
        }
        return certificate.fingerprint
    }
}
