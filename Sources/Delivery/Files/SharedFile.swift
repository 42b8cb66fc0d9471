// SPDX-License-Identifier: Apache-2.0

internal import Certificates
internal import Glibc
internal import Synchronization

/// A file that several programs change: an AWS config or credentials file.
///
/// It is changed under a lock that every `pki` shares and that ends with its holder, and replaced whole: whoever reads it
/// sees the old contents or the new ones. A symbolic link stays one; its target is replaced.
public struct SharedFile: Sendable {
    /// The path as it was given.
    public let path: String

    /// Keeps the threads of this process apart, which a lock on a descriptor of each does too, but for the signal mask.
    private static let turn = Mutex(())

    private static let temporaryPrefix = ".pki-new."
    private static let limit = 16 << 20

    /// Names a file, which need not exist.
    ///
    /// - Parameter path: The path.
    public init(path: String) {
        self.path = path
    }

    /// Reads the file.
    ///
    /// - Returns: The contents; nothing when there is no such file.
    /// - Throws: ``DeliveryError`` naming the file and what the system says.
    public func read() throws(DeliveryError) -> [UInt8]? { try contents(of: AT_FDCWD, path)?.bytes }

    /// Changes the file: reads it under the lock, and replaces it when the closure changed the contents.
    ///
    /// The folder is made with mode 0700 when it is missing; others above it too. The new contents are on the disk, name
    /// included, when this returns.
    ///
    /// - Parameters:
    ///   - isPrivate: Whether the file holds secrets: then it has mode 0600 afterwards whatever it had before. Otherwise it
    ///     keeps its mode. A file that is made has 0600.
    ///   - change: Is given the contents, empty when there is no file yet.
    /// - Throws: What the closure throws, or ``DeliveryError`` naming the file and what the system says; the file is then as
    ///   it was.
    public func update(isPrivate: Bool, _ change: (inout SharedConfiguration) throws -> Void) throws {
        let target = try target()
        try PrivateFolder.make(target.folder)
        let folder = unsafe open(target.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw failure("the folder \(target.folder) cannot be opened", errno) }
        defer { close(folder) }
        try Self.turn.withLock { _ in
            while flock(folder, LOCK_EX) != 0 {
                guard errno == EINTR else { throw failure("the folder \(target.folder) cannot be locked", errno) }
            }
            // The lock ends with the descriptor.
            let old = try contents(of: folder, target.name)
            var file = SharedConfiguration(old?.bytes ?? [])
            try change(&file)
            let mode = isPrivate ? 0o600 : old.map { $0.status.st_mode & 0o7777 } ?? 0o600
            if let old, old.bytes == file.bytes, old.status.st_mode & 0o7777 == mode { return }
            if old == nil, file.bytes.isEmpty { return }
            try replace(target.name, in: folder, by: file.bytes, mode: mode, owner: old?.status)
        }
    }

    /// Where links lead to in the end: the folder and the name in it.
    private func target() throws(DeliveryError) -> (folder: String, name: String) {
        var current = path
        for _ in 0..<40 {
            let slash = current.lastIndex(of: "/")
            let folder = slash.map { $0 == current.startIndex ? "/" : String(current[..<$0]) } ?? "."
            let name = slash.map { String(current[current.index(after: $0)...]) } ?? current
            guard !name.isEmpty, name != ".", name != ".." else {
                throw DeliveryError(.invalidArgument, "\"\(path)\" is not the path of a file")
            }
            var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
            let count = unsafe readlink(current, &buffer, buffer.count)
            guard count >= 0 else { return (folder, name) }
            let link = String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
            current = link.hasPrefix("/") ? link : "\(folder)/\(link)"
        }
        throw DeliveryError(.storage, "\(path) is a symbolic link that leads back to itself")
    }

    private func contents(
        of folder: CInt,
        _ name: String
    ) throws(DeliveryError) -> (bytes: [UInt8], status: stat)? {
        let file = unsafe openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else {
            let reason = errno
            if reason == ENOENT || reason == ENOTDIR && folder == AT_FDCWD { return nil }
            throw failure("\(path) cannot be read", reason)
        }
        defer { close(file) }
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else { throw failure("\(path) cannot be read", errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw DeliveryError(.storage, "\(path) is no regular file")
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe Glibc.read(file, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure("\(path) cannot be read", errno) }
            if count == 0 { return (bytes, status) }
            bytes += buffer.prefix(count)
            guard bytes.count <= Self.limit else {
                throw DeliveryError(.storage, "\(path) is larger than \(Self.limit >> 20) MiB")
            }
        }
    }

    private func replace(
        _ name: String,
        in folder: CInt,
        by bytes: [UInt8],
        mode: mode_t,
        owner: stat?
    ) throws(DeliveryError) {
        Self.removeAbandoned(in: folder)
        let temporary = "\(Self.temporaryPrefix)\(getpid())"
        let output = unsafe openat(
            folder,
            temporary,
            O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
            0o600
        )
        guard output >= 0 else {
            throw failure("\(path) cannot be replaced", errno, remedy: "its folder has to be writable")
        }
        var reason = Self.write(bytes, to: output)
        if reason == 0, let owner, geteuid() == 0, fchown(output, owner.st_uid, owner.st_gid) != 0 { reason = errno }
        if reason == 0, fchmod(output, mode) != 0 || fsync(output) != 0 { reason = errno }
        close(output)
        if reason == 0, unsafe renameat(folder, temporary, folder, name) != 0 { reason = errno }
        guard reason == 0 else {
            unsafe unlinkat(folder, temporary, 0)
            let isMounted = reason == EBUSY || reason == EXDEV
            throw failure(
                "\(path) cannot be replaced",
                reason,
                remedy: isMounted ? "it is mounted by itself: mount its folder instead" : nil
            )
        }
        guard fsync(folder) == 0 else { throw failure("\(path) cannot be brought to the disk", errno) }
    }

    private static func write(_ bytes: [UInt8], to file: CInt) -> CInt {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return errno == 0 ? ENOSPC : errno }
            rest = rest.dropFirst(count)
        }
        return 0
    }

    /// Removes what a process that was killed left behind. Whoever holds the lock is the only one who writes.
    private static func removeAbandoned(in folder: CInt) {
        let copy = unsafe openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let listing = unsafe fdopendir(copy) else { return }
        defer { unsafe closedir(listing) }
        while let entry = unsafe readdir(listing) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                unsafe tuple.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name.hasPrefix(temporaryPrefix) { unsafe unlinkat(folder, name, 0) }
        }
    }

    private func failure(_ what: String, _ reason: CInt, remedy: String? = nil) -> DeliveryError {
        DeliveryError(.storage, "\(what): \(systemErrorText(reason))", remedy: remedy)
    }
}
