// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import FoundationEssentials
import PostgreSQL
import SQL
import SQLite
import Synchronization
package import SystemSupport

/// The inventory of a CA directory, `inventory.sqlite`: every current and former certificate, its status, and the
/// audit.
///
/// No CA key is needed to read it or to revoke. Any number of processes may use one directory at once: writers take
/// turns, and readers never wait.
///
/// A change takes effect when the database commits it. Files are written as drafts before, and get their names after.
/// The next writer completes the change of a process that was killed, so a reported certificate is always in the
/// inventory and on the disk, key before certificate.
public final class Inventory: Sendable {
    /// The directory as the user named it.
    package var directoryPath: String { directory.path }
    /// Where entries were looked for, for messages: the directory or the server.
    package var location: String { isInDirectory ? directoryPath : place }

    let directory: CADirectory
    /// The server that has the inventory; `nil` if it is in the directory.
    private let address: String?
    var isInDirectory: Bool { address == nil }
    /// The file or the server, for messages.
    let place: String
    let who: String
    // SAFETY: used with `turn` held.
    private nonisolated(unsafe) let database: InventoryDatabase
    private let turn = Mutex(())
    // SAFETY: used with `readerTurn` held.
    private nonisolated(unsafe) var reader: InventoryDatabase?
    private let readerTurn = Mutex(())
    let shared = SharedChanges()
    /// When the change began that a server is being asked for.
    let changingSince = Mutex<ContinuousClock.Instant?>(nil)
    private let isReadOnly: Bool
    /// How many certificates were read from the directory's files when this was opened, because it had no inventory.
    private let adoptedCount: Mutex<Int>
    package static let fileName = "inventory.sqlite"

    /// Opens the inventory of a CA directory, which must be this user's alone, for changes. `who` is the user in the
    /// audit. If there is no inventory, it is created from the files.
    public convenience init(in directory: String, by who: String, now: Date) throws {
        try self.init(in: directory, by: who, now: now, hasKeyElsewhere: false)
    }

    convenience init(in path: String, by who: String, now: Date, hasKeyElsewhere: Bool) throws {
        let directory = try Self.open(path, for: .writing)
        try Self.refuseElsewhere(directory)
        // A host's directory has the root's certificate too, but no CA's key.
        if !directory.contains(Self.fileName), !hasKeyElsewhere, !CertificateAuthority.hasAnyKey(in: directory) {
            throw AuthorityError(
                .missing,
                "\(printable(path)) is not a CA's directory: it has no \(Self.fileName), and no CA's key",
                hint: "a host's certificate is renewed by the CA's server: pki renew NAME --server URL "
                    + "\(directory.option); a CA without its key is taken over by pki import")
        }
        try self.init(directory: directory, by: who, now: now)
    }

    /// Opens the inventory of a CA directory read-only. Nothing is written: an inventory of an earlier version is read
    /// as it is, and if there is none, the files are read into one in memory.
    public convenience init(reading directory: String, now: Date) throws {
        let directory = try Self.open(directory, for: .reading)
        try Self.refuseElsewhere(directory)
        let (database, adopted) = try Self.database(toRead: directory, now: now)
        try self.init(directory: directory, reading: database, adopted: adopted)
    }

    private static func database(toRead directory: CADirectory, now: Date) throws -> (InventoryDatabase, Int) {
        let path = directory.path(of: fileName)
        if directory.contains(fileName) {
            let database = try InventoryDatabase(reading: directory)
            // A process that was killed while it made the tables has left a file without.
            if try explained(path, { try !database.isNew }) { return (database, 0) }
        }
        return try explained(path) {
            let database = InventoryDatabase(try Database())
            _ = try InventorySchema.migrate(database.database)
            return (database, try ImportWriter.adopt(directory, into: database, by: "", now: now).certificates)
        }
    }

    /// Opens the inventory on a server of PostgreSQL, by its URL. The directory has keys and certificates of the CA, and no
    /// inventory; files of what is issued are not written.
    package init(at address: String, in path: String, by who: String, now: Date, isReading: Bool) throws {
        directory = try CADirectory(path: path, for: isReading ? .reading : .writing)
        self.address = address
        self.who = who
        isReadOnly = isReading
        adoptedCount = Mutex(0)
        let server = try explained("on PostgreSQL", isServer: true) { try Server(address, isReading: isReading) }
        let name = server.name
        try explained(name, isServer: true) { try InventorySchema.check(server, name) }
        place = name
        unsafe database = InventoryDatabase(server)
        if !isReading { markElsewhere() }
    }

