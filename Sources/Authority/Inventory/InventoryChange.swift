// SPDX-License-Identifier: Apache-2.0

import Certificates
import struct FoundationEssentials.Date
import SystemSupport

/// What one change does to the inventory and to the directory: all of it, or nothing.
///
/// Files are only named here; ``write(jobs:generation:)`` brings them to the disk as drafts before the inventory commits.
struct InventoryChange {
    /// The inventory, in a transaction.
    let records: InventoryDatabase
    /// The moment.
    let now: Date
    /// Who is at work.
    let who: String

    private let directory: CADirectory
    private var files: [CADirectory.PlannedFile] = []
    private var archived: [(name: String, archivedName: String)] = []
    /// Names that new files will have.
    private var added: Set<String> = []
    /// Names whose files go to the archive.
    private var leaving: Set<String> = []
    private var taken: Set<String> = []
    private var checkedIssuers: Set<[UInt8]> = []

    init(records: InventoryDatabase, directory: CADirectory, now: Date, who: String) {
        self.records = records
        self.directory = directory
        self.now = now
        self.who = who
    }

    /// Whether a file is there, and stays.
    func contains(_ name: String) -> Bool {
        !leaving.contains(name) && (added.contains(name) || directory.contains(name))
    }

    /// Adds a file.
    ///
    /// - Parameter file: The file; its name must be free, or its holder on its way to the archive.
    /// - Throws: ``AuthorityError`` with ``AuthorityErrorCode/exists``.
    mutating func add(_ file: CADirectory.PlannedFile) throws(AuthorityError) {
        try checkDoesNotExist(file.name)
        files.append(file)
        added.insert(file.name)
    }

    /// Refuses a name that is taken.
    func checkDoesNotExist(_ name: String) throws(AuthorityError) {
        if contains(name) { throw directory.takenName(name) }
    }

    /// Moves a file into the archive.
    ///
    /// - Parameter name: The file; nothing happens when it is not there.
    /// - Returns: Its name in the archive.
    /// - Throws: ``AuthorityError``.
    mutating func archive(_ name: String) throws(AuthorityError) -> String? {
        guard directory.contains(name), !leaving.contains(name) else { return nil }
        try directory.refuseIrregular(name)
        let archivedName = try directory.archivedName(of: name, stamp: CivilTime(now).basic, taken: taken)
        move(name, to: archivedName)
        return archivedName
    }

    /// Gives a file that is there another name.
    mutating func move(_ name: String, to newName: String) {
        archived.append((name, newName))
        taken.insert(newName)
        leaving.insert(name)
    }

    /// Puts a file in the place of whatever has its name, in one step.
    ///
    /// - Parameter file: The file to put there, whatever is there.
    mutating func replace(with file: CADirectory.PlannedFile) {
        files.append(file)
        added.insert(file.name)
        leaving.insert(file.name)
    }

    /// Refuses an issuer that is revoked, or stands below a CA that is.
    ///
    /// - Parameter digest: SHA-256 of the issuer's public key.
    /// - Throws: ``AuthorityError``.
    mutating func checkIssuerNotRevoked(withKey digest: [UInt8]) throws {
        guard !checkedIssuers.contains(digest) else { return }
        try records.refuseRevokedAuthority(withKey: digest)
        checkedIssuers.insert(digest)
    }

    /// Writes a line of the audit.
    func audit(
        _ action: AuditRecord.Action,
        _ name: String? = nil,
        _ serialNumber: SerialNumber? = nil,
        detail: String? = nil
    ) throws {
        try records.record(
            AuditRecord(
                date: now,
                who: who,
                action: action,
                name: name,
                serialNumber: serialNumber,
                detail: detail
            )
        )
    }

    /// Brings every file to the disk as a draft.
    ///
    /// - Parameters:
    ///   - jobs: How many threads wait for the disk.
    ///   - generation: A number that the drafts of the last change do not have.
    /// - Returns: What is to be done when the inventory has committed.
    /// - Throws: ``AuthorityError``; no draft stays then.
    func write(jobs: Int, generation: Int) throws(AuthorityError) -> [FileMove] {
        // Found out before anything is on record: what cannot take a place now never will.
        for file in files where leaving.contains(file.name) { try directory.refuseIrregular(file.name) }
        var moves: [FileMove] = []
        var links: [(name: String, draft: String)] = []
        for (number, file) in archived.enumerated() {
            let draft = FileMove.draft(number, generation: generation)
            links.append((file.name, draft))
            moves.append(
                FileMove(name: file.archivedName, kind: .place(draft: draft, replaces: false), stage: .archive)
            )
        }
        var drafts: [(draft: String, file: CADirectory.PlannedFile)] = []
        for (number, file) in files.enumerated() {
            let draft = FileMove.draft(archived.count + number, generation: generation)
            drafts.append((draft, file))
            moves.append(
                FileMove(
                    name: file.name,
                    kind: .place(draft: draft, replaces: leaving.contains(file.name)),
                    stage: file.mode & 0o077 == 0 ? .keys : .certificates
                )
            )
        }
        for file in archived where !added.contains(file.name) {
            moves.append(FileMove(name: file.name, kind: .remove(copy: file.archivedName), stage: .removals))
        }
        try directory.writeDrafts(drafts, links: links, jobs: jobs)
        return moves.sorted { $0.stage.rawValue < $1.stage.rawValue }
    }
}
