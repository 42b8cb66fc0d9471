// SPDX-License-Identifier: Apache-2.0

import Certificates
package import FoundationEssentials
import SQL
import SQLite
import SystemSupport

/// A whole CA directory in one file.
///
/// The file is an SQLite database: the tables of the inventory, the files of the directory in a table `sqlar`, which
/// `sqlite3 FILE -A` lists and extracts too, and a table `backup` with a digest of everything else.
package struct Backup {
    /// What a backup contains.
    package struct Summary: Sendable {
        /// When the backup was made.
        package let madeAt: Date
        /// The number of files, without the inventory.
        package let files: Int
        /// The number of certificates in the inventory.
        package let certificates: Int
        /// The number of private keys that are not encrypted.
        package let openKeys: Int
        /// The paths in the directory that are no regular files and were left out.
        package let skipped: [String]
        /// SHA-256 over all rows.
        package let digest: [UInt8]
        /// Whether others than this user can read or write the file, or own it.
        package let isExposed: Bool
    }

    package let summary: Summary
    private let database: Database
    private let path: String

    /// Marks the file as a backup of this program: "pkiB".
    private static let applicationIdentifier: Int32 = 0x706b_6942
    private static let tables = [
        // As SQLite's own archives: sz is the size, and data is not compressed where it has that size.
        "sqlar": """
        CREATE TABLE sqlar(
          name TEXT PRIMARY KEY,
          mode INT,
          mtime INT,
          sz INT,
          data BLOB
        )
        """,
        "backup": "CREATE TABLE backup (made_at INTEGER NOT NULL, digest BLOB NOT NULL)",
    ]
    /// The tables that the digest covers, in its order; the second ones in inventories from version 5 on.
    private static let covered = [
        "templates", "certificates", "certificate_contents", "revocation_lists", "audit", "file_moves", "sqlar",
    ]
    private static let coveredOfEnrolment = [
        "common_name_parts", "tokens", "enrolments", "name_locks", "pending_requests", "acme_accounts", "acme_orders",
    ]

    /// Whether a name can be that of a file in a backup: one component, or `archive/` and one, neither hidden nor a file
    /// of the inventory.
    private static func isFile(_ path: String) -> Bool {
        let parts = path.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = parts.last.map(String.init), parts.count == 1 || parts[0] == CADirectory.archiveDirectory,
            FilePath.isComponent(name), !name.hasPrefix("."), !name.hasPrefix(Inventory.fileName),
            name.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f })
        else { return false }
        return parts.count == 2 || name != CADirectory.archiveDirectory
    }

    /// A digest of the time in seconds, as decimal text, and of the name and the rows of every table; see ``RowsDigest``.
    private static func digest(of database: Database, madeAt seconds: Int64) throws -> [UInt8] {
        var digest = RowsDigest("\(seconds)")
        for table in try covered + (database.schemaVersion() >= 5 ? coveredOfEnrolment : []) {
            digest.add(table)
            try database.visit("SELECT * FROM \(table) ORDER BY rowid") { digest.add($0.values) }
        }
        return digest.value
    }
}

// MARK: - Making

extension Inventory {
    /// Writes a backup of the directory to a new file, readable by this user alone.
    ///
    /// Other writers wait until it is complete; the file has its name only then. Throws ``AuthorityError`` if the file
    /// exists, or is in the directory itself.
    package func backUp(to path: String, now: Date) throws -> Backup.Summary {
        let target = try rethrown { () throws(FileError) in
            try SystemSupport.Directory(FilePath.parent(of: path), for: .output)
        }
        let name = FilePath.name(of: path)
        if let stamp = directory.directory.status?.stamp, target.status?.stamp.isSameFile(as: stamp) == true {
            throw AuthorityError(
                .invalidRequest, "\(printable(path)) is in the CA's directory, whose loss it is to survive",
                hint: "name a file in another directory, better on another machine")
        }
        guard !target.contains(name) else {
            throw AuthorityError(
                .exists, "\(printable(path)) exists already and is never overwritten", hint: "name a new file")
        }
        func write(_ records: InventoryDatabase) throws -> Backup.Summary {
            let draft = "\(NewFile.temporaryPrefix)backup-\(ThisProcess.identifier)"
            defer { for suffix in ["", "-wal", "-shm", "-journal"] { target.unlink(draft + suffix) } }
            let skipped = try Backup.write(records, from: place, directory, as: draft, in: target, now: now)
            // What was written is read again, as a restoration would.
            let summary = try Backup(reading: draft, in: target, skipped: skipped).summary
            try rethrown { () throws(FileError) in
                try target.move(draft, to: name)
                try target.synchronize()
            }
            return summary
        }
        return isInDirectory ? try holding(write) : try withDatabase(write)
    }
}

