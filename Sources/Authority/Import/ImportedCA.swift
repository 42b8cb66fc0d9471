// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import FoundationEssentials
import SystemSupport

/// A CA of other software, read from its directory: certificates, keys, index and CRLs.
///
/// Nothing is written. Issuers are determined by signatures, and the owners of keys by the public keys. Files that
/// cannot be used, and contradictions, are in ``findings``.
package struct ImportedCA: Sendable {
    /// The software that created a directory.
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// easy-rsa 3: `ca.crt`, `issued`, `private`, `index.txt`.
        case easyRSA = "easy-rsa"
        /// `openssl ca`: `index.txt`, `newcerts`, perhaps a configuration file with the paths.
        case openSSL = "openssl-ca"
        /// mkcert: `rootCA.pem`.
        case mkcert
        /// step: `certs/root_ca.crt`, `secrets`.
        case step
        /// This software: `root-cert.pem`, `NAME-cert.pem`, `archive`.
        case pki
        /// Any other directory with a CA certificate.
        case plain
    }

    package let kind: Kind

    /// The directory that was given, or for easy-rsa and `openssl ca` perhaps one in it. Paths are relative to this
    /// directory unless they begin with a slash.
    package var directory: String { scan.directory }

    let scan: ImportScan
    /// The CA certificates, the root first; the first is an intermediate CA if the directory has no root.
    package let issuers: [ImportedIssuer]

    package var root: ImportedIssuer { issuers[0] }

    /// Every certificate that one of the issuers signed, with their own, in the order of the paths.
    package let certificates: [ForeignCertificate]
    /// Certificates in an index or a CRL of which there is no file.
    package let lost: [LostCertificate]
    package let findings: [ForeignFinding]
}

/// The certificate of a CA.
package struct ImportedIssuer: Sendable {
    /// `root` for the first; otherwise as ``ForeignCertificate/name``.
    package let name: String
    package let certificate: Certificate
    package let certificateFile: String
    /// `nil` if it is not in the directory.
    package let key: ForeignKey?
    /// The serial number that the CA would use next; `nil` if it is random or unknown.
    package let nextSerialNumber: SerialNumber?
    /// The number of the CA's next CRL, from its file or its newest CRL.
    package let nextRevocationListNumber: SerialNumber?
    /// The path of its newest CRL.
    package let revocationListFile: String?
}

/// A private key.
package struct ForeignKey: Hashable, Sendable {
    /// How the certificate of a key was found.
    package enum Proof: String, Hashable, Sendable {
        /// By the public key.
        case publicKey
        /// Only by the name of the file: the key is encrypted, or not in the file.
        case name
    }

    package let file: String
    package let proof: Proof
    package let isEncrypted: Bool
    /// The address of a key that is not in the file: `pkcs11:object=root`.
    package let address: String?
}

/// A certificate.
package struct ForeignCertificate: Sendable {
    /// A name for files: that of its file, or its common name if the file is named after the serial number. Renewed
    /// certificates share one.
    package let name: String
    package let certificate: Certificate
    /// The file with the best name, if several contain the certificate.
    package let certificateFile: String
    package let key: ForeignKey?
    /// The path of its own chain file, if any.
    package let chainFile: String?
    /// The public key that signed it.
    package let issuer: PublicKey
    package let place: InventoryEntry.Place
    /// From the index, or a CRL that its CA signed.
    package let revocation: InventoryEntry.Revocation?
    /// At the time of reading.
    package let status: InventoryEntry.Status
}

/// A certificate that is only in an index or a CRL.
package struct LostCertificate: Sendable {
    package let serialNumber: SerialNumber
    /// The subject in the index, `/O=Example/CN=web-1`, without escapes; `nil` if the certificate is only in a CRL.
    package let subject: String?
    /// The parsed subject, if possible. A `/` in a value may have been parsed as the beginning of the next.
    package let subjectName: DistinguishedName?
    package let notAfter: Date?
    package internal(set) var revocation: InventoryEntry.Revocation?
    /// The public key of the CA of the index or CRL.
    package let issuer: PublicKey
    /// The path of the index or CRL.
    package let file: String
    /// The line in the index, counted from 1.
    package let line: Int?
}

