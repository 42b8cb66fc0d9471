// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import FoundationEssentials
import SystemSupport

/// A CA that other software made, as its directory describes it: certificates, keys, index, CRLs.
///
/// Nothing is written, and what can be proved is not believed: a signature tells who issued a certificate, the public half whose
/// a key is. What cannot be used, or contradicts itself, is in ``findings``.
package struct ImportedCA: Sendable {
    /// The software whose layout a directory has.
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// easy-rsa 3: `ca.crt`, `issued`, `private`, `index.txt`.
        case easyRSA = "easy-rsa"
        /// `openssl ca`: `index.txt`, `newcerts`, perhaps a configuration file that says where everything is.
        case openSSL = "openssl-ca"
        /// mkcert: `rootCA.pem`.
        case mkcert
        /// step: `certs/root_ca.crt`, `secrets`.
        case step
        /// This software: `root-cert.pem`, `NAME-cert.pem`, `archive`.
        case pki
        /// Certificates, of which at least one is a CA's.
        case plain
    }

    package let kind: Kind

    /// The directory that was read: the one that was named, or with easy-rsa and `openssl ca` perhaps one in it. Every path
    /// is below this directory unless it begins with a slash.
    package var directory: String { scan.directory }

    let scan: ImportScan
    /// The certificates of CAs: the root first, then those below it. The first is no root when there is none in the directory.
    package let issuers: [ImportedIssuer]

    package var root: ImportedIssuer { issuers[0] }

    /// Every certificate that one of the issuers signed, theirs among them, in the order of their files' paths.
    package let certificates: [ForeignCertificate]
    /// Certificates that an index or a CRL names, and of which there is no file.
    package let lost: [LostCertificate]
    /// What the user should know.
    package let findings: [ForeignFinding]
}

/// The certificate of a CA.
package struct ImportedIssuer: Sendable {
    /// `root` for the first, else as ``ForeignCertificate/name``.
    package let name: String
    package let certificate: Certificate
    package let certificateFile: String
    /// `nil` when it is not in the directory.
    package let key: ForeignKey?
    /// The serial number that the CA would use next; `nil` when they are random, or no file says.
    package let nextSerialNumber: SerialNumber?
    /// The number of the CA's next CRL: by its own file, or one above that of its newest CRL.
    package let nextRevocationListNumber: SerialNumber?
    /// The path of its newest CRL.
    package let revocationListFile: String?
}

/// A private key.
package struct ForeignKey: Hashable, Sendable {
    /// How its owner is known.
    package enum Proof: String, Hashable, Sendable {
        /// By its public half.
        case publicKey
        /// By its file's name alone: it is encrypted, or is not in the file.
        case name
    }

    package let file: String
    package let proof: Proof
    package let isEncrypted: Bool
    /// Where the key is when the file only says so: `pkcs11:object=root`.
    package let address: String?
}

/// A certificate.
package struct ForeignCertificate: Sendable {
    /// A name for files: by its file's name, or its common name where the file is named after the serial number. Renewed
    /// certificates share one.
    package let name: String
    package let certificate: Certificate
    /// Where several files hold it, the one that is named best.
    package let certificateFile: String
    package let key: ForeignKey?
    /// The path of the file with the certificates above it, when there is one of its own.
    package let chainFile: String?
    /// The public key that signed it.
    package let issuer: PublicKey
    package let place: InventoryEntry.Place
    /// By the index or a CRL that its CA signed.
    package let revocation: InventoryEntry.Revocation?
    /// At the time of reading.
    package let status: InventoryEntry.Status
}

/// A certificate that only an index or a CRL names.
package struct LostCertificate: Sendable {
    package let serialNumber: SerialNumber
    /// The subject as the index writes it, `/O=Example/CN=web-1`, with its escapes undone; `nil` when only a CRL names the
    /// certificate.
    package let subject: String?
    /// The subject, when that text can be parsed. A `/` in a value may be taken for the beginning of the next.
    package let subjectName: DistinguishedName?
    package let notAfter: Date?
    package internal(set) var revocation: InventoryEntry.Revocation?
    /// The public key of the CA whose index or CRL it is.
    package let issuer: PublicKey
    /// The path of the index or CRL.
    package let file: String
    /// The line in the index, from 1.
    package let line: Int?
}

/// Something in a directory that the user should know.
package struct ForeignFinding: Hashable, Sendable {
    package enum Rule: String, Hashable, Sendable, CaseIterable {
        /// A file or directory cannot be read, or is not what it should be.
        case unreadable
        /// A file that should hold a certificate, a key or a CRL holds none that can be understood.
        case malformed
        /// There is more than is read.
        case limit
        /// A certificate or a CRL is not of this CA.
        case foreign
        /// Two certificates of one CA have one serial number.
        case sharedSerial
        /// A line of an index is not valid.
        case indexLine
        /// An index contradicts a certificate or a CRL.
        case indexMismatch
        /// A certificate is missing from its CA's index.
        case notInIndex
        /// A key is not in the directory.
        case missingKey
        /// A key cannot be opened, and is assigned to a certificate by its name.
        case keyByName
        /// A key belongs to no certificate here.
        case unknownKey
        /// Others than its owner can read a key.
        case unprotectedKey
        /// A configuration file leads nowhere.
        case configuration
    }

    package let rule: Rule
    /// In lower case and without a full stop, with the file's name.
    package let message: String
    package let file: String?
    /// From 1.
    package let line: Int?

    init(_ rule: Rule, _ message: String, file: String? = nil, line: Int? = nil) {
        (self.rule, self.message, self.file, self.line) = (rule, message, file, line)
    }
}

// MARK: - Reading

