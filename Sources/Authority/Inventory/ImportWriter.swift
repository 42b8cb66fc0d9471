// SPDX-License-Identifier: Apache-2.0

import Certificates
package import FoundationEssentials
import SystemSupport

/// The result of an import.
package struct ImportOutcome: Sendable {
    /// The number of certificates that were added to the inventory.
    package internal(set) var certificates = 0
    /// The number of revoked ones among them.
    package internal(set) var revoked = 0
    /// The number of certificates of which only the serial number is known.
    package internal(set) var lost = 0
    /// Files that were not imported: another certificate of the CA has the serial number, or the name is not allowed.
    package internal(set) var skipped: [String] = []
    /// The path of a damaged inventory in the archive.
    package internal(set) var archivedInventory: String?
}

extension Inventory {
    /// Adds certificates of a CA directory of this program that its inventory does not have. A damaged inventory is
    /// archived and created again.
    package static func rebuild(in directory: String, by who: String, now: Date) throws -> ImportOutcome {
        let directory = try CADirectory(path: directory, for: .writing)
        var archived: String?
        if directory.contains(fileName), try isDamaged(directory) { archived = try setAside(in: directory, now: now) }
        let before = directory.contains(fileName)
        let inventory = try Inventory(directory: directory, by: who, now: now)
        if before {
            return try inventory.change(now: now) { change in
                try ImportWriter.adopt(directory, into: change.records, by: who, now: now)
            }
        }
        // A new inventory has adopted the files.
        var outcome = ImportOutcome()
        outcome.archivedInventory = archived
        try inventory.withDatabase { database in
            try database.visit(where: "1 = 1") { entry in
                outcome.certificates += 1
                if entry.revocation != nil { outcome.revoked += 1 }
            }
        }
        return outcome
    }

    private static func isDamaged(_ directory: CADirectory) throws -> Bool {
        do {
            let database = try InventoryDatabase(in: directory)
            return try !database.isNew && !database.damages().isEmpty
        } catch let error as AuthorityError {
            guard error.code == .broken else { throw error }
            return true
        } catch {
            return true
        }
    }

    /// Moves a damaged inventory into the archive, with the log of SQLite.
    private static func setAside(in directory: CADirectory, now: Date) throws -> String {
        try directory.withLock {
            let name = try directory.archivedName(of: fileName, stamp: CivilTime(now).basic, taken: [])
            try directory.moveAside(fileName, to: name)
            for suffix in ["-wal", "-shm"] where directory.contains(fileName + suffix) {
                try directory.moveAside(fileName + suffix, to: name + suffix)
            }
            return directory.path(of: name)
        }
    }

    /// Creates a CA directory from one of other software: CA certificates and keys, issued certificates and
    /// revocations. The other directory is not changed, and the new one must not have a CA.
    package static func take(
        _ foreign: ImportedCA, into directory: String, by who: String, now: Date
    ) throws -> ImportOutcome {
        let directory = try CADirectory(path: directory, for: .writing, creates: true)
        let rootName = CertificateAuthority.rootName
        guard !directory.contains(AuthorityFiles.certificate(of: rootName)) else {
            throw AuthorityError(
                .exists, "\(directory.path) already has a CA",
                hint: "import into another directory: pki import \(Quoting.shell(foreign.directory)) --directory NEW")
        }
        let inventory = try Inventory(directory: directory, by: who, now: now)
        return try inventory.change(now: now, jobs: 16) { change in
            var writer = ImportWriter(foreign: foreign, database: change.records, who: who, now: now)
            var used: Set<String> = []
            for found in foreign.certificates {
                let files = try ImportWriter.Files(of: found, from: foreign, &used)
                guard try writer.add(found, files) else { continue }
                if let key = files.key, let source = found.key, source.address == nil {
                    let contents = try rethrown { () throws(FileError) in
                        try foreign.scan.contents(of: source.file)
                    }
                    try change.add(.init(name: key, contents: contents, mode: 0o600))
                } else if let address = found.key?.address, found.certificate.isCA {
                    try change.add(.keyAddress(address, of: files.name))
                }
                try change.add(.certificates([found.certificate], files.certificate))
            }
            try writer.finish()
            if let root = try change.records.current(rootName).first {
                try change.refreshChains(below: [root.subjectKey])
            }
            return writer.outcome
        }
    }
}

/// Writes an imported CA into an inventory.
struct ImportWriter {
    let foreign: ImportedCA
    let database: InventoryDatabase
    let who: String
    let now: Date
    fileprivate(set) var outcome = ImportOutcome()

    /// A certificate's files in the CA directory, or the address of its key.
    struct Files {
        var name: String
        var certificate: String
        var key: String?
        var chain: String?

        var areSafe: Bool {
            AuthorityFiles.isPath(name) && AuthorityFiles.isPath(certificate)
                && chain.map(AuthorityFiles.isPath) ?? true
                && key.map { AuthorityFiles.isPath($0) || AuthorityFiles.isLastingAddress($0) } ?? true
        }
    }