    /// Marks a directory whose inventory is on a server: none must be made from its files.
    package static let elsewhereFile = "inventory-elsewhere"

    /// Whether a directory has its inventory itself.
    package static func isIn(_ directory: String) -> Bool {
        func has(_ name: String) -> Bool { FileStatus(at: FilePath.join(directory, name), followsLinks: false) != nil }
        return has(fileName) && !has(elsewhereFile)
    }

    private static func refuseElsewhere(_ directory: CADirectory) throws {
        guard directory.contains(elsewhereFile) else { return }
        throw AuthorityError(
            .invalidRequest, "the inventory of \(printable(directory.path)) is on PostgreSQL",
            hint: "name it with --inventory or PKI_INVENTORY; what a command without --inventory does is done by "
                + "pki token create and pki enrol, or in a copy: pki inventory copy --from URL --to DIR; to go on with the directory's own: rm "
                + Quoting.shell(directory.path(of: elsewhereFile)))
    }

    /// Leaves the mark; a directory that this process cannot write has none.
    private func markElsewhere() {
        guard !directory.contains(Self.elsewhereFile), !directory.contains(Self.fileName) else { return }
        try? markElsewhere(at: place)
    }

    func markElsewhere(at place: String) throws(FileError) {
        try NewFile.write(
            Self.elsewhereFile, in: directory.directory, SecretBytes(Array("\(place)\n".utf8)), mode: 0o644,
            replacing: .never)
    }

    /// Makes the tables and roles of an inventory on a server, or brings them up to date. Returns whether there were no tables, and
    /// which roles the login may not make.
    package static func initialize(at address: String) throws -> (isNew: Bool, missingRoles: [String]) {
        try explained("on PostgreSQL", isServer: true) {
            let server = try Server(address, isReading: false, hasLimits: false)
            let version = try server.schemaVersion()
            guard version <= InventorySchema.migrations.count else {
                throw AuthorityError(
                    .broken,
                    "the tables of \(server.name) have version \(version), newer than this program's "
                        + "\(InventorySchema.migrations.count); nothing was changed")
            }
            let isNew = try server.transaction {
                let isNew = try InventorySchema.migrate(server)
                try InventorySchema.restoreTriggers(on: server)
                return isNew
            }
            return (isNew, try InventorySchema.grantRoles(on: server))
        }
    }

    /// The SQL that does the same in an empty database.
    package static var serverScript: String { InventorySchema.script }

    static func open(_ path: String, for use: Directory.Use) throws -> CADirectory {
        let directory: CADirectory
        do {
            directory = try CADirectory(path: path, for: use)
        } catch {
            guard error.code == .missing else { throw error }
            throw AuthorityError.noAuthority(in: path, error.message)
        }
        guard directory.contains(Self.fileName) || directory.contains(AuthorityFiles.certificate(of: "root")) else {
            throw AuthorityError.noAuthority(in: path, "it has neither \(Self.fileName) nor root-cert.pem")
        }
        return directory
    }

    init(directory: CADirectory, by who: String, now: Date, repairs: Bool = false) throws {
        self.directory = directory
        (address, place) = (nil, directory.path(of: Self.fileName))
        self.who = who
        isReadOnly = false
        adoptedCount = Mutex(0)
        let isNew = !directory.contains(Self.fileName)
        unsafe database = try InventoryDatabase(in: directory, repairs: repairs)
        // A process that was killed during the migration leaves a file without tables.
        let isBehind = try isNew || withDatabase { try $0.isBehind }
        if isBehind { try change(now: now) { _ in } }
    }

    private init(directory: CADirectory, reading database: InventoryDatabase, adopted: Int) throws {
        self.directory = directory
        (address, place) = (nil, directory.path(of: Self.fileName))
        who = ""
        isReadOnly = true
        adoptedCount = Mutex(adopted)
        unsafe self.database = database
    }

