// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import Synchronization

/// A folder whose files are written whole or not at all, and never over one another.
///
/// A file is written under a temporary name, brought to the disk, and given its name in one step that fails when the name
/// is taken. Writers take turns by a lock on the folder itself, which ends with the process that holds it.
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

    /// What temporary names begin with. Whoever holds the lock may remove every file of such a name.
    private static let temporaryPrefix = ".pki-new."

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
            removeAbandonedFiles()
            return try body()
        }
    }

    /// Writes files in their order, each on the disk under its name before the next gets its own.
    ///
    /// To be called with the lock held. When one cannot be written none of them stays.
    ///
    /// - Parameters:
    ///   - files: The files; none of the names may be taken.
    ///   - beforeNaming: Called when all contents are on the disk and before the first file gets its name.
    /// - Throws: ``AuthorityError`` naming the file and what the system says.
    func write(_ files: [NewFile], beforeNaming: () throws -> Void = {}) throws {
        var temporaries: [String] = []
        var named: [String] = []
        do {
            for file in files {
                let temporary = "\(Self.temporaryPrefix)\(getpid()).\(temporaries.count)"
                temporaries.append(temporary)
                try writeContents(of: file, as: temporary)
            }
            try beforeNaming()
            for (file, temporary) in zip(files, temporaries) {
                try rename(temporary, to: file.name)
                named.append(file.name)
                try synchronize()
            }
        } catch {
            for name in temporaries + named { unsafe unlinkat(descriptor, name, 0) }
            fsync(descriptor)
            throw error
        }
    }

    /// Moves a file into the sub-folder `archive`, under a name that tells when, and never over another file.
    ///
    /// To be called with the lock held.
    ///
    /// - Parameters:
    ///   - name: The file; nothing happens when it is not there.
    ///   - stamp: The moment, as a part of a file name.
    /// - Returns: The path of the archived file, or nothing when there was none to move.
    /// - Throws: ``AuthorityError`` naming the file and what the system says.
    func archive(_ name: String, stamp: String) throws(AuthorityError) -> String? {
        guard contains(name) else { return nil }
        if unsafe mkdirat(descriptor, "archive", 0o700) != 0, errno != EEXIST {
            throw AuthorityError(
                .storage,
                "the folder \(path(of: "archive")) cannot be made: \(systemErrorText(errno))"
            )
        }
        let dot = name.lastIndex(of: ".") ?? name.endIndex
        for attempt in 1...1000 {
            let suffix = attempt == 1 ? "" : "-\(attempt)"
            let archived = "archive/\(name[..<dot])-\(stamp)\(suffix)\(name[dot...])"
            if contains(archived) { continue }
            try rename(name, to: archived)
            fsync(descriptor)
            return path(of: archived)
        }
        throw AuthorityError(.storage, "\(path(of: "archive")) holds a thousand files of this moment")
    }

    private func writeContents(of file: NewFile, as temporary: String) throws(AuthorityError) {
        func failure(_ reason: CInt) -> AuthorityError {
            AuthorityError(.storage, "\(path(of: file.name)) cannot be written: \(systemErrorText(reason))")
        }
        let output = unsafe openat(
            descriptor,
            temporary,
            O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
            file.mode & 0o600
        )
        guard output >= 0 else { throw failure(errno) }
        defer { close(output) }
        guard fchmod(output, file.mode) == 0 else { throw failure(errno) }
        let reason = unsafe file.contents.withUnsafeBytes { bytes -> CInt in
            var position = 0
            while position < bytes.count {
                let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[position...])
                let count = unsafe Glibc.write(output, rest.baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return errno }
                position += count
            }
            return 0
        }
        guard reason == 0 else { throw failure(reason) }
        guard fsync(output) == 0 else { throw failure(errno) }
    }

    /// Gives a file another name that must be free.
    private func rename(_ name: String, to newName: String) throws(AuthorityError) {
        // A hard link fails when the name is taken, where a plain rename would overwrite.
        if unsafe linkat(descriptor, name, descriptor, newName, 0) == 0 {
            unsafe unlinkat(descriptor, name, 0)
            return
        }
        var reason = errno
        if reason == EPERM || reason == EOPNOTSUPP || reason == EMLINK {
            // A file system without hard links: the lock keeps our own processes out.
            if contains(newName) {
                reason = EEXIST
            } else if unsafe renameat(descriptor, name, descriptor, newName) == 0 {
                return
            } else {
                reason = errno
            }
        }
        throw AuthorityError(
            reason == EEXIST ? .exists : .storage,
            "\(path(of: newName)) cannot be made: \(systemErrorText(reason))"
        )
    }

    /// Brings the names in the folder to the disk.
    private func synchronize() throws(AuthorityError) {
        guard fsync(descriptor) == 0 else {
            throw AuthorityError(
                .storage,
                "the folder \(path) cannot be brought to the disk: \(systemErrorText(errno))"
            )
        }
    }

    /// Removes what a process that was killed left behind: files that never got their names.
    private func removeAbandonedFiles() {
        let copy = unsafe openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let listing = unsafe fdopendir(copy) else { return }
        defer { unsafe closedir(listing) }
        while let entry = unsafe readdir(listing) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                unsafe tuple.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name.hasPrefix(Self.temporaryPrefix) { unsafe unlinkat(descriptor, name, 0) }
        }
    }
}
