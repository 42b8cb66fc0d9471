// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A file that is written completely before it gets its name. If the value is released before that, no file is left.
package final class NewFile {
    package enum Replacement: Sendable {
        /// An existing file is an error: ``FileError/Code/exists``.
        case never
        /// An existing regular file is replaced.
        case always
    }

    /// The prefix of temporary names. The holder of the directory's lock may remove such files.
    package static let temporaryPrefix = ".pki-new."

    private let directory: Directory
    private let name: String
    private let replacement: Replacement
    private var temporary: String?
    private var isNamed = false

    /// The open file, to write to.
    package let descriptor: CInt

    /// Creates the file with mode 0600; without a name until ``place()`` if `isNameless` and the file system can do that.
    package init(
        _ name: String, in directory: Directory, replacing replacement: Replacement, isNameless: Bool = true
    ) throws(FileError) {
        self.directory = directory
        self.name = name
        self.replacement = replacement
        guard FilePath.isComponent(name) else {
            throw FileError(.kind, "\"\(printable(directory.path(of: name)))\" is not the path of a file")
        }
        switch replacement {
        case .never: if directory.contains(name) { throw Self.taken(name, in: directory) }
        case .always: try directory.checkReplaceable(name)
        }
        var file: CInt = -1
        // O_TMPFILE, which Swift does not import.
        if isNameless {
            file = unsafe openat(directory.descriptor, ".", O_WRONLY | O_DIRECTORY | 0o20000000 | O_CLOEXEC, 0o600)
        }
        if file < 0 {
            let other = Self.temporaryName(for: name)
            // Left behind by a process of the same number.
            directory.unlink(other)
            file = unsafe openat(
                directory.descriptor, other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
            temporary = other
        }
        descriptor = file
        guard file >= 0 else {
            let reason = errno
            temporary = nil
            throw FileError(directory.path(of: name), cannotBe: "written", reason)
        }
        guard fchmod(file, 0o600) == 0 else { throw failure(errno) }
    }

    deinit {
        if let temporary, !isNamed { directory.unlink(temporary) }
        if descriptor >= 0 { close(descriptor) }
    }

    /// Writes a whole file, or leaves what was there unchanged. It has the mode whatever the umask.
    package static func write(
        _ name: String, in directory: Directory, _ contents: SecretBytes, mode: UInt32 = 0o600,
        replacing replacement: Replacement
    ) throws(FileError) {
        let file = try NewFile(name, in: directory, replacing: replacement)
        try file.write(contents)
        try file.finish(mode: mode)
        try file.place()
    }

    /// Appends contents.
    package func write(_ contents: SecretBytes) throws(FileError) {
        let reason = writeAll(contents, to: descriptor)
        guard reason == 0 else { throw failure(reason) }
    }

    /// Sets the mode and syncs the contents to disk.
    package func finish(mode: UInt32 = 0o600) throws(FileError) {
        guard fchmod(descriptor, mode) == 0, fsync(descriptor) == 0 else { throw failure(errno) }
    }

    /// Sets the owner and group as far as the system allows. Returns whether the file has both.
    package func setOwner(_ owner: UInt32, group: UInt32) throws(FileError) -> Bool {
        guard let own = FileStatus(of: descriptor) else { throw failure(errno) }
        if geteuid() == 0, own.owner != owner || own.group != group {
            guard fchown(descriptor, owner, group) == 0 else { throw failure(errno) }
            return true
        }
        if own.group != group, fchown(descriptor, uid_t.max, group) != 0 { return false }
        return true
    }

    /// Gives the file its name, and syncs the name to disk.
    package func place() throws(FileError) {
        switch replacement {
        case .never: try placeWhereNothingIs()
        case .always:
            if temporary == nil {
                let other = Self.temporaryName(for: name)
                directory.unlink(other)
                guard link(as: other) == 0 else { throw failure(errno) }
                temporary = other
            }
            guard let temporary else { return }
            try directory.rename(temporary, to: name)
            isNamed = true
        }
        do {
            try directory.synchronize()
        } catch {
            takeBack()
            throw error
        }
    }

    private func placeWhereNothingIs() throws(FileError) {
        if link(as: name) == 0 { return }
        let reason = errno
        if reason == EEXIST { throw Self.taken(name, in: directory) }
        // A file system without hard links has the file under its temporary name.
        guard let temporary, reason == EPERM || reason == EOPNOTSUPP else { throw failure(reason) }
        guard !directory.contains(name) else { throw Self.taken(name, in: directory) }
        try directory.rename(temporary, to: name)
        isNamed = true
    }

    /// Removes the file after it got its name, unless it replaced another.
    package func takeBack() {
        if replacement == .never { directory.unlink(name) }
    }

    /// Adds a name, which must be free.
    private func link(as name: String) -> CInt {
        guard let temporary else {
            return unsafe linkat(AT_FDCWD, "/proc/self/fd/\(descriptor)", directory.descriptor, name, AT_SYMLINK_FOLLOW)
        }
        return unsafe linkat(directory.descriptor, temporary, directory.descriptor, name, 0)
    }

    private static func taken(_ name: String, in directory: Directory) -> FileError {
        FileError(
            .exists, "\(printable(directory.path(of: name))) exists already and is not overwritten", number: EEXIST)
    }

    private func failure(_ reason: CInt) -> FileError {
        FileError(directory.path(of: name), cannotBe: "written", reason)
    }

    private static func temporaryName(for name: String) -> String {
        // As much of a name as any file system takes.
        String(decoding: "\(temporaryPrefix)\(getpid()).\(name)".utf8.prefix(200), as: UTF8.self)
    }
}

/// Writes all bytes to an open file at its current position. Returns 0 or the value of `errno`.
package func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: CInt) -> CInt {
    var position = 0
    while position < bytes.count {
        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[position...])
        let count = unsafe write(descriptor, rest.baseAddress, rest.count)
        if count < 0, errno == EINTR { continue }
        // A file that takes nothing and does not say why.
        guard count != 0 else { return EIO }
        guard count > 0 else { return errno }
        position += count
    }
    return 0
}

package func writeAll(_ bytes: [UInt8], to descriptor: CInt) -> CInt {
    unsafe bytes.withUnsafeBytes { unsafe writeAll($0, to: descriptor) }
}

/// Writes a secret without a copy of it.
package func writeAll(_ secret: SecretBytes, to descriptor: CInt) -> CInt {
    unsafe secret.withUnsafeBytes { unsafe writeAll($0, to: descriptor) }
}
