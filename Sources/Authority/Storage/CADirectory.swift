// SPDX-License-Identifier: Apache-2.0

import Certificates
import Synchronization
import SystemSupport

/// A directory whose files are written whole or not at all, and never over one another.
///
/// A file is written as a draft, brought to the disk, and given its name in one step that fails when the name is taken.
/// Writers take turns by a lock on the directory itself, which ends with the process that holds it.
final class CADirectory: Sendable {
    /// A file to be written.
    struct PlannedFile {
        var name: String
        var contents: SecretBytes
        /// The permissions, whatever the umask says.
        var mode: UInt32
    }

    /// The directory itself; everything below it is reached through it.
    let directory: Directory
    private let use: Directory.Use
    /// Keeps the threads of this process apart, which the lock on the descriptor does not.
    private let turn = Mutex(())
    /// The archive and the drafts, once somebody has asked for them.
    private let opened = Mutex<[String: Directory]>([:])

    /// Opens a CA directory. No symbolic link is followed.
    init(path: String, for use: Directory.Use, creates: Bool = false) throws(AuthorityError) {
        self.use = use
        directory = try rethrown { () throws(FileError) in
            if creates { try Directory.make(path) }
            return try Directory(path, for: use)
        }
        if use == .writing || use == .repairing { try refuseForeign() }
    }

    /// Refuses what others may have put here: an archive, drafts or files of the inventory that are links or not this user's.
    private func refuseForeign() throws(AuthorityError) {
        for name in [Self.archiveDirectory, Self.draftDirectory] { _ = try below(name) }
        for suffix in ["", "-wal", "-shm"] {
            try rethrown { () throws(FileError) in
                try directory.checkOwn(Inventory.fileName + suffix, ignoresMode: use == .repairing)
            }
        }
    }

    /// The path as the user gave it, for messages.
    var path: String { directory.path }

    /// The path of a file in the directory, for messages.
    func path(of name: String) -> String { directory.path(of: name) }

    /// A directory in this one; `nil` when it is not there.
    private func below(_ name: String, creates: Bool = false) throws(AuthorityError) -> Directory? {
        if let known = opened.withLock({ $0[name] }) { return known }
        let found = try rethrown { () throws(FileError) in try directory.directory(name, for: use, creates: creates) }
        if let found { opened.withLock { $0[name] = found } }
        return found
    }

    /// The directory and the component of a name: one component, or `archive/` or `.new/` and one. `nil` when the
    /// directory does not exist.
    private func place(
        of name: String, creates: Bool = false
    ) throws(AuthorityError) -> (directory: Directory, name: String)? {
        let parts = name.utf8.split(separator: 0x2f, maxSplits: 1, omittingEmptySubsequences: false)
        let last = String(parts[parts.count - 1]) ?? ""
        guard FilePath.isComponent(last) else { throw Self.outside(name) }
        guard parts.count == 2 else { return (directory, last) }
        guard let parent = String(parts[0]), parent == Self.archiveDirectory || parent == Self.draftDirectory else {
            throw Self.outside(name)
        }
        return try below(parent, creates: creates).map { ($0, last) }
    }

    private static func outside(_ name: String) -> AuthorityError {
        AuthorityError(.broken, "\"\(printable(name, limit: 200))\" does not lead to a file of the CA directory")
    }

    /// What the system says of a name, without following a link; `nil` when nothing has it.
    func status(of name: String) -> FileStatus? {
        if name == "." { return directory.status }
        guard let place = try? place(of: name) else { return nil }
        return place.directory.status(of: place.name)
    }

    /// Whether anything has this name.
    func contains(_ name: String) -> Bool { status(of: name) != nil }

    /// Refuses names that something has.
    func checkDoesNotExist(_ names: String...) throws(AuthorityError) {
        if let name = names.first(where: contains) { throw takenName(name) }
    }

    /// What is wrong when something has a name already.
    func takenName(_ name: String) -> AuthorityError {
        AuthorityError(
            .exists, "\(path(of: name)) exists already and is never overwritten",
            hint: "--force moves the old files to \(path(of: Self.archiveDirectory)) first")
    }

