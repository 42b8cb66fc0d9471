// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// Reads revocations and missing certificates from the indexes and CRLs of a directory's CAs.
struct IndexReader {
    /// A CA, identified by its key: renewed certificates and cross-certificates are one issuer.
    private struct Issuer {
        let certificate: Certificate
        let file: String
        var list: (list: CertificateRevocationList, file: String)?
        /// The certificates by serial number; more than one is an error of the CA.
        var certificates: [SerialNumber: [Int]] = [:]
        var indexes: [CertificateIndex] = []
    }

    private let members: [ImportedFamily.Member]
    private var issuers: [Issuer] = []
    private var positions: [PublicKey: Int] = [:]
    /// Revocations by the index of the certificate.
    private(set) var revocations: [Int: InventoryEntry.Revocation] = [:]
    /// Certificates without a file.
    private(set) var lost: [LostCertificate] = []
    private(set) var findings: [ForeignFinding] = []

    /// The accepted CAs must be in the order in which they issued each other.
    init(_ family: ImportedFamily, accepted: [Int], files: [ImportScan.File], indexes: [CertificateIndex]) {
        members = family.members
        for index in accepted where members[index].isAuthority {
            let certificate = members[index].certificate
            guard positions[certificate.publicKey] == nil else { continue }
            positions[certificate.publicKey] = issuers.count
            issuers.append(Issuer(certificate: certificate, file: members[index].file))
        }
        for index in accepted {
            let issuer = family.issuers[index].map { members[$0].certificate.publicKey }
            guard let issuer, let position = positions[issuer] else { continue }
            issuers[position].certificates[members[index].certificate.serialNumber, default: []].append(index)
        }
        findSharedSerials()
        for file in files {
            for list in file.lists { take(list, in: file.path) }
        }
        let counted = Set(accepted)
        let others = members.indices.filter { !counted.contains($0) }
        let strangers = Set(others.map { members[$0].certificate.serialNumber })
        for index in indexes { take(index, strangers: strangers) }
        for position in issuers.indices {
            apply(indexesOf: position)
            apply(listOf: position)
            findMissing(from: position)
        }
    }

    /// A CA's newest CRL, its file, and the files of the CA's indexes.
    func records(of key: PublicKey) -> (list: CertificateRevocationList?, listFile: String?, indexFiles: [String]) {
        guard let issuer = positions[key].map({ issuers[$0] }) else { return (nil, nil, []) }
        return (issuer.list?.list, issuer.list?.file, issuer.indexes.map(\.path))
    }

    private mutating func report(_ rule: ForeignFinding.Rule, _ message: String, _ file: String, line: Int? = nil) {
        findings.append(ForeignFinding(rule, message, file: file, line: line))
    }

    // MARK: - Assigning to CAs

    private mutating func findSharedSerials() {
        for issuer in issuers {
            for (serialNumber, indices) in issuer.certificates where indices.count > 1 {
                let files = indices.map { printable(members[$0].file) }.sorted()
                let message =
                    "\(files.count) certificates of one CA have the serial number \(serialNumber): "
                    + files.prefix(5).joined(separator: ", ")
                report(.sharedSerial, message, members[indices[0]].file)
            }
        }
    }

    private mutating func take(_ list: CertificateRevocationList, in file: String) {
        let position = issuers.firstIndex { issuer in
            issuer.certificate.subject == list.issuer && list.isSigned(by: issuer.certificate)
        }
        guard let position else {
            let message = printable("\(printable(file)) is a CRL of another CA: \(list.issuer)")
            return report(.foreign, message, file)
        }
        // A delta CRL is incomplete.
        guard !list.isDelta else { return }
        if let last = issuers[position].list?.list {
            let isNewer =
                if let number = list.number, let other = last.number, number != other { other < number } else {
                    last.thisUpdate < list.thisUpdate
                }
            guard isNewer else { return }
        }
        issuers[position].list = (list, file)
    }

    /// Assigns an index to the CA that issued most of its certificates, otherwise to the one with the nearest
    /// directory.
    private mutating func take(_ index: CertificateIndex, strangers: Set<SerialNumber>) {
        findings += index.findings
        guard !issuers.isEmpty else { return }
        let hits = issuers.map { issuer in index.lines.count { issuer.certificates[$0.serialNumber] != nil } }
        if !hits.contains(where: { $0 > 0 }), index.lines.contains(where: { strangers.contains($0.serialNumber) }) {
            return report(.foreign, "\(printable(index.path)) is the index of another CA", index.path)
        }
        let directory = index.path.split(separator: "/").dropLast()
        let ranks = issuers.indices.map { position in
            let common = zip(issuers[position].file.split(separator: "/"), directory).prefix { $0 == $1 }.count
            return [-hits[position], -common, position]
        }
        let best = issuers.indices.min { ranks[$0].lexicographicallyPrecedes(ranks[$1]) }
        if let best { issuers[best].indexes.append(index) }
    }

