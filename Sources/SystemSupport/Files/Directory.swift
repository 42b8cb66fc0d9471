// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// An open directory. Everything in it is reached through its descriptor, so that it cannot be exchanged meanwhile, and every
/// name is one component: no file outside of it is ever touched.
package final class Directory: Sendable {
    /// What a directory is opened for.
    package enum Use: Sendable {
        /// To read what is there. Any owner is accepted.
        case reading
        /// To change what is there: it must be this user's own, and not writable by others.
        case writing
        /// To set right what others could change: as ``writing``, but its permissions may be too wide.
        case repairing
        /// A place that the user named for a new file. It may be a link and shared, as `/tmp` is.
        case output
    }

    /// The path as the user gave it, for messages.
    package let path: String

    /// The open directory. The caller keeps this value alive while it uses the descriptor.
    package let descriptor: CInt

    /// Opens a directory. A symbolic link in its place is refused, unless it is for ``Use/output``.
    ///
    /// - Parameters:
    ///   - path: The directory.
    ///   - use: What for.
    /// - Throws: ``FileError`` naming the directory and the rule.
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
                .kind, "\"\(printable(path))\" is \(kind?.noun ?? "no directory"), where a directory is wanted",
                hint: kind == .link ? "name the directory itself: realpath \(Quoting.shell(path))" : nil)
        }
        guard use == .writing || use == .repairing else { return }
        guard let status = FileStatus(of: descriptor) else { throw FileError(path, cannotBe: "opened", errno) }
        try Self.check(status, path, called: "the directory ", ignoresMode: use == .repairing)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Refuses what belongs to another user, or can be written by others.
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
    /// never created: as root with `HOME=/nonexistent`, files would be written where nobody looks for them.
    ///
    /// - Parameter path: The directory.
    /// - Throws: ``FileError`` naming the directory.
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

    /// Makes a directory that no other user can look into, mode 0700 whatever the umask, under a name that is new.
    ///
    /// - Parameters:
    ///   - prefix: What the name begins with.
    ///   - parent: Where.
    /// - Returns: The directory.
    /// - Throws: ``FileError`` naming the parent.
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

    /// Opens a directory in this one, for the same use.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - use: What for.
    ///   - creates: Whether it is made, mode 0700, when it is not there.
    /// - Returns: The directory; `nil` when it is not there and is not to be made.
    /// - Throws: ``FileError`` naming it and the rule.
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

    /// What the system says of the directory itself.
    package var status: FileStatus? { FileStatus(of: descriptor) }

    /// What has a name here, without following a link; `nil` when nothing has.
    package func status(of name: String) -> FileStatus? {
        FilePath.isComponent(name) ? FileStatus(name, in: descriptor) : nil
    }

    /// Whether anything has a name here.
    package func contains(_ name: String) -> Bool { status(of: name) != nil }

    /// The names here, in no order, without `.` and `..`.
    ///
    /// - Throws: ``FileError`` when they cannot be read.
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

    /// Opens a regular file for reading. A link, a pipe, a device, a socket or a directory is refused without being read.
    ///
    /// - Parameter name: The file.
    /// - Returns: The descriptor, which the caller closes.
    /// - Throws: ``FileError`` naming the file and the rule.
    package func open(_ name: String) throws(FileError) -> CInt {
        try check(name)
        let file = unsafe openat(descriptor, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
        guard file >= 0 else { throw FileError(path(of: name), cannotBe: "read", errno) }
        guard let kind = FileStatus(of: file)?.kind, kind == .regular else {
            let noun = FileStatus(of: file)?.kind.noun ?? "nothing"
            close(file)
            throw FileError(.kind, "\"\(printable(path(of: name)))\" is \(noun), where a file is wanted")
        }
        return file
    }

    /// Reads a regular file.
    ///
    /// - Parameters:
    ///   - name: The file.
    ///   - rule: Who may be able to read and write it.
    ///   - limit: The most bytes that it may have.
    /// - Returns: The contents.
    /// - Throws: ``FileError`` naming the file and the rule.
    package func read(
        _ name: String, _ rule: FileContents.Rule = .anyone, limit: Int = FileContents.limit
    ) throws(FileError) -> FileContents {
        let file = try open(name)
        defer { close(file) }
        return try FileContents(descriptor: file, name: path(of: name), rule, limit: limit)
    }

    // MARK: - Changing

    /// Makes a file that must not be there, and brings its contents to the disk. It never has a wider mode than it ends with.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - contents: The contents.
    ///   - mode: The permissions, whatever the umask.
    /// - Throws: ``FileError`` naming the file.
    package func create(_ name: String, _ contents: SecretBytes, mode: UInt32) throws(FileError) {
        try check(name)
        let path = path(of: name)
        let output = unsafe openat(descriptor, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode & 0o600)
        guard output >= 0 else { throw FileError(path, cannotBe: "written", errno) }
        defer { close(output) }
        let reason = writeAll(contents, to: output)
        guard reason == 0 else { throw FileError(path, cannotBe: "written", reason) }
        guard fchmod(output, mode) == 0, fsync(output) == 0 else { throw FileError(path, cannotBe: "written", errno) }
    }

    /// Gives a file another name, in place of whatever regular file has it.
    ///
    /// - Parameters:
    ///   - name: The file here.
    ///   - newName: Its new name.
    ///   - directory: Where; here when `nil`.
    /// - Throws: ``FileError``; also when something that is no regular file has the name.
    package func rename(_ name: String, to newName: String, in directory: Directory? = nil) throws(FileError) {
        let directory = directory ?? self
        try check(name)
        try directory.check(newName)
        try directory.checkReplaceable(newName)
        guard unsafe renameat(descriptor, name, directory.descriptor, newName) == 0 else {
            throw FileError(directory.path(of: newName), cannotBe: "written", errno)
        }
    }

    /// Gives a file another name, which must be free, and takes the old one away.
    ///
    /// - Parameters:
    ///   - name: The file here.
    ///   - newName: Its new name.
    ///   - directory: Where; here when `nil`.
    /// - Throws: ``FileError`` with ``FileError/Code/exists`` when the name is taken.
    package func move(_ name: String, to newName: String, in directory: Directory? = nil) throws(FileError) {
        let target = directory ?? self
        do {
            // A hard link fails when the name is taken, where a plain rename would overwrite.
            try link(name, as: newName, in: target)
            unlink(name)
        } catch {
            guard [EPERM, EOPNOTSUPP, EMLINK, ENOSPC, EDQUOT].contains(error.number) else { throw error }
            // A file system without hard links, or without room for another: a lock keeps our own processes out.
            guard !target.contains(newName) else { throw FileError(target.path(of: newName), cannotBe: "made", EEXIST) }
            try rename(name, to: newName, in: target)
        }
    }

    /// Gives a regular file a second name, which must be free.
    package func link(_ name: String, as newName: String, in directory: Directory? = nil) throws(FileError) {
        let target = directory ?? self
        try check(name)
        try target.check(newName)
        if unsafe linkat(descriptor, name, target.descriptor, newName, 0) == 0 { return }
        throw FileError(target.path(of: newName), cannotBe: "made", errno)
    }

    /// Refuses a name that something else than a regular file of this user has.
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

    /// Refuses a name that is taken by anything but a regular file of this user, not writable by others. A free name is right.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - ignoresMode: Whether others may be able to write to it.
    /// - Throws: ``FileError`` naming the file and the rule, with the command that sets it right.
    package func checkOwn(_ name: String, ignoresMode: Bool = false) throws(FileError) {
        guard let status = status(of: name) else { return }
        let path = path(of: name)
        guard status.kind == .regular else {
            throw FileError(
                .kind, "\"\(printable(path))\" is \(status.kind.noun), where a file is wanted",
                hint: "find out who made it, and move it away: mv \(Quoting.shell(path)) ELSEWHERE")
        }
        try Self.check(status, path, ignoresMode: ignoresMode)
    }

    /// Why no file can be made here, found out by making one without a name: the system's number; `nil` when nothing is known to
    /// be in the way.
    package var obstacle: CInt? {
        if unsafe faccessat(descriptor, ".", W_OK | X_OK, AT_EACCESS) != 0 { return errno }
        // O_TMPFILE, which Swift does not import.
        let probe = unsafe openat(descriptor, ".", O_WRONLY | O_DIRECTORY | 0o20000000 | O_CLOEXEC, 0o600)
        if probe < 0 { return errno == EOPNOTSUPP || errno == EISDIR ? nil : errno }
        close(probe)
        return nil
    }

    /// Takes a name away. What is no regular file stays.
    ///
    /// - Returns: Whether it was there.
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
            // Its owner may have no right to read it.
            guard status(of: name)?.kind == .regular, unsafe fchmodat(descriptor, name, mode, 0) == 0 else {
                throw FileError(path(of: name), cannotBe: "given mode 0\(String(mode, radix: 8))", errno)
            }
            return
        }
        defer { close(file) }
        guard fchmod(file, mode) == 0 else {
            throw FileError(path(of: name), cannotBe: "given mode 0\(String(mode, radix: 8))", errno)
        }
    }

    /// Brings the names here to the disk.
    package func synchronize() throws(FileError) {
        // EINVAL: a file system that cannot bring directories to the disk.
        guard fsync(descriptor) == 0 || errno == EINVAL else {
            throw FileError(path, cannotBe: "brought to the disk", errno)
        }
    }

    /// Locks the directory for as long as this value is there, unless somebody else has it locked.
    ///
    /// - Returns: Whether it is locked now.
    /// - Throws: ``FileError`` when the file system has no locks.
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

    /// Gives the lock back.
    package func unlock() { flock(descriptor, LOCK_UN) }
}