    /// What the user must know about an inventory that was just made from the directory's files; `nil` for any other.
    package var notice: String? {
        let count = adoptedCount.withLock { $0 }
        guard count > 0 else { return nil }
        return "\(directoryPath) had no inventory: \(count) certificates were read from its files; "
            + "revocations that are in no CRL there, and the audit, are not known"
    }

    // MARK: - Reading

    /// Visits entries, those that expire first before the others. The body must not call this inventory.
    public func visit(_ query: InventoryQuery, _ body: (InventoryEntry) throws -> Void) throws {
        try withDatabase { try $0.visit(query, body) }
    }

    /// The entries of a query, those that expire first before the others.
    public func entries(_ query: InventoryQuery) throws -> [InventoryEntry] {
        var entries: [InventoryEntry] = []
        try visit(query) { entries.append($0) }
        return entries
    }

    /// The entry with a name, a serial number or a SHA-256 fingerprint in hexadecimal, with or without colons. A name
    /// means its current certificate, or if there is none, its newest.
    public func entry(_ reference: String) throws -> InventoryEntry {
        try withDatabase { try entry(reference, in: $0) }
    }

    func entry(_ reference: String, in database: InventoryDatabase) throws -> InventoryEntry {
        let named = try database.entries(where: "name = ? ORDER BY place, id DESC LIMIT 1", [.text(reference)])
        if let entry = named.first { return entry }
        if let bytes = octets(hexadecimal: reference.utf8.filter { $0 != UInt8(ascii: ":") }) {
            let found = try database.entries(
                where: "serial = ? OR fingerprint = ? ORDER BY id LIMIT 2",
                [.blob(SerialNumber(bytes).magnitude), .blob(bytes)])
            guard found.count < 2 else {
                throw AuthorityError(
                    .invalidRequest, "two CAs have issued a certificate with the serial number \(reference)",
                    hint: "use the name, or the SHA-256 fingerprint: pki list --all --format json")
            }
            if let entry = found.first { return entry }
        }
        throw AuthorityError(
            .missing, "no certificate with name or serial number \"\(reference)\" in \(location)",
            hint: "list them: pki list --all \(directory.option)" + (isInDirectory ? "" : " --inventory URL"))
    }

    /// The certificate of an entry, from the inventory: its file need not exist.
    public func certificate(of entry: InventoryEntry) throws -> Certificate {
        try reading { try $0.certificate(of: entry) }
    }

    /// The template of a certificate; `nil` if the certificate was imported from files.
    public func template(of entry: InventoryEntry) throws -> CertificateTemplate? {
        try reading { try $0.template(of: entry) }
    }

    /// Visits the audit from its first line. The body must not call this inventory.
    public func visitAudit(_ body: (AuditRecord) throws -> Void) throws {
        try withDatabase { try $0.visitAudit(body) }
    }

    /// The path of an entry's file; the address of a key is returned unchanged.
    package func path(of file: String) -> String { AuthorityFiles.isAddress(file) ? file : directory.path(of: file) }

    /// Whether the key of a name is in the directory and encrypted.
    package func hasEncryptedKey(_ name: String) throws -> Bool {
        let file = AuthorityFiles.key(of: name)
        guard directory.contains(file) else { return false }
        let contents = try directory.read(file, isPrivate: true)
        return (try? Container(reading: contents))?.privateKeys.first?.encryption != nil
    }

    // MARK: - Writing

    /// Changes the inventory and the directory together; if the body throws, nothing is changed. `jobs` is the number
    /// of threads that write files.
    ///
    /// Unless `movesLog`, the caller calls ``moveLog()`` later.
    func change<Result>(
        now: Date, jobs: Int = 1, movesLog: Bool = true, _ body: (inout InventoryChange) throws -> Result
    ) throws -> Result {
        guard !isReadOnly else { throw AuthorityError(.storage, "the CA in \(directoryPath) was opened read-only") }
        if address != nil {
            return try withDatabase { database in
                changingSince.withLock { $0 = .now }
                defer { changingSince.withLock { $0 = nil } }
                defer { database.known = nil }
                return try database.database.transaction {
                    database.known = .init()
                    var change = InventoryChange(
                        records: database, directory: directory, now: now, who: who, keepsFiles: false)
                    return try body(&change)
                }
            }
        }
        return try directory.withLock {
            // Another process may have copied it to a server, while this one runs.
            try Self.refuseElsewhere(directory)
            return try withDatabase { database in
                // Another process may have written since.
                database.known = .init()
                defer { database.known = nil }
                let isNew = try database.isNew
                let generation = try isNew ? 1 : finishLastChange(database) + 1
                var moves: [FileMove] = []
                let result: Result
                do {
                    result = try database.database.transaction {
                        if try InventorySchema.migrate(database.database) {
                            directory.sweepEarlierDrafts()
                            let adopted = try ImportWriter.adopt(directory, into: database, by: who, now: now)
                            adoptedCount.withLock { $0 = adopted.certificates }
                        }
                        var change = InventoryChange(records: database, directory: directory, now: now, who: who)
                        let result = try body(&change)
                        moves = try change.write(jobs: jobs, generation: generation)
                        try database.replaceMoves(moves)
                        return result
                    }
                } catch {
                    directory.sweepDrafts()
                    throw error
                }
                try directory.settle(moves)
                if movesLog { database.file?.checkpoint() }
                return result
            }
        }
    }

