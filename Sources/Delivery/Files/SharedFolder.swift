// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import SystemSupport

/// The folder of a file that several programs change, locked for as long as the value lives.
final class SharedFolder {
    private let target: SharedFileTarget
    private let descriptor: CInt

    /// What temporary names begin with. Whoever holds the lock may remove every file of such a name, as in the folder of a
    /// certificate authority.
    private static let temporaryPrefix = ".pki-new."

    /// Finds the folder of a file, makes it when it is missing, and waits until nobody else has it locked.
    ///
    /// - Parameter path: The file, or a symbolic link to it.
    /// - Returns: The folder.
    /// - Throws: ``DeliveryError`` naming the file or the folder and what the system says.
    static func locked(for path: String) throws(DeliveryError) -> SharedFolder {
        // Who held the lock may have moved the link or the folder meanwhile.
        for _ in 1...16 {
            let target = try SharedFileTarget(path)
            let folder = try SharedFolder(locking: target)
            if folder.isStillInPlace, try SharedFileTarget(path) == target {
                folder.removeAbandonedFiles()
                return folder
            }
        }
        throw DeliveryError(.storage, "\(path) leads somewhere else each time it is looked at")
    }

    /// Opens and locks the folder.
    ///
    /// The lock is one of the open descriptor, and each value opens its own: it keeps threads apart as well as processes, and
    /// ends with its holder.
    private init(locking target: SharedFileTarget) throws(DeliveryError) {
        self.target = target
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC
        var descriptor = unsafe open(target.folder, flags)
        if descriptor < 0, errno == ENOENT {
            try PrivateFolder.make(target.folder)
            descriptor = unsafe open(target.folder, flags)
        }
        guard descriptor >= 0 else {
            throw DeliveryError(
                .storage,
                "\(target.path) cannot be written: the folder \(target.folder) cannot be opened: "
                    + systemErrorText(errno)
            )
        }
        self.descriptor = descriptor
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else {
                throw DeliveryError(
                    .storage,
                    "\(target.path) cannot be written: the folder \(target.folder) cannot be locked: "
                        + systemErrorText(errno)
                )
            }
        }
    }

    deinit { close(descriptor) }

    /// Whether the path of the folder still leads to it.
    private var isStillInPlace: Bool {
        var own = stat()
        var there = stat()
        guard unsafe fstat(descriptor, &own) == 0, unsafe stat(target.folder, &there) == 0 else { return false }
        return own.st_dev == there.st_dev && own.st_ino == there.st_ino
    }

    /// Reads the file.
    ///
    /// - Returns: The contents; nothing when there is no such file.
    /// - Throws: ``DeliveryError`` naming the file and what the system says.
    func read() throws(DeliveryError) -> SharedFileContents? {
        let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW
        let file = unsafe openat(descriptor, target.name, flags)
        guard file >= 0 else {
            let reason = errno
            if reason == ENOENT { return nil }
            throw DeliveryError(.storage, "\(target.path) cannot be read: \(systemErrorText(reason))")
        }
        defer { close(file) }
        return try SharedFileContents(reading: file, path: target.path)
    }

    /// Puts a file with new contents in the place of the old one, and brings both contents and name to the disk.
    ///
    /// - Parameters:
    ///   - old: The file that is replaced, whose owner and group the new one gets when the system lets it.
    ///   - contents: The contents.
    ///   - mode: The permissions.
    /// - Returns: Whether that was done. It is not when another file is there now than the old one.
    /// - Throws: ``DeliveryError`` naming the file and what the system says. The old file is then as it was, unless only the
    ///   name of the new one could not be brought to the disk.
    func replace(_ old: SharedFileContents?, by contents: [UInt8], mode: mode_t) throws(DeliveryError) -> Bool {
        let temporary = "\(Self.temporaryPrefix)\(getpid()).0"
        var isNamed = false
        defer { if !isNamed { unsafe unlinkat(descriptor, temporary, 0) } }
        try write(contents, mode: mode, old: old, as: temporary)
        guard version == old?.version else { return false }
        guard unsafe renameat(descriptor, temporary, descriptor, target.name) == 0 else { throw failure(errno) }
        isNamed = true
        // EINVAL: a file system that cannot bring folders to the disk.
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw failure(errno) }
        return true
    }

    /// The version of the file that is there now.
    private var version: SharedFileVersion? {
        var status = stat()
        guard unsafe fstatat(descriptor, target.name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return nil }
        return SharedFileVersion(status)
    }

    private func write(
        _ contents: [UInt8],
        mode: mode_t,
        old: SharedFileContents?,
        as temporary: String
    ) throws(DeliveryError) {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
        let output = unsafe openat(descriptor, temporary, flags, 0o600)
        guard output >= 0 else { throw failure(errno) }
        defer { close(output) }
        let reason = writeAll(contents, to: output)
        guard reason == 0 else { throw failure(reason) }
        let allowed = try hand(output, to: old, mode: mode)
        guard fchmod(output, allowed) == 0, fsync(output) == 0 else { throw failure(errno) }
    }

    /// Gives a new file the owner and group of the old one.
    ///
    /// - Returns: The permissions that it may have then: none for a group that is not the one that had them.
    private func hand(_ output: CInt, to old: SharedFileContents?, mode: mode_t) throws(DeliveryError) -> mode_t {
        var status = stat()
        guard let old else { return mode }
        guard unsafe fstat(output, &status) == 0 else { throw failure(errno) }
        if geteuid() == 0, status.st_uid != old.owner || status.st_gid != old.group {
            guard fchown(output, old.owner, old.group) == 0 else { throw failure(errno) }
            return mode
        }
        if status.st_gid != old.group, fchown(output, uid_t.max, old.group) != 0 { return mode & ~0o070 }
        return mode
    }

    private func failure(_ reason: CInt) -> DeliveryError { target.failure(reason) }

    /// Removes what a process that was killed left behind: files that never got their names.
    private func removeAbandonedFiles() {
        let copy = unsafe openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0 else { return }
        guard let listing = unsafe fdopendir(copy) else {
            close(copy)
            return
        }
        defer { unsafe closedir(listing) }
        while let entry = unsafe readdir(listing) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                unsafe tuple.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name.hasPrefix(Self.temporaryPrefix) { unsafe unlinkat(descriptor, name, 0) }
        }
    }
}
