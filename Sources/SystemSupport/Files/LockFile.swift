// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// A file that exists to be locked, and keeps a note for the next holder. The lock ends with the value.
package final class LockFile {
    private let descriptor: CInt

    fileprivate init(_ descriptor: CInt) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// What the last holder wrote down.
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
    /// Takes a lock, waiting for its holder, and holds it until the value goes.
    ///
    /// - Parameter name: The lock's file, which is made, mode 0600, when it is not there. It must be this user's alone.
    /// - Returns: The lock.
    /// - Throws: ``FileError`` naming the file and the rule.
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
                    .foreign, "\"\(printable(path))\" cannot be locked: it is no file that this user alone can use",
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

    /// Removes a lock, or what is left of a write, unless somebody holds it.
    ///
    /// - Parameters:
    ///   - name: The file.
    ///   - condition: Whether to remove it, asked while it is locked.
    package func removeUnlocked(_ name: String, if condition: () -> Bool = { true }) {
        guard let file = try? open(name) else { return }
        defer { close(file) }
        // A process that opened it before it was removed notices once it holds the lock.
        if flock(file, LOCK_EX | LOCK_NB) == 0, condition() { unlink(name) }
    }
}
