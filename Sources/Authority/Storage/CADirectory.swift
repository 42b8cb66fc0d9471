// SPDX-License-Identifier: Apache-2.0

import Certificates
import Dispatch
import Synchronization
import SystemSupport

/// A directory whose files are written completely or not at all, and never overwritten.
///
/// A file is written as a draft, synced, and given its name in one step that fails if the name is taken. Writers take
/// turns by a lock on the directory itself, which ends with the process that holds it.
final class CADirectory: Sendable {
    /// A file to be written.
    struct PlannedFile {
        var name: String
        var contents: SecretBytes
        /// The permissions, whatever the umask says.
        var mode: UInt32
    }

    /// Everything in the directory is opened through this descriptor.
    let directory: Directory
    private let use: Directory.Use
    /// The turn of a thread; the lock on the descriptor is shared by the threads of a process.
    private let turn = Mutex(())
    /// The archive and the drafts, once they have been used.
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

    /// Refuses an archive, drafts or files of the inventory that are links or belong to another user.
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

    /// The option that names this directory, for hints.
    var option: String { "--directory \(Quoting.shell(path))" }

    /// The path of the certificate of a name, for messages.
    func certificatePath(of name: String) -> String { path(of: AuthorityFiles.certificate(of: name)) }

    /// The path of a file in the directory, for messages.
    func path(of name: String) -> String { directory.path(of: name) }

    /// A directory in this one; `nil` if it does not exist.
    private func below(_ name: String, creates: Bool = false) throws(AuthorityError) -> Directory? {
        if let known = opened.withLock({ $0[name] }) { return known }
        let found = try rethrown { () throws(FileError) in try directory.directory(name, for: use, creates: creates) }
        if let found { opened.withLock { $0[name] = found } }
        return found
    }