    /// Refuses a name that something has which is no regular file of this user: it is neither archived nor replaced.
    func refuseIrregular(_ name: String) throws(AuthorityError) {
        guard let place = try place(of: name), let status = place.directory.status(of: place.name) else { return }
        let path = path(of: name)
        guard status.kind == .regular else {
            throw AuthorityError(
                .broken, "\(printable(path)) is \(status.kind.noun), where a file is wanted",
                hint: "find out who made it, take it away, and run the command again: rm \(Quoting.shell(path))")
        }
        try rethrown { () throws(FileError) in try place.directory.checkReplaceable(place.name) }
    }

    /// Sets the permissions of a file or a directory.
    func setMode(of name: String, _ mode: UInt32) throws(AuthorityError) {
        guard let place = name == "." ? (directory, name) : try place(of: name) else { return }
        try rethrown { () throws(FileError) in try place.directory.setMode(of: place.name, mode) }
    }

    /// Reads a regular file.
    func read(_ name: String, isPrivate: Bool) throws(AuthorityError) -> SecretBytes {
        guard let place = try place(of: name) else {
            throw AuthorityError(.missing, "\(path(of: name)) cannot be read: no such file or directory")
        }
        return try rethrown { () throws(FileError) in
            try place.directory.read(place.name, isPrivate ? .ownerOnly : .anyone).bytes
        }
    }

    /// The certificates of a file, in its order; at least one.
    func certificates(in name: String) throws -> [Certificate] {
        let file = try read(name, isPrivate: false)
        let certificates = try naming(path(of: name)) { () throws(CertificateError) in
            try Certificate.certificates(in: unsafe file.withUnsafeBytes { unsafe Array($0) })
        }
        guard !certificates.isEmpty else { throw AuthorityError(.broken, "\(path(of: name)) holds no certificate") }
        return certificates
    }

    /// Waits until no other process writes to the directory, and keeps others waiting until the closure returns.
    func withLock<Result>(_ body: () throws -> Result) throws -> Result {
        try turn.withLock { _ in
            try rethrown { () throws(FileError) in try directory.lock() }
            defer { directory.unlock() }
            return try body()
        }
    }

    // MARK: - Files in the making

    /// Where files are written before they get their names. The holder of the lock may sweep it.
    static let draftDirectory = ".new"
    /// Where files go that others take the place of.
    static let archiveDirectory = "archive"

    /// Writes files as drafts and brings them to the disk: the first half of a change.
    ///
    /// To be called with the lock held. When one cannot be written, ``sweepDrafts()`` takes the others away.
    func writeDrafts(
        _ files: [(draft: String, file: PlannedFile)], links: [(name: String, draft: String)], jobs: Int = 1
    ) throws(AuthorityError) {
        if files.isEmpty, links.isEmpty { return }
        // Names are given when nothing can be taken back any more: what would be in their way is found out before.
        if let reason = directory.obstacle { throw failure(files.first?.file.name ?? ".", reason) }
        for link in links { try self.link(link.name, to: link.draft) }
        let failure = Workers.firstFailure(of: files.count, jobs: jobs) { index throws(AuthorityError) in
            try self.writeContents(of: files[index].file, as: files[index].draft)
        }
        if let failure { throw failure }
        try synchronize(Self.draftDirectory)
    }

    /// A second name for a file; a copy where the file system has no such names.
    private func link(_ name: String, to draft: String) throws(AuthorityError) {
        guard let from = try place(of: name), let to = try place(of: draft, creates: true) else { return }
        do {
            return try from.directory.link(from.name, as: to.name, in: to.directory)
        } catch {
            guard error.isWithoutLinks else {
                throw AuthorityError(.storage, "\(path(of: name)) cannot be archived: \(error.message)")
            }
        }
        let mode = from.directory.status(of: from.name)?.mode ?? 0o600
        let copy = PlannedFile(name: name, contents: try read(name, isPrivate: false), mode: mode & 0o777)
        try writeContents(of: copy, as: draft)
    }

    /// Renames drafts: the second half of a change. What was done already is not done again.
    ///
    /// To be called with the lock held.
    func settle(_ moves: [FileMove]) throws(AuthorityError) {
        var stage = moves.first?.stage
        var touched: Set<String> = []
        for move in moves {
            if move.stage != stage {
                for directory in touched { try synchronize(directory) }
                touched = []
                stage = move.stage
            }
            if let directory = try settle(move) { touched.insert(directory) }
        }
        for directory in touched { try synchronize(directory) }
    }

