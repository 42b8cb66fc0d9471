// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import Synchronization
import SystemSupport

/// A folder whose files are written whole or not at all, and never over one another.
///
/// A file is written as a draft, brought to the disk, and given its name in one step that fails when the name is taken.
/// Writers take turns by a lock on the folder itself, which ends with the process that holds it.
final class Folder: Sendable {
    /// A file to be written.
    struct NewFile {
        var name: String
        var contents: SecretBytes
        /// The permissions, whatever the umask says.
        var mode: mode_t
    }

    /// The path as the user gave it, for messages.
    let path: String

    private let descriptor: CInt

    /// Keeps the threads of this process apart, which the lock on the descriptor does not.
    private let turn = Mutex(())

    /// Opens a folder.
    ///
    /// - Parameters:
    ///   - path: The folder.
    ///   - creates: Whether to make it, with mode 0700, and the folders above it, when it is not there.
    /// - Throws: ``AuthorityError`` naming the folder and what the system says.
    init(path: String, creates: Bool) throws(AuthorityError) {
        self.path = path
        if creates { try Self.create(path) }
        descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            let reason = errno
            throw AuthorityError(
                reason == ENOENT ? .missing : .storage,
                "the folder \(path) cannot be opened: \(systemErrorText(reason))"
            )
        }
    }

    deinit { close(descriptor) }

    private static func create(_ path: String) throws(AuthorityError) {
        if unsafe mkdir(path, 0o700) == 0 {
            // The umask may have taken the owner's own rights away.
            unsafe chmod(path, 0o700)
            return
        }
        let reason = errno
        if reason == EEXIST { return }
        if reason == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try create(String(path[..<slash]))
            if unsafe mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        }
        throw AuthorityError(.storage, "the folder \(path) cannot be made: \(systemErrorText(errno))")
    }

    /// The path of a file in the folder, for messages.
    func path(of name: String) -> String { path.hasSuffix("/") ? path + name : "\(path)/\(name)" }

    /// Whether anything has this name.
    func contains(_ name: String) -> Bool {
        unsafe faccessat(descriptor, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0
    }

    /// Refuses names that something has.
    func refuseExisting(_ names: String...) throws(AuthorityError) {
        if let name = names.first(where: contains) { throw takenName(name) }
    }

    /// What is wrong when something has a name already.
    func takenName(_ name: String) -> AuthorityError {
        AuthorityError(
            .exists,
            "\(path(of: name)) exists already and is never overwritten",
            remedy: "--force moves the old files to \(path(of: Self.archiveFolder)) first"
        )
    }

    /// The permissions of a file or a folder; nothing when it is not there.
    func mode(of name: String) -> mode_t? {
        var status = stat()
        guard unsafe fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return nil }
        // What a link is allowed to do says nothing.
        return status.st_mode & S_IFMT == S_IFLNK ? nil : status.st_mode & 0o777
    }

    /// Sets the permissions of a file or a folder.
    func setMode(of name: String, _ mode: mode_t) throws(AuthorityError) {
        guard unsafe fchmodat(descriptor, name, mode, 0) == 0 else {
            throw AuthorityError(
                .permissions,
                "the mode of \(path(of: name)) cannot be set: \(systemErrorText(errno))",
                remedy: "its owner can: ls -l \(path(of: name))"
            )
        }
    }

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - name: The file's name.
    ///   - isPrivate: Whether to refuse a file that others than its owner can read or write.
    /// - Returns: The contents.
    /// - Throws: ``AuthorityError`` naming the file and the rule, or what the system says.
    func read(_ name: String, isPrivate: Bool) throws(AuthorityError) -> SecretBytes {
        let path = path(of: name)
        let file = unsafe openat(descriptor, name, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            let reason = errno
            throw AuthorityError(
                reason == ENOENT ? .missing : .storage,
                "\(path) cannot be read: \(systemErrorText(reason))"
            )
        }
        defer { close(file) }
        do {
            return try FileContents(descriptor: file, name: path, isPrivate ? .ownerOnly : .anyone).bytes
        } catch {
            throw AuthorityError(error.isUnprotected ? .permissions : .storage, error.message, remedy: error.remedy)
        }
    }

    /// Reads the certificates of a file.
    ///
    /// - Parameter name: The file's name.
    /// - Returns: The certificates, in the file's order; at least one.
    /// - Throws: ``AuthorityError`` naming the file and what the system says, or that it holds none; `CertificateError`
    ///   naming the file when it is malformed.
    func certificates(in name: String) throws -> [Certificate] {
        let file = try read(name, isPrivate: false)
        let certificates = try naming(path(of: name)) { () throws(CertificateError) in
            try Certificate.certificates(in: unsafe file.withUnsafeBytes { unsafe Array($0) })
        }
        guard !certificates.isEmpty else { throw AuthorityError(.broken, "\(path(of: name)) holds no certificate") }
        return certificates
    }

    /// Waits until no other process writes to the folder, and keeps others waiting until the closure returns.
    ///
    /// - Parameter body: What to do meanwhile.
    /// - Returns: What the closure returns.
    /// - Throws: What the closure throws, or ``AuthorityError`` when the folder cannot be locked.
    func withLock<Result>(_ body: () throws -> Result) throws -> Result {
        try turn.withLock { _ in
            while flock(descriptor, LOCK_EX) != 0 {
                guard errno == EINTR else {
                    throw AuthorityError(.storage, "the folder \(path) cannot be locked: \(systemErrorText(errno))")
                }
            }
            defer { flock(descriptor, LOCK_UN) }
            return try body()
        }
    }

    // MARK: - Files in the making

    /// Where files are written before they get their names. Whoever holds the lock may sweep it.
    static let draftFolder = ".new"

    /// Where files go that others take the place of.
    static let archiveFolder = "archive"

    /// Writes files as drafts and brings them to the disk: the first half of a change.
    ///
    /// To be called with the lock held. When one cannot be written, ``sweepDrafts()`` takes the others away.
    ///
    /// - Parameters:
    ///   - files: The files, each with the draft's name.
    ///   - links: Files that are there, and the drafts that become second names of theirs.
    ///   - jobs: How many threads wait for the disk; it serves several at the cost of one.
    /// - Throws: ``AuthorityError`` naming the file and what the system says.
    func writeDrafts(
        _ files: [(draft: String, file: NewFile)],
        links: [(name: String, draft: String)],
        jobs: Int = 1
    ) throws(AuthorityError) {
        if files.isEmpty, links.isEmpty { return }
        // Names are given when nothing can be taken back any more: what would be in their way is found out before.
        guard unsafe faccessat(descriptor, ".", W_OK | X_OK, AT_EACCESS) == 0 else {
            throw failure(files.first?.file.name ?? ".", errno)
        }
        try makeFolder(Self.draftFolder)
        for link in links { try self.link(link.name, to: link.draft) }
        let failure = Workers.firstFailure(of: files.count, jobs: jobs) { index throws(AuthorityError) in
            try self.writeContents(of: files[index].file, as: files[index].draft)
        }
        if let failure { throw failure }
        try synchronize(Self.draftFolder)
    }

    /// A second name for a file; a copy where the file system has no such names.
    private func link(_ name: String, to draft: String) throws(AuthorityError) {
        if unsafe linkat(descriptor, name, descriptor, draft, 0) == 0 { return }
        let reason = errno
        guard reason == EPERM || reason == EOPNOTSUPP || reason == EMLINK else {
            throw AuthorityError(.storage, "\(path(of: name)) cannot be archived: \(systemErrorText(reason))")
        }
        var status = stat()
        _ = unsafe fstatat(descriptor, name, &status, 0)
        let copy = NewFile(name: name, contents: try read(name, isPrivate: false), mode: status.st_mode & 0o777)
        try writeContents(of: copy, as: draft)
    }

    /// Gives drafts their names: the second half of a change. What was done already is not done again.
    ///
    /// To be called with the lock held.
    ///
    /// - Parameter moves: What to do, in this order. The names of each group of consecutive moves with the same
    ///   ``FileMove/stage`` are on the disk before the next group begins.
    /// - Throws: ``AuthorityError`` naming the file and what the system says.
    func settle(_ moves: [FileMove]) throws(AuthorityError) {
        var stage = moves.first?.stage
        var touched: Set<String> = []
        for move in moves {
            if move.stage != stage {
                for folder in touched { try synchronize(folder) }
                touched = []
                stage = move.stage
            }
            if let folder = try settle(move) { touched.insert(folder) }
        }
        for folder in touched { try synchronize(folder) }
    }

    /// Does one move; returns the folder that changed.
    private func settle(_ move: FileMove) throws(AuthorityError) -> String? {
        switch move.kind {
        case .place(let draft, let replaces):
            guard contains(draft) else { return nil }
            let parent = move.name.contains("/") ? Self.archiveFolder : "."
            if parent == Self.archiveFolder { try makeFolder(Self.archiveFolder) }
            if contains(move.name), isSame(draft, move.name) {
                unsafe unlinkat(descriptor, draft, 0)
            } else if replaces {
                guard unsafe renameat(descriptor, draft, descriptor, move.name) == 0 else {
                    throw failure(move.name, errno)
                }
            } else {
                guard !contains(move.name) else {
                    throw AuthorityError(
                        .exists,
                        "\(path(of: move.name)) was put there by another program, and is never overwritten",
                        remedy:
                            "move it away: what pki made waits in \(path(of: draft)), and the next pki command that "
                            + "writes gives it the name"
                    )
                }
                try rename(draft, to: move.name)
            }
            return parent
        case .remove(let copy):
            guard contains(move.name), contains(copy), isSame(move.name, copy) else { return nil }
            unsafe unlinkat(descriptor, move.name, 0)
            return "."
        }
    }

    /// Whether two names stand for one file, or for equal ones.
    private func isSame(_ name: String, _ other: String) -> Bool {
        var (first, second) = (stat(), stat())
        guard unsafe fstatat(descriptor, name, &first, AT_SYMLINK_NOFOLLOW) == 0,
            unsafe fstatat(descriptor, other, &second, AT_SYMLINK_NOFOLLOW) == 0
        else { return false }
        if first.st_ino == second.st_ino, first.st_dev == second.st_dev { return true }
        guard first.st_size == second.st_size, let left = try? read(name, isPrivate: false),
            let right = try? read(other, isPrivate: false)
        else { return false }
        return left.isEqual(to: right)
    }

    /// Removes drafts that no change will ever name. To be called with the lock held.
    func sweepDrafts() {
        for name in names(in: Self.draftFolder) { unsafe unlinkat(descriptor, "\(Self.draftFolder)/\(name)", 0) }
    }

    /// A free name in the archive that tells when: `archive/web-1-cert-20260101T000000Z.pem`.
    ///
    /// - Parameters:
    ///   - name: The file.
    ///   - stamp: The moment, as a part of a file name.
    ///   - taken: Names that are not free although nothing has them yet.
    /// - Returns: The name.
    /// - Throws: ``AuthorityError`` when a thousand files have names of this moment.
    func archivedName(of name: String, stamp: String, taken: Set<String>) throws(AuthorityError) -> String {
        let name = name.split(separator: "/").last ?? ""
        let dot = name.lastIndex(of: ".") ?? name.endIndex
        for attempt in 1...1000 {
            let suffix = attempt == 1 ? "" : "-\(attempt)"
            let archived = "\(Self.archiveFolder)/\(name[..<dot])-\(stamp)\(suffix)\(name[dot...])"
            if !taken.contains(archived), !contains(archived) { return archived }
        }
        throw AuthorityError(.storage, "\(path(of: Self.archiveFolder)) holds a thousand files of this moment")
    }

    private func makeFolder(_ name: String) throws(AuthorityError) {
        if unsafe mkdirat(descriptor, name, 0o700) == 0 {
            unsafe fchmodat(descriptor, name, 0o700, 0)
            try synchronize(".")
        } else if errno != EEXIST {
            throw AuthorityError(
                .storage,
                "the folder \(path(of: name)) cannot be made: \(systemErrorText(errno))"
            )
        }
    }

    private func failure(_ name: String, _ reason: CInt) -> AuthorityError {
        AuthorityError(
            reason == EEXIST ? .exists : .storage,
            "\(path(of: name)) cannot be written: \(systemErrorText(reason))"
        )
    }

    private func writeContents(of file: NewFile, as temporary: String) throws(AuthorityError) {
        let output = unsafe openat(
            descriptor,
            temporary,
            O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
            file.mode & 0o600
        )
        guard output >= 0 else { throw failure(file.name, errno) }
        defer { close(output) }
        guard fchmod(output, file.mode) == 0 else { throw failure(file.name, errno) }
        let reason = writeAll(file.contents, to: output)
        guard reason == 0 else { throw failure(file.name, reason) }
        guard fsync(output) == 0 else { throw failure(file.name, errno) }
    }

    /// Gives a file another name that must be free.
    private func rename(_ name: String, to newName: String) throws(AuthorityError) {
        // A hard link fails when the name is taken, where a plain rename would overwrite.
        if unsafe linkat(descriptor, name, descriptor, newName, 0) == 0 {
            unsafe unlinkat(descriptor, name, 0)
            return
        }
        var reason = errno
        if [EPERM, EOPNOTSUPP, EMLINK, ENOSPC, EDQUOT].contains(reason) {
            // A file system without hard links, or without room for another: the lock keeps our own processes out.
            if contains(newName) {
                reason = EEXIST
            } else if unsafe renameat(descriptor, name, descriptor, newName) == 0 {
                return
            } else {
                reason = errno
            }
        }
        throw failure(newName, reason)
    }

    /// Moves a file into the archive, at once and outside of any change: for what is no use to a change any more.
    func moveAside(_ name: String, to archivedName: String) throws(AuthorityError) {
        try makeFolder(Self.archiveFolder)
        try rename(name, to: archivedName)
        try synchronize(Self.archiveFolder)
        try synchronize(".")
    }

    /// Brings the names in a folder to the disk; the folder itself is `.`.
    private func synchronize(_ name: String) throws(AuthorityError) {
        var folder = descriptor
        if name != "." { folder = unsafe openat(descriptor, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        defer { if folder != descriptor, folder >= 0 { close(folder) } }
        guard folder >= 0, fsync(folder) == 0 else {
            throw AuthorityError(
                .storage,
                "the folder \(path(of: name)) cannot be brought to the disk: \(systemErrorText(errno))"
            )
        }
    }

    /// The names in the folder or in one below it, in no order, without `.` and `..`; none when it cannot be read.
    func names(in name: String = ".") -> [String] {
        let copy = unsafe openat(descriptor, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0 else { return [] }
        guard let listing = unsafe fdopendir(copy) else {
            close(copy)
            return []
        }
        defer { unsafe closedir(listing) }
        var names: [String] = []
        while let entry = unsafe readdir(listing) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                unsafe tuple.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes drafts of earlier versions of this program, which had them among the other files.
    func sweepEarlierDrafts() {
        for name in names() where name.hasPrefix(".pki-new.") { unsafe unlinkat(descriptor, name, 0) }
    }
}
