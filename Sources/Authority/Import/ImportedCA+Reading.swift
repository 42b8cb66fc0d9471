// SPDX-License-Identifier: Apache-2.0

import Certificates
public import struct FoundationEssentials.Date
import Glibc
import Synchronization
import SystemSupport

extension ImportedCA {
    /// Reads the directory of a CA.
    ///
    /// Whose layout it has is told by its files. Of a directory that has no layout, the CA is the one that issued most of what
    /// is in it. Regular files of up to 4 MiB are read, on as many threads as there are processors; encrypted keys are not
    /// opened.
    ///
    /// - Parameters:
    ///   - directory: The directory.
    ///   - more: Files, or directories with all below them, in which certificates and keys of the CA are as well.
    ///   - now: The moment at which certificates are valid or not.
    /// - Throws: ``AuthorityError`` when the directory cannot be opened or has no CA's certificate.
    public init(reading directory: String, certificatesIn more: [String] = [], now: Date) throws {
        try self.init(DirectoryScan(directory), certificatesIn: more, now: now)
    }

    /// Reads a CA directory of this program that is open.
    init(reading own: Directory, now: Date) throws {
        try self.init(DirectoryScan(own.path, own: own), now: now)
    }

    private init(_ found: DirectoryScan, certificatesIn more: [String] = [], now: Date) throws {
        var scan = found
        let layout = ImportLayout(scan.files.map(\.path)) { [scan] in Self.text(of: $0, in: scan) }
        if !layout.directory.isEmpty { scan = try DirectoryScan(DirectoryScan.join(scan.directory, layout.directory)) }
        for path in layout.configuration?.elsewhere(than: scan) ?? [] { scan.add(elsewhere: path, isDeep: false) }
        for path in more {
            do {
                scan.add(elsewhere: try FilePath.absolute(path), isDeep: true)
            } catch {
                throw AuthorityError(error)
            }
        }
        let jobs = max(1, min(16, sysconf(CInt(_SC_NPROCESSORS_ONLN))))
        var findings = scan.findings
        let files = Self.read(scan, jobs: jobs, findings: &findings)
        let family = CertificateFamily(files, jobs: jobs)
        let roots = try Self.roots(of: family, in: files, layout, directory: scan.directory)
        let accepted = family.descendants(of: roots)
        var notes = Self.strangers(in: family, accepted: accepted)
        let indexes = Self.indexes(in: scan, layout, findings: &notes)
        let register = IndexReader(family, accepted: accepted, files: files, indexes: indexes, now: now)
        let members = accepted.map { family.members[$0] }
        let keys = KeyMatcher(files).keys(
            of: members,
            known: Set(family.members.map(\.certificate.publicKey)),
            findings: &notes
        )
        let names = ImportedNames(family, accepted: accepted, kind: layout.kind, register.revocations).names

        kind = layout.kind
        self.scan = scan
        var issuers: [ImportedIssuer] = []
        for (position, index) in accepted.enumerated()
        where CertificateFamily.isAuthority(members[position].certificate) {
            let numbers = NumberFiles(
                scan,
                layout,
                beside: register.indexFiles(of: members[position].certificate.publicKey),
                of: members[position],
                isRoot: position == 0
            )
            let issuer = ImportedIssuer(
                name: names[index]?.name ?? "",
                certificate: members[position].certificate,
                certificateFile: members[position].file,
                key: keys[position],
                nextSerialNumber: numbers.serialNumber,
                nextRevocationListNumber: [
                    numbers.listNumber, register.nextListNumber(of: members[position].certificate.publicKey),
                ].compactMap(\.self).max(),
                revocationListFile: register.listFile(of: members[position].certificate.publicKey)
            )
            if issuer.key == nil {
                let message = "the key of the CA \(printable(issuer.certificateFile)) is not here"
                notes.append(ForeignFinding(.missingKey, message, file: issuer.certificateFile))
            }
            issuers.append(issuer)
        }
        let chains = Self.chains(in: files)
        self.issuers = issuers
        certificates = accepted.enumerated().map { position, index in
            Self.entry(
                members[position],
                issuer: family.issuers[index].map { family.members[$0].certificate.publicKey },
                names[index],
                keys[position],
                chains,
                register.revocations[index],
                now
            )
        }.sorted { $0.certificateFile < $1.certificateFile }
        lost = register.lost
        findings += files.flatMap(\.findings)
        findings += notes + register.findings
        self.findings = Self.bounded(findings)
    }

    private static func entry(
        _ member: CertificateFamily.Member,
        issuer: PublicKey?,
        _ name: ImportedNames.Name?,
        _ key: ForeignKey?,
        _ chains: [String: String],
        _ revocation: InventoryEntry.Revocation?,
        _ now: Date
    ) -> ForeignCertificate {
        let certificate = member.certificate
        let place = name?.place ?? .current
        let status: InventoryEntry.Status =
            if let revocation {
                revocation.reason == .certificateHold ? .held : .revoked
            } else if now > certificate.notAfter {
                .expired
            } else if place == .replaced { .replaced } else { now < certificate.notBefore ? .notYetValid : .valid }
        return ForeignCertificate(
            name: name?.name ?? certificate.serialNumber.hexadecimal,
            certificate: certificate,
            certificateFile: member.file,
            key: key,
            chainFile: chains[chainKey(member.file, member.name)],
            issuer: issuer ?? certificate.publicKey,
            place: place,
            revocation: revocation,
            status: status
        )
    }