    /// Adds the certificates of a CA directory that its inventory does not have, if a CA of the directory issued them.
    @discardableResult
    static func adopt(
        _ directory: CADirectory, into database: InventoryDatabase, by who: String, now: Date
    ) throws -> ImportOutcome {
        guard directory.contains(AuthorityFiles.certificate(of: CertificateAuthority.rootName)) else { return .init() }
        let foreign: ImportedCA
        do {
            foreign = try ImportedCA(reading: directory.directory, now: now)
        } catch let error as AuthorityError where error.code == .missing {
            // There is no CA: commands that use the root report that. Any other error would lose revocations.
            return .init()
        }
        var writer = ImportWriter(foreign: foreign, database: database, who: who, now: now)
        for found in foreign.certificates {
            let files = Files(
                name: found.name, certificate: found.certificateFile,
                key: found.key.map { $0.address.map(AuthorityFiles.lastingAddress) ?? $0.file }, chain: found.chainFile)
            if files.areSafe {
                _ = try writer.add(found, files)
            } else {
                writer.outcome.skipped.append(found.certificateFile)
            }
        }
        try writer.finish()
        return writer.outcome
    }

    /// Adds a certificate and returns `true`, unless the inventory has it or another with the serial number of the
    /// issuer.
    mutating func add(_ found: ForeignCertificate, _ files: Files) throws -> Bool {
        let certificate = found.certificate
        let issuerKey = found.issuer.digest
        guard try !database.contains(fingerprint: Digest.sha256.hash(certificate.derEncoded)) else { return false }
        guard try !database.contains(serialNumber: certificate.serialNumber, of: issuerKey) else {
            outcome.skipped.append(found.certificateFile)
            return false
        }
        // The file of another entry was overwritten with this certificate.
        for former in try database.current(files.name)
        where found.place == .current && former.certificateFile == files.certificate {
            try database.setPlace(
                of: former.id, .lost, certificateFile: former.certificateFile, keyFile: nil, chainFile: nil)
        }
        try database.insert(
            InventoryEntry(
                name: files.name, certificate, profile: BuiltInTemplate(matching: certificate).rawValue,
                issuerKey: issuerKey, certificateFile: files.certificate, keyFile: files.key, chainFile: files.chain,
                place: found.place, revocation: found.revocation, issuedAt: certificate.notBefore, issuedBy: who),
            certificate)
        try record(files.name, certificate.serialNumber, found.certificateFile)
        outcome.certificates += 1
        if found.revocation != nil { outcome.revoked += 1 }
        return true
    }

    private func record(_ name: String?, _ serialNumber: SerialNumber, _ source: String) throws {
        try database.record(
            AuditRecord(
                date: now, who: who, action: .adopt, name: name, serialNumber: serialNumber,
                detail: "\(foreign.kind.rawValue): \(source)"))
    }

    /// Adds revocations without a certificate, and the numbers of CRLs.
    mutating func finish() throws {
        for lost in foreign.lost where try !database.contains(serialNumber: lost.serialNumber, of: lost.issuer.digest) {
            try database.insert(InventoryEntry(lost, issuedAt: now, issuedBy: who), nil)
            let line = lost.line.map { ":\($0)" } ?? ""
            try record(nil, lost.serialNumber, "\(lost.file)\(line), no certificate")
            outcome.lost += 1
        }
        for issuer in foreign.issuers {
            guard let next = issuer.nextRevocationListNumber else { continue }
            guard let number = next.integer.map({ $0 - 1 }) else {
                // Our own directory still has the CRL, and the next one is refused.
                if foreign.kind == .pki { continue }
                throw AuthorityError(
                    .policy,
                    "the next CRL number of \(printable(issuer.certificateFile)) is \(next.decimal), which is too large",
                    hint: "pki counts CRLs up to \(Int64.max)")
            }
            let issuerKey = issuer.certificate.publicKey.digest
            guard number > 0, try database.lastRevocationList(issuerKey: issuerKey)?.number ?? 0 < number else {
                continue
            }
            let list = issuer.revocationListFile.flatMap(list)
            // Without the CRL itself, the next one contains all revocations.
            try database.insertRevocationList(
                issuerKey: issuerKey, number: number, thisUpdate: list?.thisUpdate ?? issuer.certificate.notBefore,
                nextUpdate: list?.nextUpdate ?? now, entries: list?.revokedCount ?? 0)
        }
    }

    private func list(in file: String) -> CertificateRevocationList? {
        guard let contents = try? foreign.scan.contents(of: file, limit: 64 << 20) else { return nil }
        return (try? Container(reading: contents))?.revocationLists.first
    }
}

extension ImportWriter.Files {
    /// The files of an imported certificate in the new directory.
    fileprivate init(of found: ForeignCertificate, from foreign: ImportedCA, _ used: inout Set<String>) throws {
        let serial = found.certificate.serialNumber.hexadecimal
        if found.certificate == foreign.root.certificate {
            name = CertificateAuthority.rootName
        } else {
            name = (try? EntryName.checkNew(found.name)) == nil ? "imported-\(serial)" : found.name
        }
        guard found.place == .current, used.insert(name).inserted else {
            let (archive, suffix) = (CADirectory.archiveDirectory, serial.suffix(40))
            certificate = "\(archive)/\(name)-cert-\(suffix).pem"
            if let key = found.key, key.address == nil { self.key = "\(archive)/\(name)-key-\(suffix).pem" }
            return
        }
        certificate = AuthorityFiles.certificate(of: name)
        if let address = found.key?.address {
            key = AuthorityFiles.lastingAddress(address)
            guard AuthorityFiles.isLastingAddress(AuthorityFiles.lastingAddress(address)) else {
                throw AuthorityError(
                    .broken,
                    "the address of the key of \(printable(name)) is not allowed: \(printable(address, limit: 200))")
            }
        } else if found.key != nil {
            key = AuthorityFiles.key(of: name)
        }
    }
}
