// SPDX-License-Identifier: Apache-2.0

internal import CLibraries
internal import Glibc

/// An open directory. Everything in it is reached through its descriptor, so that it cannot be exchanged meanwhile, and every
/// name is one component: no file outside of it is ever touched. Errors name the path and the rule it breaks.
package final class Directory: Sendable {
    package enum Use: Sendable {
        /// To read. Any owner is accepted.
        case reading
        /// To change: it must belong to this user, and others must not be able to write to it.
        case writing
        /// To fix its permissions: as ``writing``, but they may be too wide.
        case repairing
        /// To create a file where the user wants one. It may be a link and shared, as `/tmp` is.
        case output
    }

    /// The path as the user gave it, for messages.
    package let path: String

    /// The open directory. The caller keeps this value alive while it uses the descriptor.
    package let descriptor: CInt

    /// Opens a directory. A symbolic link is refused, unless it is for ``Use/output``.
    package convenience init(_ path: String, for use: Use) throws(FileError) {
        // With a slash at its end the system would follow a link.
        let trimmed = String(decoding: path.utf8.trimmingTrailingSlashes, as: UTF8.self)
        try self.init(trimmed.isEmpty && !path.isEmpty ? "/" : trimmed, shown: path, in: AT_FDCWD, for: use)
    }

    private init(_ name: String, shown path: String, in parent: CInt, for use: Use) throws(FileError) {
        self.path = path
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (use == .output ? 0 : O_NOFOLLOW)
        descriptor = unsafe openat(parent, name, flags)
        guard descriptor >= 0 else {
            let reason = errno
            guard reason == ELOOP || reason == ENOTDIR else { throw FileError(path, cannotBe: "opened", reason) }
            let kind = FileStatus(name, in: parent)?.kind
            throw FileError(
                .kind, "\"\(printable(path))\" is \(kind?.noun ?? "no directory"), where a directory is expected",
                hint: kind == .link ? "name the directory itself: realpath \(Quoting.shell(path))" : nil)
        }
        guard use == .writing || use == .repairing else { return }
        guard let status = FileStatus(of: descriptor) else { throw FileError(path, cannotBe: "opened", errno) }
        try Self.check(status, path, called: "the directory ", ignoresMode: use == .repairing)
    }

    deinit {
        guard descriptor >= 0 else { return }
        unlock()
        close(descriptor)
    }

    private static func check(
        _ status: FileStatus, _ path: String, called noun: String = "", ignoresMode: Bool
    ) throws(FileError) {
        let shown = "\(noun)\"\(printable(path))\""
        guard status.owner == geteuid() else {
            throw FileError(
                .foreign, "\(shown) belongs to user \(status.owner), and this is user \(geteuid())",
                hint: "run the command as its owner, or make it yours: chown \(geteuid()) \(Quoting.shell(path))")
        }
        guard status.mode & 0o022 == 0 || ignoresMode else {
            throw FileError(
                .foreign, "others can write to \(shown): its mode is \(status.modeText)",
                hint: "check that it was not changed, then: chmod go-w \(Quoting.shell(path))")
        }
    }

    /// Creates a directory and those above it, mode 0700 whatever the umask. An existing one is not changed. A home directory is
    /// never created: as root with `HOME=/nonexistent`, files would be written where no one looks for them.
    package static func make(_ path: String) throws(FileError) {
        if unsafe path == homeDirectory(getenv("HOME").map { unsafe String(cString: $0) }), FileStatus(at: path) == nil
        {
            throw FileError(
                .missing, "the home directory \"\(printable(path))\" does not exist",
                hint: "set HOME to a directory that exists")
        }
        if unsafe mkdir(path, 0o700) == 0 {
            // The umask may have taken the owner's own rights away.
            unsafe chmod(path, 0o700)
            synchronize(parentOf: path)
            return
        }
        let reason = errno
        if reason == EEXIST { return }
        let above = FilePath.parent(of: path)
        if reason == ENOENT, above != path, above != "." {
            try make(above)
            if unsafe mkdir(path, 0o700) == 0 || errno == EEXIST {
                unsafe chmod(path, 0o700)
                return synchronize(parentOf: path)
            }
        }
        throw FileError(path, cannotBe: "made", errno)
    }

    /// Creates a directory, mode 0700 whatever the umask, under a new name with a prefix.
    package static func makeTemporary(_ prefix: String, in parent: String) throws(FileError) -> Directory {
        var template = Array("\(parent)/\(prefix)XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw FileError(parent, cannotBe: "written", errno) }
        let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        unsafe chmod(path, 0o700)
        return try Directory(path, for: .writing)
    }

    /// Removes the directory itself, if it is empty and still has its path.
    package func remove() {
        guard let stamp = status?.stamp, FileStatus(at: path, followsLinks: false)?.stamp.isSameFile(as: stamp) == true
        else { return }
        unsafe rmdir(path)
    }

    private static func synchronize(parentOf path: String) {
        let parent = unsafe Glibc.open(FilePath.parent(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard parent >= 0 else { return }
        fsync(parent)
        close(parent)
    }

    /// Opens a directory in this one. A missing one is created with mode 0700 if `creates`, and is `nil` otherwise.
    package func directory(_ name: String, for use: Use, creates: Bool = false) throws(FileError) -> Directory? {
        try check(name)
        let path = path(of: name)
        if creates, unsafe mkdirat(descriptor, name, 0o700) == 0 {
            unsafe fchmodat(descriptor, name, 0o700, 0)
            try synchronize()
        }
        do {
            return try Directory(name, shown: path, in: descriptor, for: use)
        } catch {
            if error.isMissing, !creates { return nil }
            throw error
        }
    }

    /// The path of a file in the directory, for messages.
    package func path(of name: String) -> String { FilePath.join(path, name) }

    /// Refuses what is not one component of a path.
    func check(_ name: String) throws(FileError) {
        guard FilePath.isComponent(name) else {
            throw FileError(.kind, "\"\(printable(name, limit: 200))\" is not the name of a file in \(printable(path))")
        }
    }

    // MARK: - Looking

    package var status: FileStatus? { FileStatus(of: descriptor) }

    /// The status of a file in the directory, without following a link; `nil` if there is none.
    package func status(of name: String) -> FileStatus? {
        FilePath.isComponent(name) ? FileStatus(name, in: descriptor) : nil
    }

    package func contains(_ name: String) -> Bool { status(of: name) != nil }

    /// The names in the directory, in no order, without `.` and `..`.
    package func names() throws(FileError) -> [String] {
        let copy = unsafe openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0 else { throw FileError(path, cannotBe: "read", errno) }
        guard let listing = unsafe fdopendir(copy) else {
            let reason = errno
            close(copy)
            throw FileError(path, cannotBe: "read", reason)
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

    /// Opens a regular file for reading, and returns its descriptor, which the caller closes. Anything else is refused without
    /// being read.
    package func open(_ name: String) throws(FileError) -> CInt {
        try check(name)
        let file = unsafe openat(descriptor, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
        guard file >= 0 else { throw FileError(path(of: name), cannotBe: "read", errno) }
        guard let kind = FileStatus(of: file)?.kind, kind == .regular else {
            let noun = FileStatus(of: file)?.kind.noun ?? "nothing"
            close(file)
            throw FileError(.kind, "\"\(printable(path(of: name)))\" is \(noun), where a file is expected")
        }
        return file
    }

    package func read(
        _ name: String, _ rule: FileContents.Rule = .anyone, limit: Int = FileContents.limit
    ) throws(FileError) -> FileContents {
        let file = try open(name)
        defer { close(file) }
        return try FileContents(descriptor: file, name: path(of: name), rule, limit: limit)
    }

    // MARK: - Changing

    /// Creates a new file, and unless ``synchronizeAll()`` will do that, syncs its contents to disk. It never has a wider mode than
    /// `mode`, which it gets whatever the umask.
    package func create(
        _ name: String, _ contents: SecretBytes, mode: UInt32, syncs: Bool = true
    ) throws(FileError) {
        try check(name)
        let path = path(of: name)
        let output = unsafe openat(descriptor, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode & 0o600)
        guard output >= 0 else { throw FileError(path, cannotBe: "written", errno) }
        defer { close(output) }
        let reason = writeAll(contents, to: output)
        guard reason == 0 else { throw FileError(path, cannotBe: "written", reason) }
        guard fchmod(output, mode) == 0, !syncs || fsync(output) == 0 else {
            throw FileError(path, cannotBe: "written", errno)
        }
    }

    /// Renames a file, and replaces a regular file of the new name; any other is refused. `directory` is this one by default.
    package func rename(_ name: String, to newName: String, in directory: Directory? = nil) throws(FileError) {
        let directory = directory ?? self
        try check(name)
        try directory.check(newName)
        try directory.checkReplaceable(newName)
        guard unsafe renameat(descriptor, name, directory.descriptor, newName) == 0 else {
            throw FileError(directory.path(of: newName), cannotBe: "written", errno)
        }
    }

    /// Renames a file to a name that must be free: ``FileError/Code/exists``.
    package func move(_ name: String, to newName: String, in directory: Directory? = nil) throws(FileError) {
        let target = directory ?? self
        do {
            // A hard link fails when the name is taken, where a plain rename would overwrite.
            try link(name, as: newName, in: target)
            unlink(name)
        } catch {
            guard error.isWithoutLinks || [ENOSPC, EDQUOT].contains(error.number) else { throw error }
            // A file system without hard links, or without room for another: a lock keeps our own processes out.
            guard !target.contains(newName) else { throw FileError(target.path(of: newName), cannotBe: "made", EEXIST) }
            try rename(name, to: newName, in: target)
        }
    }

    /// Adds a second name to a regular file; it must be free.
    package func link(_ name: String, as newName: String, in directory: Directory? = nil) throws(FileError) {
        let target = directory ?? self
        try check(name)
        try target.check(newName)
        if unsafe linkat(descriptor, name, target.descriptor, newName, 0) == 0 { return }
        throw FileError(target.path(of: newName), cannotBe: "made", errno)
    }

    /// Refuses a name that is taken by anything but a regular file of this user.
    package func checkReplaceable(_ name: String) throws(FileError) {
        guard let status = status(of: name) else { return }
        let path = path(of: name)
        guard status.kind == .regular else {
            throw FileError(.kind, "\"\(printable(path))\" is \(status.kind.noun), and is never replaced by a file")
        }
        guard status.owner == geteuid() || geteuid() == 0 else {
            throw FileError(
                .foreign,
                "\"\(printable(path))\" belongs to user \(status.owner), and is not replaced by user \(geteuid())")
        }
    }

    /// The same, and refuses a file that others can write to, unless `ignoresMode`.
    package func checkOwn(_ name: String, ignoresMode: Bool = false) throws(FileError) {
        guard let status = status(of: name) else { return }
        let path = path(of: name)
        guard status.kind == .regular else {
            throw FileError(
                .kind, "\"\(printable(path))\" is \(status.kind.noun), where a file is expected",
                hint: "find out who made it, and move it away: mv \(Quoting.shell(path)) ELSEWHERE")
        }
        try Self.check(status, path, ignoresMode: ignoresMode)
    }

    /// The value of `errno` if no file can be created here, found by creating one without a name; `nil` if it can be, or is not known.
    package var obstacle: CInt? {
        if unsafe faccessat(descriptor, ".", W_OK | X_OK, AT_EACCESS) != 0 { return errno }
        // O_TMPFILE, which Swift does not import.
        let probe = unsafe openat(descriptor, ".", O_WRONLY | O_DIRECTORY | 0o20000000 | O_CLOEXEC, 0o600)
        if probe < 0 { return errno == EOPNOTSUPP || errno == EISDIR ? nil : errno }
        close(probe)
        return nil
    }

    /// Removes a file, and returns whether it was there. Directories and devices are not removed.
    @discardableResult package func unlink(_ name: String) -> Bool {
        guard let kind = status(of: name)?.kind, kind != .directory, kind != .device else { return false }
        return unsafe unlinkat(descriptor, name, 0) == 0
    }

    /// Sets the permissions of a file or a directory here; of this directory itself when the name is `.`.
    package func setMode(of name: String, _ mode: UInt32) throws(FileError) {
        if name == "." {
            guard fchmod(descriptor, mode) == 0 else { throw FileError(path, cannotBe: "given mode", errno) }
            return
        }
        try check(name)
        let file = unsafe openat(descriptor, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
        guard file >= 0 else {
            // Its owner may have no right to read it, and a socket is never opened.
            guard [.regular, .socket].contains(status(of: name)?.kind), unsafe fchmodat(descriptor, name, mode, 0) == 0
            else {
                throw FileError(path(of: name), cannotBe: "given mode 0\(String(mode, radix: 8))", errno)
            }
            return
        }
        defer { close(file) }
        guard fchmod(file, mode) == 0 else {
            throw FileError(path(of: name), cannotBe: "given mode 0\(String(mode, radix: 8))", errno)
        }
    }

    /// Syncs the names in the directory to disk.
    package func synchronize() throws(FileError) {
        // EINVAL: the file system cannot sync directories.
        guard fsync(descriptor) == 0 || errno == EINVAL else {
            throw FileError(path, cannotBe: "brought to the disk", errno)
        }
    }

    /// Syncs everything on the directory's file system to disk.
    package func synchronizeAll() throws(FileError) {
        guard syncfs(descriptor) == 0 else { throw FileError(path, cannotBe: "brought to the disk", errno) }
    }

    /// Locks the directory until this value is released. Returns `false` if another process has locked it.
    package func tryLock() throws(FileError) -> Bool {
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EWOULDBLOCK { return false }
            guard errno == EINTR else { throw FileError(path, cannotBe: "locked", errno) }
        }
        return true
    }

    /// Locks the directory, waiting for other processes. The lock ends with ``unlock()``, or with the process.
    package func lock() throws(FileError) {
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else { throw FileError(path, cannotBe: "locked", errno) }
        }
    }

    /// Holds the lock until a closure returns. Threads of one process that share this value do not wait for each other.
    package func withLock<Result>(_ body: () throws -> Result) throws -> Result {
        try lock()
        defer { unlock() }
        return try body()
    }

    package func unlock() { flock(descriptor, LOCK_UN) }
}

/// A locked file, which keeps a note for the next holder. Releasing the value unlocks it.
package final class LockFile: Sendable {
    private let descriptor: CInt

    fileprivate init(_ descriptor: CInt) { self.descriptor = descriptor }

    // A command that starts at this moment may share the descriptor until it runs: closing it would not unlock the file.
    deinit {
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    package var note: String {
        get {
            lseek(descriptor, 0, SEEK_SET)
            let contents = try? FileContents(descriptor: descriptor, name: "lock", limit: 1 << 16)
            guard let contents else { return "" }
            return unsafe contents.bytes.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
        }
        set {
            guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else { return }
            _ = writeAll(Array(newValue.utf8), to: descriptor)
        }
    }
}

extension Directory {
    /// Locks a file, waiting for its holder, until the value is released. A missing file is created with mode 0600; an existing one
    /// must be usable by this user only.
    package func lock(_ name: String) throws(FileError) -> LockFile {
        try check(name)
        let path = path(of: name)
        while true {
            let flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
            let file = unsafe openat(descriptor, name, flags, 0o600)
            guard file >= 0 else { throw FileError(path, cannotBe: "locked", errno) }
            let lock = LockFile(file)
            guard let status = FileStatus(of: file), status.kind == .regular, status.owner == geteuid(),
                status.mode & 0o077 == 0
            else {
                throw FileError(
                    .foreign, "\"\(printable(path))\" cannot be locked: this user must be the only one who can use it",
                    hint: "remove it: rm \(Quoting.shell(path))")
            }
            // The umask may have taken its owner's rights away, who would be locked out the next time.
            if status.mode != 0o600 { fchmod(file, 0o600) }
            while flock(file, LOCK_EX) != 0 {
                guard errno == EINTR else { throw FileError(path, cannotBe: "locked", errno) }
            }
            // Without a name it was removed meanwhile, and others lock another.
            if let status = FileStatus(of: file), status.links > 0 { return lock }
        }
    }

    /// Locks a file that is there; `nil` if another process holds its lock for a second. A program that is being started has
    /// the locks of its parent for a moment.
    package func tryLock(_ name: String) throws(FileError) -> LockFile? {
        let file = try open(name)
        let lock = LockFile(file)
        for _ in 0..<100 {
            if flock(file, LOCK_EX | LOCK_NB) == 0 { return lock }
            usleep(10_000)
        }
        return nil
    }

    /// Removes a file unless another process holds its lock. The condition is evaluated while it is locked here.
    package func removeUnlocked(_ name: String, if condition: () -> Bool = { true }) {
        // A process that opened it before it was removed notices once it holds the lock.
        if let lock = try? tryLock(name), condition() { withExtendedLifetime(lock) { _ = unlink(name) } }
    }
}
