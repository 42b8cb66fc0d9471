// SPDX-License-Identifier: Apache-2.0

internal import Certificates
internal import Glibc
import SystemSupport

/// The folder of a cache, opened without following a link, and found to be the user's own.
final class CacheFolder {
    /// What temporary names begin with.
    static let temporaryPrefix = ".pki-new."

    private let path: String
    private let descriptor: CInt

    /// The largest file that is read. One entry has two or three thousand bytes.
    private static let limit = 1 << 18

    /// Opens a folder; nothing comes of it when it is not there and is not to be made.
    ///
    /// - Parameters:
    ///   - path: The folder. Neither it nor the one above it may be a link or someone else's; those further up may.
    ///   - creates: Whether to make it, with mode 0700, when it is not there.
    /// - Throws: ``DeliveryError`` naming the folder and the rule.
    init?(_ path: String, creates: Bool) throws(DeliveryError) {
        let parts = path.split(separator: "/")
        guard path.hasPrefix("/"), parts.count >= 2 else {
            throw DeliveryError(.invalidArgument, "the cache folder \"\(path)\" is not an absolute path below a folder")
        }
        let base = "/" + parts.dropLast(2).joined(separator: "/")
        if creates { try PrivateFolder.make(base) }
        var current = unsafe open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        var opened = base
        for part in parts.suffix(2) {
            guard current >= 0 else { break }
            let above = current
            defer {
                let reason = errno
                close(above)
                errno = reason
            }
            opened = opened == "/" ? "/\(part)" : "\(opened)/\(part)"
            let name = String(part)
            if creates, unsafe mkdirat(above, name, 0o700) != 0, errno != EEXIST {
                throw DeliveryError(.storage, "the folder \(opened) cannot be made: \(systemErrorText(errno))")
            }
            let next = unsafe openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            let reason = errno
            if next >= 0 {
                do {
                    try Self.check(next, opened)
                } catch {
                    close(next)
                    throw error
                }
            } else if reason == ELOOP || reason == ENOTDIR {
                throw DeliveryError(
                    .unsafePlace,
                    "\(opened) is a link or no folder, and credentials are not kept behind one",
                    remedy: "remove it, or set XDG_CACHE_HOME to another folder"
                )
            }
            current = next
            errno = reason
        }
        guard current >= 0 else {
            if errno == ENOENT, !creates { return nil }
            throw DeliveryError(.storage, "the folder \(opened) cannot be opened: \(systemErrorText(errno))")
        }
        self.path = path
        descriptor = current
    }

    deinit { close(descriptor) }

    private static func check(_ descriptor: CInt, _ path: String) throws(DeliveryError) {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else {
            throw DeliveryError(.storage, "the folder \(path) cannot be examined: \(systemErrorText(errno))")
        }
        guard status.st_uid == geteuid() else {
            throw DeliveryError(
                .unsafePlace,
                "the folder \(path) belongs to user \(status.st_uid), and this is user \(geteuid())",
                remedy: "set XDG_CACHE_HOME to a folder of one's own; sudo may have kept another user's HOME"
            )
        }
        guard status.st_mode & 0o022 == 0 else {
            throw DeliveryError(
                .unsafePlace,
                "others may write to the folder \(path) (mode 0\(String(status.st_mode & 0o777, radix: 8)))",
                remedy: "remove it with what is in it, or chmod 700 \(path)"
            )
        }
        if status.st_mode & 0o777 != 0o700 { fchmod(descriptor, 0o700) }
    }