    // MARK: - Applying

    private mutating func apply(indexesOf position: Int) {
        var seen: [SerialNumber: CertificateIndex.Line] = [:]
        for index in issuers[position].indexes {
            for line in index.lines {
                let place = "\(printable(index.path)), line \(line.number)"
                if let other = seen[line.serialNumber] {
                    let text = "the serial number \(line.serialNumber) is already in line \(other.number)"
                    report(.sharedSerial, "\(place): \(text)", index.path, line: line.number)
                }
                // Of two lines, the one with a revocation is used.
                if seen[line.serialNumber]?.revocation == nil { seen[line.serialNumber] = line }
                guard let indices = issuers[position].certificates[line.serialNumber] else {
                    lost.append(
                        LostCertificate(
                            serialNumber: line.serialNumber, subject: line.subject, subjectName: line.subjectName,
                            notAfter: line.notAfter, revocation: line.revocation,
                            issuer: issuers[position].certificate.publicKey, file: index.path, line: line.number))
                    continue
                }
                for number in indices {
                    if let revocation = line.revocation, revocations[number] == nil { revocations[number] = revocation }
                    let member = members[number]
                    guard let notAfter = line.notAfter, notAfter != member.certificate.notAfter else { continue }
                    let message =
                        "\(place), has the serial number of \(printable(member.file)) but another end of validity: "
                        + "\(timestamp(notAfter)), not \(timestamp(member.certificate.notAfter))"
                    report(.indexMismatch, message, index.path, line: line.number)
                }
            }
        }
    }

    private mutating func apply(listOf position: Int) {
        guard let (list, file) = issuers[position].list else { return }
        let hasIndex = !issuers[position].indexes.isEmpty
        let key = issuers[position].certificate.publicKey
        func disagree(_ what: String, _ index: Int, _ other: String) {
            let certificate = members[index].file
            let message = "by \(printable(file)) the certificate \(printable(certificate)) is \(what), but \(other)"
            report(.indexMismatch, message, certificate)
        }
        var lostHere: [SerialNumber: Int] = [:]
        for (number, entry) in lost.enumerated() where entry.issuer == key { lostHere[entry.serialNumber] = number }
        for entry in list.entries.sorted(by: { $0.serialNumber < $1.serialNumber }) {
            let revocation = InventoryEntry.Revocation(
                date: entry.revocationDate, reason: entry.reason ?? .unspecified, invalidityDate: nil)
            let indices = issuers[position].certificates[entry.serialNumber] ?? []
            for index in indices where revocations[index] == nil {
                revocations[index] = revocation
                if hasIndex { disagree("revoked", index, "not by the index") }
            }
            guard indices.isEmpty else { continue }
            if let number = lostHere[entry.serialNumber] {
                if lost[number].revocation == nil { lost[number].revocation = revocation }
            } else {
                lost.append(
                    LostCertificate(
                        serialNumber: entry.serialNumber, subject: nil, subjectName: nil, notAfter: nil,
                        revocation: revocation, issuer: key, file: file, line: nil))
            }
        }
        guard hasIndex else { return }
        for index in issuers[position].certificates.values.joined() {
            let certificate = members[index].certificate
            guard let revocation = revocations[index], revocation.date < list.thisUpdate,
                list.thisUpdate < certificate.notAfter, list.entry(for: certificate.serialNumber) == nil
            else { continue }
            disagree("not revoked", index, "the index has an earlier revocation")
        }
    }

    private mutating func findMissing(from position: Int) {
        let issuer = issuers[position]
        guard !issuer.indexes.isEmpty else { return }
        let known = Set(issuer.indexes.flatMap { $0.lines.map(\.serialNumber) })
        let paths = issuer.indexes.map { printable($0.path) }.joined(separator: " or ")
        for (serialNumber, indices) in issuer.certificates where !known.contains(serialNumber) {
            for index in indices where members[index].certificate.publicKey != issuer.certificate.publicKey {
                let file = members[index].file
                report(.notInIndex, "\(printable(file)), serial number \(serialNumber), is not in \(paths)", file)
            }
        }
    }
}