    /// The directory and the component of a name: one component, or `archive/` or `.new/` and one. `nil` if the
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
        AuthorityError(.broken, "\"\(printable(name, limit: 200))\" is not the path of a file in the CA directory")
    }

    /// The status of a file, without following a link; `nil` if there is none.
    func status(of name: String) -> FileStatus? {
        if name == "." { return directory.status }
        guard let place = try? place(of: name) else { return nil }
        return place.directory.status(of: place.name)
    }

    func contains(_ name: String) -> Bool { status(of: name) != nil }

    func checkDoesNotExist(_ names: String...) throws(AuthorityError) {
        if let name = names.first(where: contains) { throw takenName(name) }
    }

    /// The error for a name that is taken.
    func takenName(_ name: String) -> AuthorityError {
        AuthorityError(
            .exists, "\(path(of: name)) exists already and is never overwritten",
            hint: "--force moves the old files to \(path(of: Self.archiveDirectory)) first")
    }

    /// Refuses anything but a regular file of this user: it is neither archived nor replaced.
    func refuseIrregular(_ name: String) throws(AuthorityError) {
        guard let place = try place(of: name), let status = place.directory.status(of: place.name) else { return }
        let path = path(of: name)
        guard status.kind == .regular else {
            throw AuthorityError(
                .broken, "\(printable(path)) is \(status.kind.noun), not a regular file",
                hint: "find out who created it, then remove it and run the command again: rm \(Quoting.shell(path))")
        }
        try rethrown { () throws(FileError) in try place.directory.checkReplaceable(place.name) }
    }

    func setMode(of name: String, _ mode: UInt32) throws(AuthorityError) {
        guard let place = name == "." ? (directory, name) : try place(of: name) else { return }
        try rethrown { () throws(FileError) in try place.directory.setMode(of: place.name, mode) }
    }

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
        guard !certificates.isEmpty else { throw AuthorityError(.broken, "\(path(of: name)) contains no certificate") }
        return certificates
    }

    /// Holds the lock of the directory while the closure runs.
    func withLock<Result>(_ body: () throws -> Result) throws -> Result {
        try turn.withLock { _ in
            try rethrown { () throws(FileError) in try directory.lock() }
            defer { directory.unlock() }
            return try body()
        }
    }

    // MARK: - Drafts

    /// Where files are written before they get their names. The holder of the lock may delete what is in it.
    static let draftDirectory = ".new"
    /// Where replaced files go.
    static let archiveDirectory = "archive"

    /// Writes and syncs files as drafts: the first half of a change. If one cannot be written, ``sweepDrafts()``
    /// deletes the others. The caller holds the lock.
    ///
    /// - Parameters:
    ///   - files: The files.
    ///   - links: Files that get a draft as a second name.
    ///   - copies: Drafts that get another draft as a second name.
    ///   - jobs: The number of threads that write.
    func writeDrafts(
        _ files: [(draft: String, file: PlannedFile)], links: [(name: String, draft: String)],
        copies: [(name: String, draft: String)] = [], jobs: Int = 1
    ) throws(AuthorityError) {
        if files.isEmpty, links.isEmpty { return }
        // The names are given after the point of no return, so obstacles must be found before.
        if let reason = directory.obstacle { throw failure(files.first?.file.name ?? ".", reason) }
        for link in links { try self.link(link.name, to: link.draft) }
        let failure = Workers.firstFailure(of: files.count, jobs: jobs) { index throws(AuthorityError) in
            try self.writeContents(of: files[index].file, as: files[index].draft)
        }
        if let failure { throw failure }
        for copy in copies { try self.link(copy.name, to: copy.draft) }
        try synchronize(Self.draftDirectory)
    }

    /// Adds a second name for a file; copies it where the file system has no hard links.
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

    /// Renames drafts: the second half of a change. Steps that were done before are skipped. The caller holds the lock.
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

    /// Returns the directory that changed.
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
                    .exists, "\(path(of: move.name)) was created by another program, and is never overwritten",
                    hint: "move it away; the next pki command that writes moves \(path(of: draft)) there")
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

    /// Whether two names are those of one file, or of files with equal contents.
    private func isSame(_ name: String, _ other: String) -> Bool {
        guard let first = status(of: name), let second = status(of: other) else { return false }
        if first.stamp.isSameFile(as: second.stamp) { return true }
        guard first.size == second.size, let left = try? read(name, isPrivate: false),
            let right = try? read(other, isPrivate: false)
        else { return false }
        return left.isEqual(to: right)
    }

    /// Deletes drafts that no change has recorded. Only files named as drafts are deleted. The caller holds the lock.
    func sweepDrafts() {
        guard let drafts = try? below(Self.draftDirectory) else { return }
        for name in (try? drafts.names()) ?? [] where FileMove.isDraftName(name) { drafts.unlink(name) }
    }

    /// A free name in the archive with the time: `archive/web-1-cert-20260101T000000Z.pem`.
    func archivedName(of name: String, stamp: String, taken: Set<String>) throws(AuthorityError) -> String {
        let name = name.split(separator: "/").last ?? ""
        let dot = name.lastIndex(of: ".") ?? name.endIndex
        for attempt in 1...1000 {
            let suffix = attempt == 1 ? "" : "-\(attempt)"
            let archived = "\(Self.archiveDirectory)/\(name[..<dot])-\(stamp)\(suffix)\(name[dot...])"
            if !taken.contains(archived), !contains(archived) { return archived }
        }
        throw AuthorityError(.storage, "\(path(of: Self.archiveDirectory)) has a thousand files with the time \(stamp)")
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

    /// Moves a file into the archive at once, not as a part of a change.
    func moveAside(_ name: String, to archivedName: String) throws(AuthorityError) {
        guard let from = try place(of: name), let to = try place(of: archivedName, creates: true) else { return }
        try rethrown { () throws(FileError) in try from.directory.move(from.name, to: to.name, in: to.directory) }
        try synchronize(Self.archiveDirectory)
        try synchronize(".")
    }

    /// Writes a new file, or gives an equal file that was written before another name; ``Directory/synchronizeAll()`` brings
    /// it to the disk.
    func writeUnsynced(_ file: PlannedFile, equalTo other: String? = nil) throws(AuthorityError) {
        guard let place = try place(of: file.name, creates: true) else { return }
        // There are file systems without links, and limits of their number.
        if let other, (try? directory.link(other, as: place.name, in: place.directory)) != nil { return }
        try rethrown { () throws(FileError) in
            try place.directory.create(place.name, file.contents, mode: file.mode, syncs: false)
        }
    }

    /// Syncs the names in a directory; this one is `.`.
    private func synchronize(_ name: String) throws(AuthorityError) {
        guard let found = name == "." ? directory : try below(name) else { return }
        try rethrown { () throws(FileError) in try found.synchronize() }
    }

    /// The unsorted names in the directory or in one below it, without `.` and `..`; empty if it cannot be read.
    func names(in name: String = ".") -> [String] {
        let found = name == "." ? directory : try? below(name)
        return (try? found?.names()) ?? []
    }

    /// Deletes drafts of earlier versions of this program, which were next to the other files.
    func sweepEarlierDrafts() {
        for name in names() where name.hasPrefix(NewFile.temporaryPrefix) { directory.unlink(name) }
    }
}

/// Runs a loop on several threads.
enum Workers {
    /// Runs a body for each index below a count on `jobs` threads, the caller's included, in order. Returns the first error;
    /// `nil` if there was none. After an error, and once `isOver` returns true, no new index is started.
    ///
    /// `concurrentPerform` starts no more threads than there are processors, and most of these wait for the disk.
    static func firstFailure<Failure: Error>(
        of count: Int, jobs: Int, until isOver: @Sendable () -> Bool = { false },
        _ body: @Sendable (Int) throws(Failure) -> Void
    ) -> Failure? {
        guard min(count, jobs) > 1 else {
            for index in 0..<count {
                if isOver() { break }
                do throws(Failure) { try body(index) } catch { return error }
            }
            return nil
        }
        let failure = Mutex<Failure?>(nil)
        let next = Atomic(0)
        let hasFailed = Atomic(false)
        @Sendable func work() {
            while !hasFailed.load(ordering: .relaxed), !isOver() {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < count else { return }
                do throws(Failure) {
                    try body(index)
                } catch {
                    hasFailed.store(true, ordering: .relaxed)
                    failure.withLock { if $0 == nil { $0 = error } }
                }
            }
        }
        let group = DispatchGroup()
        withoutActuallyEscaping(work) { work in
            // A serial queue has a thread of its own.
            for _ in 1..<max(1, min(jobs, count)) { DispatchQueue(label: "worker").async(group: group) { work() } }
            work()
            group.wait()
        }
        return failure.withLock { $0 }
    }
}