/// A warning about a directory or a file.
package struct ForeignFinding: Hashable, Sendable {
    package enum Rule: String, Hashable, Sendable, CaseIterable {
        /// A file or directory cannot be read.
        case unreadable
        /// A file that should contain a certificate, a key or a CRL contains none that can be parsed.
        case malformed
        /// A limit was reached; the rest is not read.
        case limit
        /// A certificate or a CRL is of another CA.
        case foreign
        /// Two certificates of a CA have the same serial number.
        case sharedSerial
        /// A line of an index is not valid.
        case indexLine
        /// An index contradicts a certificate or a CRL.
        case indexMismatch
        /// A certificate is missing from its CA's index.
        case notInIndex
        /// A key is not in the directory.
        case missingKey
        /// A key cannot be opened, and its certificate was found by its name.
        case keyByName
        /// A key belongs to no certificate in the directory.
        case unknownKey
        /// A key file has permissions for other users.
        case unprotectedKey
        /// Nothing can be issued below a root before its certificate is made again.
        case cannotIssue
        /// A path in a configuration file does not exist.
        case configuration
    }

    package let rule: Rule
    /// In lower case, with the file's name and without a full stop.
    package let message: String
    package let file: String?
    /// Counted from 1.
    package let line: Int?

    init(_ rule: Rule, _ message: String, file: String? = nil, line: Int? = nil) {
        (self.rule, self.message, self.file, self.line) = (rule, message, file, line)
    }
}

// MARK: - Reading

extension ImportedCA {
    /// Reads the directory of a CA, and more files or directories with its certificates and keys.
    ///
    /// The files determine which software created it. In a directory without a known layout, the CA is the one that
    /// issued most of the certificates. Regular files of up to 4 MiB are read, on as many threads as there are
    /// processors; encrypted keys are not opened. Throws ``AuthorityError`` if the directory cannot be opened or has no
    /// CA certificate.
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
        let indexes = try Self.indexes(in: scan, layout, now: now)
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
            let message = "the key of the CA \(printable(issuer.certificateFile)) is not in the directory"
            return ForeignFinding(.missingKey, message, file: issuer.certificateFile)
        }
        notes += issuers.compactMap { issuer in
            guard let objection = CertificateVerifier.objection(toRoot: issuer.certificate) else { return nil }
            let message =
                "\(printable(issuer.certificateFile)): the root \(objection): renew it before issuing, pki renew root"
            return ForeignFinding(.cannotIssue, message, file: issuer.certificateFile)
        }
        let chains = Self.chains(in: files)
        certificates = accepted.map { index in
            let (member, certificate) = (members[index], members[index].certificate)
            let revocation = register.revocations[index]
            let place = names[index]?.place ?? .current
            return ForeignCertificate(
                name: names[index]?.name ?? certificate.serialNumber.hexadecimal, certificate: certificate,
                certificateFile: member.file, key: keys[index],
                chainFile: chains[Self.chainKey(member.file, member.name)],
                issuer: family.issuers[index].map { members[$0].certificate.publicKey } ?? certificate.publicKey,
                place: place, revocation: revocation,
                status: InventoryEntry.Status(
                    revocation.map { Int64($0.reason.rawValue) }, place, from: certificate.notBefore,
                    to: certificate.notAfter, at: now))
        }.sorted { $0.certificateFile < $1.certificateFile }
        lost = register.lost
        findings = Self.bounded(scan.findings + files.flatMap(\.findings) + notes + register.findings)
    }

    /// The indexes of the directory. One that cannot be read is an error: its revocations would be lost.
    private static func indexes(
        in scan: ImportScan, _ layout: ImportLayout, now: Date
    ) throws(AuthorityError) -> [CertificateIndex] {
        let configured = layout.configuration?.candidates(for: .database) ?? []
        var indexes: [CertificateIndex] = []
        for file in scan.files where file.name == "index.txt" || configured.contains(file.path) {
            let contents = try rethrown { () throws(FileError) in
                try scan.contents(of: file.path, limit: 256 << 20)
            }
            indexes.append(try CertificateIndex(contents, path: file.path, now: now))
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
            return ForeignFinding(
                .foreign, "\(printable(member.file)) is a certificate of another CA: \(issuer)", file: member.file)
        }
    }

    /// Keeps a thousand findings of each kind.
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
            kept.append(
                ForeignFinding(.limit, "\(count - limit) more findings of the kind \(rule.rawValue) are omitted"))
        }
        return kept
    }
}