extension Backup {
    /// Returns the paths that are no regular files.
    fileprivate static func write(
        _ records: InventoryDatabase, from place: String, _ directory: CADirectory, as name: String,
        in target: SystemSupport.Directory, now: Date
    ) throws -> [String] {
        let copy = try Database(name, in: target, applicationIdentifier: applicationIdentifier)
        if let file = records.file {
            try file.copy(over: copy)
        } else {
            try InventoryCopy.copyRows(from: records.database, at: place, into: copy, at: target.path(of: name))
        }
        func add(_ path: String, _ mode: UInt32, _ contents: [UInt8]) throws {
            try copy.execute(
                "INSERT INTO sqlar (name, mode, mtime, sz, data) VALUES (?, ?, ?, ?, ?)", .text(path),
                // A regular file, as stat(2) says it.
                .integer(Int64(0o100000 | mode & 0o777)), .time(now), .integer(Int64(contents.count)), .blob(contents))
        }
        var skipped: [String] = []
        try copy.transaction(.power) {
            try copy.execute("PRAGMA application_id = \(applicationIdentifier)")
            for table in tables.values.sorted() { try copy.execute(table) }
            let archived = directory.names(in: CADirectory.archiveDirectory)
            let names = directory.names() + archived.map { "\(CADirectory.archiveDirectory)/\($0)" }
            // They are completed, and a backup has no drafts.
            try copy.execute("DELETE FROM file_moves")
            for path in names.sorted()
            where !path.hasPrefix(".") && !path.hasPrefix(Inventory.fileName)
                && path != Inventory.elsewhereFile && path != CADirectory.archiveDirectory
            {
                guard isFile(path), let status = directory.status(of: path), status.kind == .regular else {
                    skipped.append(path)
                    continue
                }
                let contents = try directory.read(path, isPrivate: false)
                try add(path, status.mode, unsafe contents.withUnsafeBytes { unsafe Array($0) })
            }
            // Then the files of what was issued are made when it is restored.
            if records.file == nil { try add(Inventory.elsewhereFile, 0o644, Array("\(place)\n".utf8)) }
            try copy.execute(
                "INSERT INTO backup (made_at, digest) VALUES (?, ?)", .time(now),
                .blob(digest(of: copy, madeAt: Int64(now.timeIntervalSince1970))))
        }
        try copy.endLog()
        return skipped
    }
}

// MARK: - Reading

extension Backup {
    /// Opens a backup and verifies all of it. Throws ``AuthorityError`` if it is not one, or was changed.
    package init(reading path: String) throws {
        let directory = try rethrown { () throws(FileError) in
            try SystemSupport.Directory(FilePath.parent(of: path), for: .output)
        }
        try self.init(reading: FilePath.name(of: path), in: directory, shown: path)
    }

    fileprivate init(
        reading name: String, in directory: SystemSupport.Directory, shown: String? = nil, skipped: [String] = []
    ) throws {
        path = printable(shown ?? directory.path(of: name))
        do {
            database = try Database(
                reading: name, in: directory, applicationIdentifier: Self.applicationIdentifier)
            guard try !InventoryDatabase(database).isNew else { throw Self.damage(path, "it is empty") }
            try InventorySchema.check(database, path: path, isLenient: false, others: Self.tables)
            if let found = try InventoryDatabase(database).damages().first { throw Self.damage(path, found) }
            try Self.checkRecords(InventoryDatabase(database), path: path)
            let status = directory.status(of: name)
            summary = try Self.summary(
                of: database, path: path, skipped: skipped,
                isExposed: (status?.mode ?? 0) & 0o077 != 0 || status?.owner != FileStatus.ownUser)
        } catch let error as SQLError {
            throw Self.damage(path, error.message)
        } catch let error as DamagedValue {
            throw Self.damage(path, error.message)
        } catch let error as FileError {
            throw AuthorityError(error)
        }
    }

    private static func damage(_ path: String, _ why: String) -> AuthorityError {
        AuthorityError(.broken, "\(path) is not a backup of pki, or is damaged: \(why)", hint: "use another backup")
    }

    /// Reads every row as the inventory would: values in their ranges, an audit whose chain holds, and no pending change.
    private static func checkRecords(_ records: InventoryDatabase, path: String) throws {
        try records.visit(where: "1 = 1") { _ in }
        try records.visitAudit { _ in }
        guard try records.moves().isEmpty else { throw damage(path, "it has an unfinished change") }
        if let found = try records.verifyAudit().breaks.first(where: { $0 != .noChain }) {
            throw damage(path, "its audit is not intact: \(found)")
        }
    }