    /// Does one move; returns the directory that changed.
    private func settle(_ move: FileMove) throws(AuthorityError) -> String? {
        switch move.kind {
        case .place(let draft, let replaces):
            guard contains(draft), let from = try place(of: draft),
                let to = try place(of: move.name, creates: true)
            else { return nil }
            do {
                if contains(move.name), isSame(draft, move.name) {
                    from.directory.unlink(from.name)
                } else if replaces {
                    try from.directory.rename(from.name, to: to.name, in: to.directory)
                } else {
                    try from.directory.move(from.name, to: to.name, in: to.directory)
                }
            } catch {
                guard error.code == .exists, !replaces else { throw AuthorityError(error) }
                throw AuthorityError(
                    .exists, "\(path(of: move.name)) was put there by another program, and is never overwritten",
                    hint: "move it away: what pki made waits in \(path(of: draft)), and the next pki command that "
                        + "writes gives it the name")
            }
            return to.directory === directory ? "." : Self.archiveDirectory
        case .remove(let copy):
            guard contains(move.name), contains(copy), isSame(move.name, copy), let at = try place(of: move.name) else {
                return nil
            }
            at.directory.unlink(at.name)
            return "."
        }
    }

    /// Whether two names are those of one file, or of equal ones.
    private func isSame(_ name: String, _ other: String) -> Bool {
        guard let first = status(of: name), let second = status(of: other) else { return false }
        if first.stamp.isSameFile(as: second.stamp) { return true }
        guard first.size == second.size, let left = try? read(name, isPrivate: false),
            let right = try? read(other, isPrivate: false)
        else { return false }
        return left.isEqual(to: right)
    }

    /// Removes drafts that no change will ever name; what is not named as a draft stays. To be called with the lock held.
    func sweepDrafts() {
        guard let drafts = try? below(Self.draftDirectory) else { return }
        for name in (try? drafts.names()) ?? [] where FileMove.isDraftName(name) { drafts.unlink(name) }
    }

    /// A free name in the archive that tells when: `archive/web-1-cert-20260101T000000Z.pem`.
    func archivedName(of name: String, stamp: String, taken: Set<String>) throws(AuthorityError) -> String {
        let name = name.split(separator: "/").last ?? ""
        let dot = name.lastIndex(of: ".") ?? name.endIndex
        for attempt in 1...1000 {
            let suffix = attempt == 1 ? "" : "-\(attempt)"
            let archived = "\(Self.archiveDirectory)/\(name[..<dot])-\(stamp)\(suffix)\(name[dot...])"
            if !taken.contains(archived), !contains(archived) { return archived }
        }
        throw AuthorityError(.storage, "\(path(of: Self.archiveDirectory)) has a thousand files of this time")
    }

    private func failure(_ name: String, _ reason: CInt) -> AuthorityError {
        AuthorityError(
            SystemError(number: reason) == .exists ? .exists : .storage,
            "\(path(of: name)) cannot be written: \(systemErrorText(reason))")
    }

    private func writeContents(of file: PlannedFile, as temporary: String) throws(AuthorityError) {
        guard let place = try place(of: temporary, creates: true) else { return }
        do {
            try place.directory.create(place.name, file.contents, mode: file.mode)
        } catch {
            throw failure(file.name, error.number)
        }
    }

    /// Moves a file into the archive, at once and outside of any change: for what is no use to a change any more.
    func moveAside(_ name: String, to archivedName: String) throws(AuthorityError) {
        guard let from = try place(of: name), let to = try place(of: archivedName, creates: true) else { return }
        try rethrown { () throws(FileError) in try from.directory.move(from.name, to: to.name, in: to.directory) }
        try synchronize(Self.archiveDirectory)
        try synchronize(".")
    }

    /// Brings the names in a directory to the disk; this one is `.`.
    private func synchronize(_ name: String) throws(AuthorityError) {
        guard let found = name == "." ? directory : try below(name) else { return }
        try rethrown { () throws(FileError) in try found.synchronize() }
    }

    /// The names in the directory or in one below it, in no order, without `.` and `..`; none when it cannot be read.
    func names(in name: String = ".") -> [String] {
        let found = name == "." ? directory : try? below(name)
        return (try? found?.names()) ?? []
    }

    /// Removes drafts of earlier versions of this program, which had them among the other files.
    func sweepEarlierDrafts() {
        for name in names() where name.hasPrefix(NewFile.temporaryPrefix) { directory.unlink(name) }
    }
}