extension ImportedCA {
    /// Reads the directory of a CA.
    ///
    /// Its files tell which software made it. Of a directory that has no known layout, the CA is the one that issued most of
    /// what is in it. Regular files of up to 4 MiB are read, on as many threads as there are processors; encrypted keys are
    /// not opened.
    ///
    /// - Parameters:
    ///   - directory: The directory.
    ///   - more: Files, or directories with all below them, with more certificates and keys of the CA.
    ///   - now: The current time.
    /// - Throws: ``AuthorityError`` when the directory cannot be opened or has no CA's certificate.
    package init(reading directory: String, certificatesIn more: [String] = [], now: Date) throws {
        try self.init(ImportScan(directory), certificatesIn: more, now: now)
    }

    /// Reads a CA directory of this program that is open.
    init(reading own: Directory, now: Date) throws {
        try self.init(ImportScan(own.path, own: own), now: now)
    }

    private init(_ found: ImportScan, certificatesIn more: [String] = [], now: Date) throws {
        var scan = found
        let layout = ImportLayout(of: scan)
        if !layout.directory.isEmpty { scan = try ImportScan(ImportScan.join(scan.directory, layout.directory)) }
        for path in layout.configuration?.elsewhere(than: scan) ?? [] { scan.add(elsewhere: path, isDeep: false) }
        for path in more {
            let path = try rethrown { () throws(FileError) in try FilePath.absolute(path) }
            scan.add(elsewhere: path, isDeep: true)
        }
        let jobs = min(16, ThisProcess.processorCount)
        scan.readFiles(jobs: jobs)
        let files = scan.files
        let family = ImportedFamily(files, jobs: jobs)
        let members = family.members
        let accepted = family.descendants(of: try family.roots(in: files, layout, directory: scan.directory))
        var notes = Self.strangers(in: family, accepted: accepted)
        let indexes = Self.indexes(in: scan, layout, findings: &notes)
        let register = IndexReader(family, accepted: accepted, files: files, indexes: indexes)
        let keys = family.keys(of: accepted, in: files, findings: &notes)
        let names = family.names(of: accepted, layout.kind, register.revocations)

        kind = layout.kind
        self.scan = scan
        issuers = accepted.filter { members[$0].isAuthority }.map { index in
            let member = members[index]
            let records = register.records(of: member.certificate.publicKey)
            let numbers = layout.nextNumbers(
                in: scan, beside: records.indexFiles, of: member.file, isRoot: index == accepted[0])
            return ImportedIssuer(
                name: names[index]?.name ?? "", certificate: member.certificate, certificateFile: member.file,
                key: keys[index], nextSerialNumber: numbers.serial,
                nextRevocationListNumber: [numbers.list, records.list?.number?.successor].compactMap(\.self).max(),
                revocationListFile: records.listFile)
        }
        notes += issuers.filter { $0.key == nil }.map { issuer in
            let message = "the key of the CA \(printable(issuer.certificateFile)) is not here"
            return ForeignFinding(.missingKey, message, file: issuer.certificateFile)
        }
        let chains = Self.chains(in: files)
        certificates = accepted.map { index in
            let (member, certificate) = (members[index], members[index].certificate)
            let revocation = register.revocations[index]
            let place = names[index]?.place ?? .current
            return ForeignCertificate(
                name: names[index]?.name ?? certificate.serialNumber.hexadecimal,
                certificate: certificate,
                certificateFile: member.file,
                key: keys[index],
                chainFile: chains[Self.chainKey(member.file, member.name)],
                issuer: family.issuers[index].map { members[$0].certificate.publicKey } ?? certificate.publicKey,
                place: place,
                revocation: revocation,
                status: InventoryEntry.Status(
                    revocation.map { Int64($0.reason.rawValue) },
                    place,
                    from: certificate.notBefore,
                    to: certificate.notAfter,
                    at: now
                )
            )
        }.sorted { $0.certificateFile < $1.certificateFile }
        lost = register.lost
        findings = Self.bounded(scan.findings + files.flatMap(\.findings) + notes + register.findings)
    }

    private static func indexes(
        in scan: ImportScan, _ layout: ImportLayout, findings: inout [ForeignFinding]
    ) -> [CertificateIndex] {
        let configured = layout.configuration?.candidates(for: .database) ?? []
        var indexes: [CertificateIndex] = []
        for file in scan.files where file.name == "index.txt" || configured.contains(file.path) {
            do {
                indexes.append(CertificateIndex(try scan.contents(of: file.path, limit: 256 << 20), path: file.path))
            } catch {
                let text = "\(printable(file.path)) was not read: \(error.message)"
                findings.append(ForeignFinding(.unreadable, text, file: file.path))
            }
        }
        return indexes
    }

    private static func chains(in files: [ImportScan.File]) -> [String: String] {
        var chains: [String: String] = [:]
        for file in files where !file.certificates.isEmpty {
            let name = ForeignName(file.path)
            if name.isChain { chains[chainKey(file.path, name)] = file.path }
        }
        return chains
    }

    private static func chainKey(_ path: String, _ name: ForeignName) -> String {
        let directory = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
        return "\(directory)/\(name.stem)/\(name.stamp ?? "")"
    }

    private static func strangers(in family: ImportedFamily, accepted: [Int]) -> [ForeignFinding] {
        let accepted = Set(accepted)
        return family.members.indices.filter { !accepted.contains($0) }.map { index in
            let member = family.members[index]
            let issuer = "issued by \(printable(member.certificate.issuer.description, limit: 200))"
            return ForeignFinding(.foreign, "\(printable(member.file)) is not of this CA: \(issuer)", file: member.file)
        }
    }

    /// At most a thousand findings of each kind.
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
