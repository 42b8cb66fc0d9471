// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// What indexes and revocation lists say of the certificates of a directory's CAs.
struct IndexReader {
    /// A CA, known by its key: all certificates of it, renewed or crossed, are one issuer.
    private struct Issuer {
        let certificate: Certificate
        let file: String
        var list: (list: CertificateRevocationList, file: String)?
        /// The certificates by their serial numbers; more than one only when something is wrong.
        var certificates: [SerialNumber: [Int]] = [:]
        var indexes: [CertificateIndex] = []
    }

    private let members: [CertificateFamily.Member]
    private var issuers: [Issuer] = []
    private var positions: [PublicKey: Int] = [:]

    /// Revocations by the number of the certificate.
    private(set) var revocations: [Int: InventoryEntry.Revocation] = [:]

    /// Certificates of which there is no file.
    private(set) var lost: [LostCertificate] = []

    /// What was found to be wrong.
    private(set) var findings: [ForeignFinding] = []

    /// Puts together what is said.
    ///
    /// - Parameters:
    ///   - family: The certificates.
    ///   - accepted: Those of them that count, those of CAs in the order in which they issued each other.
    ///   - files: What was found, for the lists in it.
    ///   - indexes: The indexes.
    ///   - now: The moment of reading.
    init(
        _ family: CertificateFamily,
        accepted: [Int],
        files: [ForeignFile],
        indexes: [CertificateIndex],
        now: Date
    ) {
        members = family.members
        for index in accepted where CertificateFamily.isAuthority(members[index].certificate) {
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
        for found in files {
            for list in found.lists { take(list, in: found.file.path) }
        }
        let counted = Set(accepted)
        let strangers = Set(
            members.indices.filter { !counted.contains($0) }.map { members[$0].certificate.serialNumber }
        )
        for index in indexes { take(index, strangers: strangers) }
        for position in issuers.indices {
            apply(indexesOf: position)
            apply(listOf: position, now: now)
            findMissing(from: position)
        }
    }

    /// The number of a CA's next revocation list: one above that of its newest list.
    func nextListNumber(of key: PublicKey) -> SerialNumber? {
        positions[key].flatMap { issuers[$0].list?.list.number?.successor }
    }

    /// The file of a CA's newest revocation list.
    func listFile(of key: PublicKey) -> String? { positions[key].flatMap { issuers[$0].list?.file } }

    /// The files of a CA's indexes.
    func indexFiles(of key: PublicKey) -> [String] { positions[key].map { issuers[$0].indexes.map(\.path) } ?? [] }

    // MARK: - Whose they are

    private mutating func findSharedSerials() {
        for issuer in issuers {
            for (serialNumber, indices) in issuer.certificates where indices.count > 1 {
                let files = indices.map { printable(members[$0].file) }.sorted()
                let message =
                    "\(files.count) certificates of one CA have the serial number \(serialNumber): "
                    + files.prefix(5).joined(separator: ", ")
                findings.append(ForeignFinding(.sharedSerial, message, file: members[indices[0]].file))
            }
        }
    }

    private mutating func take(_ list: CertificateRevocationList, in file: String) {
        let position = issuers.firstIndex { issuer in
            issuer.certificate.subject == list.issuer && list.isSigned(by: issuer.certificate)
        }
        guard let position else {
            let message = "\(printable(file)) holds a revocation list of another CA: \(list.issuer)"
            findings.append(ForeignFinding(.foreign, printable(message), file: file))
            return
        }
        // What a list of changes does not name, it says nothing about.
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

    /// Gives an index to the CA that issued most of what is in it, or else to the one that is nearest.
    private mutating func take(_ index: CertificateIndex, strangers: Set<SerialNumber>) {
        findings += index.findings
        guard !issuers.isEmpty else { return }
        let hits = issuers.map { issuer in index.lines.count { issuer.certificates[$0.serialNumber] != nil } }
        if !hits.contains(where: { $0 > 0 }), index.lines.contains(where: { strangers.contains($0.serialNumber) }) {
            let message = "\(printable(index.path)) is the index of another CA"
            findings.append(ForeignFinding(.foreign, message, file: index.path))
            return
        }
        let directory = index.path.split(separator: "/").dropLast()
        let ranks = issuers.indices.map { position in
            let common = zip(issuers[position].file.split(separator: "/"), directory).prefix { $0 == $1 }.count
            return [-hits[position], -common, position]
        }
        let best = issuers.indices.min { ranks[$0].lexicographicallyPrecedes(ranks[$1]) }
        if let best { issuers[best].indexes.append(index) }
    }

    // MARK: - What they say

    private mutating func apply(indexesOf position: Int) {
        var seen: [SerialNumber: CertificateIndex.Line] = [:]
        for index in issuers[position].indexes {
            for line in index.lines {
                if let other = seen[line.serialNumber] {
                    let message =
                        "\(printable(index.path)), line \(line.number): the serial number \(line.serialNumber) stands in "
                        + "line \(other.number) already"
                    findings.append(ForeignFinding(.sharedSerial, message, file: index.path, line: line.number))
                }
                // Of two lines the one that revokes counts.
                if seen[line.serialNumber]?.revocation == nil { seen[line.serialNumber] = line }
                guard let indices = issuers[position].certificates[line.serialNumber] else {
                    addLost(line, in: index, position)
                    continue
                }
                for number in indices {
                    if let revocation = line.revocation, revocations[number] == nil { revocations[number] = revocation }
                    compare(line, in: index, with: members[number])
                }
            }
        }
    }

    private mutating func compare(
        _ line: CertificateIndex.Line,
        in index: CertificateIndex,
        with member: CertificateFamily.Member
    ) {
        guard line.notAfter != member.certificate.notAfter else { return }
        let message =
            "\(printable(index.path)), line \(line.number), has the serial number of \(printable(member.file)) and another "
            + "end: \(timestamp(line.notAfter)), not \(timestamp(member.certificate.notAfter))"
        findings.append(ForeignFinding(.indexMismatch, message, file: index.path, line: line.number))
    }

    private mutating func addLost(_ line: CertificateIndex.Line, in index: CertificateIndex, _ position: Int) {
        lost.append(
            LostCertificate(
                serialNumber: line.serialNumber,
                subject: line.subject,
                subjectName: line.subjectName,
                notAfter: line.notAfter,
                revocation: line.revocation,
                issuer: issuers[position].certificate.publicKey,
                file: index.path,
                line: line.number
            )
        )
    }

    private mutating func apply(listOf position: Int, now: Date) {
        guard let (list, file) = issuers[position].list else { return }
        let hasIndex = !issuers[position].indexes.isEmpty
        let key = issuers[position].certificate.publicKey
        var lostHere: [SerialNumber: Int] = [:]
        for (number, entry) in lost.enumerated() where entry.issuer == key { lostHere[entry.serialNumber] = number }
        for entry in list.entries.sorted(by: { $0.serialNumber < $1.serialNumber }) {
            let revocation = InventoryEntry.Revocation(
                date: entry.revocationDate,
                reason: entry.reason ?? .unspecified,
                invalidityDate: nil
            )
            let indices = issuers[position].certificates[entry.serialNumber] ?? []
            for index in indices where revocations[index] == nil {
                revocations[index] = revocation
                if hasIndex { disagree(file, "revoked", members[index].file, "the index does not say so") }
            }
            guard indices.isEmpty else { continue }
            if let number = lostHere[entry.serialNumber] {
                if lost[number].revocation == nil { lost[number] = lost[number].revoked(revocation) }
            } else {
                lost.append(LostCertificate(entry.serialNumber, revocation, issuer: key, file: file))
            }
        }
        guard hasIndex else { return }
        for indices in issuers[position].certificates.values {
            for index in indices {
                let certificate = members[index].certificate
                guard let revocation = revocations[index], revocation.date < list.thisUpdate,
                    list.thisUpdate < certificate.notAfter, list.entry(for: certificate.serialNumber) == nil
                else { continue }
                disagree(
                    file,
                    "not revoked",
                    members[index].file,
                    "the index says that it was before the list was made"
                )
            }
        }
    }

    private mutating func disagree(_ list: String, _ what: String, _ file: String, _ other: String) {
        let message = "by \(printable(list)) the certificate \(printable(file)) is \(what), and \(other)"
        findings.append(ForeignFinding(.indexMismatch, message, file: file))
    }

    private mutating func findMissing(from position: Int) {
        let indexes = issuers[position].indexes
        guard !indexes.isEmpty else { return }
        let known = Set(indexes.flatMap { $0.lines.map(\.serialNumber) })
        for (serialNumber, indices) in issuers[position].certificates where !known.contains(serialNumber) {
            for index in indices where members[index].certificate.publicKey != issuers[position].certificate.publicKey {
                let message =
                    "\(printable(members[index].file)), serial number \(serialNumber), does not stand in "
                    + indexes.map { printable($0.path) }.joined(separator: " or ")
                findings.append(ForeignFinding(.notInIndex, message, file: members[index].file))
            }
        }
    }
}

extension LostCertificate {
    /// One that a list alone tells of.
    fileprivate init(
        _ serialNumber: SerialNumber,
        _ revocation: InventoryEntry.Revocation,
        issuer: PublicKey,
        file: String
    ) {
        self.init(
            serialNumber: serialNumber,
            subject: nil,
            subjectName: nil,
            notAfter: nil,
            revocation: revocation,
            issuer: issuer,
            file: file,
            line: nil
        )
    }

    fileprivate func revoked(_ revocation: InventoryEntry.Revocation) -> LostCertificate {
        LostCertificate(
            serialNumber: serialNumber,
            subject: subject,
            subjectName: subjectName,
            notAfter: notAfter,
            revocation: revocation,
            issuer: issuer,
            file: file,
            line: line
        )
    }
}
