// SPDX-License-Identifier: Apache-2.0

import Certificates
public import struct FoundationEssentials.Date
import SystemSupport

/// What an import has done.
public struct ImportOutcome: Sendable {
    /// How many certificates the inventory has now that it had not.
    public internal(set) var certificates = 0
    /// How many of them are revoked.
    public internal(set) var revoked = 0
    /// How many are known by their serial numbers alone.
    public internal(set) var lost = 0
    /// Files of certificates whose serial number another certificate of the same CA has.
    public internal(set) var skipped: [String] = []
    /// Where a damaged inventory went.
    public internal(set) var archivedInventory: String?
}

extension Inventory {
    /// Reads a CA's directory of this program into its inventory again: what the inventory knows stays as it is, and what it
    /// does not know is added. A damaged inventory goes to the archive, and a new one is made.
    ///
    /// - Parameters:
    ///   - directory: The directory.
    ///   - who: Who is at work, for the audit.
    ///   - now: The moment.
    /// - Returns: What was done.
    /// - Throws: ``AuthorityError``.
    public static func rebuild(in directory: String, by who: String, now: Date) throws -> ImportOutcome {
        let directory = try CADirectory(path: directory, for: .writing)
        var archived: String?
        if directory.contains(fileName), try isDamaged(directory) { archived = try setAside(in: directory, now: now) }
        let before = directory.contains(fileName)
        let inventory = try Inventory(directory: directory, by: who, now: now)
        var outcome = ImportOutcome()
        outcome.archivedInventory = archived
        if !before {
            // A new inventory has adopted everything already.
            try inventory.withDatabase { database in
                try database.visit(where: "1 = 1") { entry in
                    outcome.certificates += 1
                    if entry.revocation != nil { outcome.revoked += 1 }
                }
            }
            return outcome
        }
        return try inventory.change(now: now) { change in
            try Adoption(directory: directory, who: who, now: now).run(into: change.records)
        }
    }

    private static func isDamaged(_ directory: CADirectory) throws -> Bool {
        do {
            let database = try InventoryDatabase(in: directory)
            guard try !database.isNew else { return false }
            return try !database.damages().isEmpty
        } catch let error as AuthorityError {
            guard error.code == .broken else { throw error }
            return true
        } catch {
            return true
        }
    }

    /// Moves a damaged inventory into the archive, with the files that SQLite has beside it.
    private static func setAside(in directory: CADirectory, now: Date) throws -> String {
        try directory.withLock {
            let stamp = CivilTime(now).basic
            let name = try directory.archivedName(of: fileName, stamp: stamp, taken: [])
            try directory.moveAside(fileName, to: name)
            for suffix in ["-wal", "-shm"] where directory.contains(fileName + suffix) {
                try directory.moveAside(fileName + suffix, to: name + suffix)
            }
            return directory.path(of: name)
        }
    }

    /// Makes a CA's directory out of what other software kept: its CA certificates and keys, what it issued, and what it revoked.
    /// The other directory stays as it is.
    ///
    /// - Parameters:
    ///   - foreign: What was read.
    ///   - directory: The new directory, which must not have a CA.
    ///   - who: Who is at work, for the audit.
    ///   - now: The moment.
    /// - Returns: What was done.
    /// - Throws: ``AuthorityError``; nothing is left half done.
    public static func take(
        _ foreign: ImportedCA,
        into directory: String,
        by who: String,
        now: Date
    ) throws -> ImportOutcome {
        let directory = try CADirectory(path: directory, for: .writing, creates: true)
        let rootName = CertificateAuthority.rootName
        guard !directory.contains(AuthorityFiles.certificate(of: rootName)) else {
            throw AuthorityError(
                .exists,
                "\(directory.path) has a CA already, and a directory has one root",
                hint: "import into another directory: pki import \(foreign.directory) --directory NEW"
            )
        }
        let inventory = try Inventory(directory: directory, by: who, now: now)
        return try inventory.change(now: now, jobs: 16) { change in
            var outcome = ImportOutcome()
            var acceptance = ImportWriter(foreign, now: now, who: who)
            var names = TakenNames(foreign)
            for found in foreign.certificates {
                let files = try names.files(of: found)
                guard try acceptance.add(found, files: files, to: change.records) else { continue }
                outcome.certificates += 1
                if found.revocation != nil { outcome.revoked += 1 }
                if let key = files.key, let source = found.key, source.address == nil {
                    let contents = try Self.contents(of: source.file, in: foreign)
                    try change.add(.init(name: key, contents: contents, mode: 0o600))
                } else if let address = found.key?.address, found.certificate.isCA {
                    try change.add(.keyAddress(address, of: files.name))
                }
                try change.add(
                    .init(
                        name: files.certificate,
                        contents: SecretBytes(found.certificate.pemEncoded.utf8),
                        mode: 0o644
                    )
                )
            }
            outcome.lost = try acceptance.addLost(to: change.records)
            try acceptance.addListNumbers(to: change.records)
            if let root = try change.records.current(rootName).first {
                var files = ChainFiles()
                try files.refresh(below: [root.subjectKey], in: &change)
            }
            outcome.skipped = acceptance.skipped
            return outcome
        }
    }

    private static func contents(of file: String, in foreign: ImportedCA) throws -> SecretBytes {
        do {
            return try foreign.scan.contents(of: file)
        } catch {
            throw AuthorityError(error)
        }
    }
}

/// Names in the new directory for what stood in another.
private struct TakenNames {
    private let root: Certificate
    private var used: Set<String> = []

    init(_ foreign: ImportedCA) { root = foreign.root.certificate }

    mutating func files(of found: ForeignCertificate) throws -> ImportWriter.Files {
        let serial = found.certificate.serialNumber.hexadecimal
        var name = found.certificate == root ? CertificateAuthority.rootName : found.name
        if found.certificate != root {
            let isUsable = (try? EntryName.checkNew(name)) != nil
            if !isUsable { name = "imported-\(serial)" }
        }
        guard found.place == .current, used.insert(name).inserted else {
            let suffix = serial.suffix(40)
            return ImportWriter.Files(
                name: name,
                certificate: "\(CADirectory.archiveDirectory)/\(name)-cert-\(suffix).pem",
                key: found.key == nil || found.key?.address != nil
                    ? nil : "\(CADirectory.archiveDirectory)/\(name)-key-\(suffix).pem"
            )
        }
        var key = found.key == nil ? nil : AuthorityFiles.key(of: name)
        if let address = found.key?.address {
            guard AuthorityFiles.isLastingAddress(AuthorityFiles.lastingAddress(address)) else {
                throw AuthorityError(
                    .broken,
                    "the key of \(printable(name)) is at an address that cannot be used: \(printable(address, limit: 200))"
                )
            }
            key = AuthorityFiles.lastingAddress(address)
        }
        return ImportWriter.Files(name: name, certificate: AuthorityFiles.certificate(of: name), key: key)
    }
}