    /// Completes the file moves that a killed process recorded, and deletes drafts that it did not record. Returns the
    /// generation of the last change's drafts; 0 if there were none.
    @discardableResult
    func finishLastChange(_ database: InventoryDatabase) throws -> Int {
        let moves = try database.moves()
        try directory.settle(moves)
        directory.sweepDrafts()
        return moves.compactMap(\.generation).max() ?? 0
    }

    /// Reads the inventory of a directory while its other writers wait, after the last change was completed.
    func holding<Result>(_ body: (InventoryDatabase) throws -> Result) throws -> Result {
        try directory.withLock {
            try withDatabase { records in
                try finishLastChange(records)
                return try body(records)
            }
        }
    }

    /// Moves the log into the database's file, so that the file alone is a whole copy.
    package func moveLog() throws {
        guard address == nil else { return }
        try directory.withLock { try withDatabase { $0.file?.checkpoint() } }
    }

    /// Reads what was committed. While another thread changes the inventory, a second connection does not wait for it.
    func reading<Result>(_ body: (InventoryDatabase) throws -> Result) throws -> Result {
        guard !isReadOnly else { return try withDatabase(body) }
        return try explained(place, isServer: !isInDirectory) {
            if let result = try turn.withLockIfAvailable({ _ in try unsafe body(database) }) { return result }
            return try readerTurn.withLock { _ in
                let reader = try unsafe reader ?? anotherConnection()
                unsafe self.reader = reader
                return try body(reader)
            }
        }
    }

    private func anotherConnection() throws -> InventoryDatabase {
        guard let address else { return try InventoryDatabase(in: directory) }
        return InventoryDatabase(try Server(address, isReading: false))
    }

    func withDatabase<Result>(_ body: (InventoryDatabase) throws -> Result) throws -> Result {
        try explained(place, isServer: !isInDirectory) {
            try turn.withLock { _ in try unsafe body(database) }
        }
    }
}

extension Inventory {
    /// Changes the passphrase of a key in the directory, or removes it if the new one is `nil`. Returns the key's path.
    ///
    /// The new file replaces the old one in one step, but the disk may still hold the old one: if its passphrase is
    /// known to others, the key must be replaced.
    package func changePassphrase(
        of name: String, from old: () throws -> SecretBytes?, to new: () throws -> SecretBytes?, now: Date
    ) throws -> String {
        try EntryName.check(name)
        let file = AuthorityFiles.key(of: name)
        guard directory.contains(file) else {
            throw AuthorityError(
                .missing, "\(directory.path(of: file)) does not exist",
                hint: "list the certificates: pki list \(directory.option)")
        }
        let before = try directory.read(file, isPrivate: true)
        let key = try CertificateAuthority.readKey(of: name, in: directory, passphrase: old)
        let new = try new()
        return try change(now: now) { change in
            // Another process may have replaced the key meanwhile.
            guard try directory.read(file, isPrivate: true).isEqual(to: before) else {
                throw AuthorityError(
                    .exists, "\(directory.path(of: file)) was replaced by another process; it was not changed")
            }
            change.replace(with: .init(name: file, contents: try key.pemEncoded(passphrase: new), mode: 0o600))
            try change.audit(.passphrase, name, nil, detail: new == nil ? "removed" : "changed")
            return directory.path(of: file)
        }
    }
}