    /// The names of the files.
    func names() throws(DeliveryError) -> [String] {
        let copy = unsafe openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let listing = unsafe fdopendir(copy) else {
            throw DeliveryError(.storage, "the folder \(path) cannot be read: \(systemErrorText(errno))")
        }
        defer { unsafe closedir(listing) }
        var names: [String] = []
        while let entry = unsafe readdir(listing) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                unsafe tuple.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Reads a file; nothing when it is not there, is not the user's own, or others may read it.
    func read(_ name: String) -> [UInt8]? {
        let file = unsafe openat(descriptor, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        return Self.isOwn(file) ? Self.contents(of: file) : nil
    }

    /// Puts a file in place of another, whole.
    func write(_ name: String, _ contents: [UInt8]) throws(DeliveryError) {
        let temporary = "\(Self.temporaryPrefix)\(getpid()).\(name)"
        unsafe unlinkat(descriptor, temporary, 0)
        let file = unsafe openat(descriptor, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        var isWritten = false
        if file >= 0 {
            // After a crash of the machine the file is whole or does not count: it has a last line.
            isWritten = fchmod(file, 0o600) == 0 && writeAll(contents, to: file) == 0 && fsync(file) == 0
            close(file)
        }
        guard isWritten, unsafe renameat(descriptor, temporary, descriptor, name) == 0 else {
            let reason = errno
            unsafe unlinkat(descriptor, temporary, 0)
            throw DeliveryError(.storage, "\(path)/\(name) cannot be written: \(systemErrorText(reason))")
        }
    }

    /// Removes a file.
    ///
    /// - Returns: Whether it was there.
    func remove(_ name: String) -> Bool { unsafe unlinkat(descriptor, name, 0) == 0 }

    /// Removes a lock, or what is left of a write, unless somebody holds it.
    ///
    /// - Parameters:
    ///   - name: The file.
    ///   - condition: Whether to remove it, asked while it is locked.
    func removeUnlocked(_ name: String, if condition: () -> Bool = { true }) {
        let file = unsafe openat(descriptor, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { return }
        defer { close(file) }
        // Whoever opened it before it was removed finds out once he holds the lock: see `lock`.
        if flock(file, LOCK_EX | LOCK_NB) == 0, condition() { unsafe unlinkat(descriptor, name, 0) }
    }

    /// Waits until nobody else holds a lock, and holds it until the value goes.
    func lock(_ name: String) throws(DeliveryError) -> Lock {
        while true {
            let file = unsafe openat(descriptor, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0o600)
            guard file >= 0 else {
                throw DeliveryError(.storage, "\(path)/\(name) cannot be made: \(systemErrorText(errno))")
            }
            guard Self.isOwn(file) else {
                close(file)
                throw DeliveryError(
                    .unsafePlace,
                    "\(path)/\(name) is no file of one's own that others cannot write to",
                    remedy: "remove it"
                )
            }
            while flock(file, LOCK_EX) != 0 {
                guard errno == EINTR else {
                    let reason = errno
                    close(file)
                    throw DeliveryError(.storage, "\(path)/\(name) cannot be locked: \(systemErrorText(reason))")
                }
            }
            var status = stat()
            if unsafe fstat(file, &status) == 0, status.st_nlink > 0 { return Lock(file) }
            // It was removed by whoever cleared the cache; the one that others see now is another.
            close(file)
        }
    }

    /// A lock that is held.
    final class Lock {
        private let descriptor: CInt

        init(_ descriptor: CInt) { self.descriptor = descriptor }

        deinit { close(descriptor) }

        /// What the last holder wrote down.
        var text: String {
            get {
                lseek(descriptor, 0, SEEK_SET)
                return String(decoding: CacheFolder.contents(of: descriptor) ?? [], as: UTF8.self)
            }
            set {
                guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else { return }
                _ = writeAll(Array(newValue.utf8), to: descriptor)
            }
        }
    }

    private static func isOwn(_ file: CInt) -> Bool {
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else { return false }
        return status.st_mode & S_IFMT == S_IFREG && status.st_uid == geteuid() && status.st_mode & 0o077 == 0
    }

    private static func contents(of file: CInt) -> [UInt8]? {
        var contents: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 8192)
        while true {
            let count = unsafe Glibc.read(file, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return contents }
            contents += buffer.prefix(count)
            guard contents.count <= limit else { return nil }
        }
    }
}