    private static func summary(
        of database: Database, path: String, skipped: [String], isExposed: Bool
    ) throws -> Summary {
        let rows = try database.query("SELECT made_at, digest FROM backup")
        guard rows.count == 1, let seconds = rows[0][0].integer, let digest = rows[0][1].blob,
            (0...253_402_300_799).contains(seconds)
        else {
            throw damage(path, "its digest is missing")
        }
        guard try areEqual(digest, self.digest(of: database, madeAt: seconds)) else {
            throw damage(path, "its contents are not those that were written")
        }
        var (files, openKeys) = (0, 0)
        try database.visit("SELECT name, mode, sz, data FROM sqlar ORDER BY name") { row in
            let (name, contents) = (row.text(0), SecretBytes(row.blob(3)))
            guard isFile(name), row.integer(2) == Int64(contents.count) else {
                throw damage(path, "\"\(printable(name, limit: 200))\" is not a file of a CA directory")
            }
            files += 1
            let isOpen = contents.contains("PRIVATE KEY-----") && !contents.contains("ENCRYPTED")
            if name.hasSuffix(".pem"), isOpen { openKeys += 1 }
        }
        let count = try database.query("SELECT COUNT(*) FROM certificates").first?.first?.integer ?? 0
        return Summary(
            madeAt: Date(timeIntervalSince1970: Double(seconds)), files: files, certificates: Int(count),
            openKeys: openKeys, skipped: skipped, digest: digest, isExposed: isExposed)
    }
}

// MARK: - Restoring

extension Backup {
    /// Makes a directory of the backup, complete or not at all. The inventory's audit says so, and CRL numbers continue
    /// above the time, since later ones than the backup's may be in use.
    ///
    /// - Parameters:
    ///   - target: The path of the new directory, which must not exist.
    ///   - who: The user in the audit.
    ///   - now: The time of the restoration.
    package func restore(to target: String, by who: String, now: Date) throws {
        guard FileStatus(at: target, followsLinks: false) == nil else {
            throw AuthorityError(
                .exists, "\(printable(target)) exists already and is never overwritten",
                hint: "restore into a new directory: --directory NAME")
        }
        let parent = try rethrown { () throws(FileError) in
            try SystemSupport.Directory(FilePath.parent(of: target), for: .output)
        }
        let draft = try rethrown { () throws(FileError) in
            try SystemSupport.Directory.makeTemporary("\(NewFile.temporaryPrefix)restore-", in: parent.path)
        }
        do {
            try writeFiles(to: draft)
            try writeInventory(to: draft, by: who, now: now)
            try rethrown { () throws(FileError) in
                try draft.synchronize()
                try parent.rename(FilePath.name(of: draft.path), to: FilePath.name(of: target))
                try parent.synchronize()
            }
        } catch {
            Self.remove(draft)
            throw error
        }
    }

    private func writeFiles(to draft: SystemSupport.Directory) throws {
        let files = "SELECT name, mode, data FROM sqlar WHERE name != ? ORDER BY name"
        try database.visit(files, [.text(Inventory.elsewhereFile)]) { row in
            let parts = row.text(0).split(separator: "/").map(String.init)
            let mode = UInt32(truncatingIfNeeded: row.integer(1)) & 0o755 | 0o400
            try rethrown { () throws(FileError) in
                let place = parts.count == 2 ? try draft.directory(parts[0], for: .writing, creates: true) : draft
                // Only this user may write, and others may read only what is no key.
                let isSecret = AuthorityFiles.isKeyPath(row.text(0))
                try place?.create(
                    parts[parts.count - 1], SecretBytes(row.blob(2)), mode: mode & (isSecret ? 0o600 : 0o644))
            }
        }
        try rethrown { () throws(FileError) in
            try draft.directory(CADirectory.archiveDirectory, for: .writing)?.synchronize()
        }
    }

    private func writeInventory(to draft: SystemSupport.Directory, by who: String, now: Date) throws {
        try explained(path) {
            let copy = try Database(
                Inventory.fileName, in: draft, applicationIdentifier: InventorySchema.applicationIdentifier)
            try database.copy(over: copy)
            try copy.transaction(.power) {
                for table in Self.tables.keys.sorted() { try copy.execute("DROP TABLE \(table)") }
                try copy.execute("PRAGMA application_id = \(InventorySchema.applicationIdentifier)")
                _ = try InventorySchema.migrate(copy)
                try InventoryDatabase(copy).record(
                    AuditRecord(
                        date: now, who: who, action: .restore, name: nil, serialNumber: nil,
                        detail: "backup of \(timestamp(summary.madeAt))"))
            }
            // The keys of the files are in the pages of the table that was dropped.
            try copy.compact()
            let mark = "SELECT 1 FROM sqlar WHERE name = ?"
            guard try !database.query(mark, .text(Inventory.elsewhereFile)).isEmpty else { return }
            var files = CopiedFiles(
                directory: try CADirectory(path: draft.path, for: .writing), records: InventoryDatabase(copy), now: now)
            try files.write {}
        }
    }

    private static func remove(_ draft: SystemSupport.Directory) {
        if let archive = try? draft.directory(CADirectory.archiveDirectory, for: .writing) {
            for name in (try? archive.names()) ?? [] { archive.unlink(name) }
            archive.remove()
        }
        for name in (try? draft.names()) ?? [] { draft.unlink(name) }
        draft.remove()
    }
}