    // MARK: - Files

    /// Looks into the files, and stops where it would take too long.
    private static func read(_ scan: DirectoryScan, jobs: Int, findings: inout [ForeignFinding]) -> [ForeignFile] {
        var budget = 4 << 30
        let files = scan.files.filter { file in
            guard ForeignFile.isOfInterest(file), budget > 0 else { return false }
            if file.size <= ForeignFile.limit { budget -= file.size }
            return true
        }
        if budget <= 0 { findings.append(ForeignFinding(.limit, "there are more than 4 GiB; the rest was not read")) }
        let found = Mutex([ForeignFile?](repeating: nil, count: files.count))
        _ = Workers.firstFailure(of: files.count, jobs: jobs) { (index) throws(Never) in
            let file = ForeignFile(reading: files[index], in: scan)
            found.withLock { $0[index] = file }
        }
        return found.withLock { $0.compactMap(\.self) }
    }

    private static func text(of file: String, in scan: DirectoryScan) -> String? {
        guard let contents = try? scan.contents(of: file, limit: 1 << 20) else { return nil }
        return unsafe contents.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }

    private static func indexes(
        in scan: DirectoryScan,
        _ layout: ImportLayout,
        findings: inout [ForeignFinding]
    ) -> [CertificateIndex] {
        let configured = layout.configuration?.candidates(for: .database) ?? []
        return scan.files.filter { $0.name == "index.txt" || configured.contains($0.path) }.compactMap { file in
            do {
                return CertificateIndex(
                    try scan.contents(of: file.path, limit: 256 << 20),
                    path: file.path
                )
            } catch {
                let reason = (error as? any ExplainedError)?.message ?? "\(error)"
                findings.append(
                    ForeignFinding(.unreadable, "\(printable(file.path)) was not read: \(reason)", file: file.path)
                )
                return nil
            }
        }
    }

    private static func chains(in files: [ForeignFile]) -> [String: String] {
        var chains: [String: String] = [:]
        for found in files where !found.certificates.isEmpty {
            let name = ForeignName(found.file.path)
            if name.isChain { chains[chainKey(found.file.path, name)] = found.file.path }
        }
        return chains
    }

    private static func chainKey(_ path: String, _ name: ForeignName) -> String {
        let directory = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
        return "\(directory)/\(name.stem)/\(name.stamp ?? "")"
    }

    // MARK: - Whose directory it is

    /// The certificates at the top: the CA's own, and those that were so before or will be.
    private static func roots(
        of family: CertificateFamily,
        in files: [ForeignFile],
        _ layout: ImportLayout,
        directory: String
    ) throws(AuthorityError) -> [Int] {
        let members = family.members
        let authorities = members.indices.filter { CertificateFamily.isAuthority(members[$0].certificate) }
        var first: Int?
        for path in layout.authorities where first == nil {
            let own = files.first { $0.file.path == path }?.certificates.first
            first = authorities.first { members[$0].certificate == own }.map(family.top)
        }
        if first == nil {
            let counts = family.descendantCounts
            let ranks = members.map { member in [-member.rank[0], -member.rank[1], -member.rank[4]] }
            first = authorities.filter { family.top(of: $0) == $0 }.max { one, other in
                counts[one] != counts[other]
                    ? counts[one] < counts[other] : ranks[one].lexicographicallyPrecedes(ranks[other])
            }
        }
        guard let first else {
            throw AuthorityError(
                .missing,
                "there is no CA's certificate in \(directory)",
                hint: "name the directory in which the CA keeps its own certificate, and others after it"
            )
        }
        let root = members[first].certificate
        let others = authorities.filter { index in
            guard index != first, family.top(of: index) == index else { return false }
            let other = members[index].certificate
            if other.subject == root.subject || other.publicKey == root.publicKey { return true }
            return layout.kind == .pki && CertificateAuthority.reservedNames.contains(members[index].name.stem)
        }
        return [first] + others
    }

    private static func strangers(in family: CertificateFamily, accepted: [Int]) -> [ForeignFinding] {
        let accepted = Set(accepted)
        return family.members.indices.filter { !accepted.contains($0) }.map { index in
            let member = family.members[index]
            let who = "issued by \(printable(member.certificate.issuer.description, limit: 200))"
            return ForeignFinding(.foreign, "\(printable(member.file)) is not of this CA: \(who)", file: member.file)
        }
    }

    /// As many findings as anybody reads, of each kind some.
    private static func bounded(_ findings: [ForeignFinding]) -> [ForeignFinding] {
        let limit = 1000
        var counts: [ForeignFinding.Rule: Int] = [:]
        var kept: [ForeignFinding] = []
        for finding in findings {
            counts[finding.rule, default: 0] += 1
            if counts[finding.rule, default: 0] <= limit { kept.append(finding) }
        }
        for rule in ForeignFinding.Rule.allCases {
            guard let count = counts[rule], count > limit else { continue }
            kept.append(ForeignFinding(.limit, "\(count - limit) more of the kind \(rule.rawValue) are left out"))
        }
        return kept
    }
}
