// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// What stood in a file when it was read, and how to tell whether the file has changed since.
///
/// Every file that may hold a key is read here: into memory that is wiped, and, where it is the key that is wanted, only
/// when only its owner can use it.
package struct FileContents: Sendable {
    /// Who may be able to use the file. What is no regular file, such as a pipe, has no such rule.
    package enum Rule: Sendable {
        /// Anybody.
        case anyone
        /// Its owner alone, who must be this process's user or root, as is right for a secret.
        case ownerOnly
    }

    /// What the file is called in messages.
    package let name: String

    /// The contents.
    package let bytes: SecretBytes

    /// The file that was read; `nil` if it was a pipe or a terminal, or was inherited open.
    package let stamp: FileStamp?

    /// The largest file that is read. A certificate has a few thousand bytes, a CRL at most some hundred thousand.
    package static let limit = 4 << 20

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - rule: Who may be able to read it.
    ///   - limit: The most bytes that it may have.
    /// - Throws: ``FileError`` naming the file and the rule.
    package init(of path: String, _ rule: Rule = .anyone, limit: Int = FileContents.limit) throws(FileError) {
        // Who can turn a link around chooses the secret.
        if rule == .ownerOnly { _ = try FilePath.followingLinks(path) }
        // Without waiting: a pipe without a writer is waited for below, for a limited time.
        let descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else {
            let reason = errno
            if reason == ENXIO { throw FileError(.kind, "\"\(printable(path))\" is a socket, where a file is wanted") }
            throw FileError(path, cannotBe: "read", reason)
        }
        defer { close(descriptor) }
        SecretOrigins.add(path: path)
        guard let status = FileStatus(of: descriptor) else { throw FileError(path, cannotBe: "read", errno) }
        guard status.kind != .regular, status.kind != .directory else {
            try self.init(descriptor: descriptor, name: path, rule, limit: limit)
            return
        }
        // What is no file can be read once, and is kept for the next read.
        let bytes = try SecretOrigins.bytes(of: status, handedOverAs: nil) { () throws(FileError) in
            try Self.awaitContents(of: descriptor, path)
            return try Self.read(descriptor, name: path, expected: 0, limit: limit)
        }
        self.init(name: path, bytes: bytes, stamp: nil)
    }

    private init(name: String, bytes: SecretBytes, stamp: FileStamp?) {
        (self.name, self.bytes, self.stamp) = (name, bytes, stamp)
    }

    /// Reads a file that another process has handed over open, once; later reads return the same bytes.
    ///
    /// - Parameters:
    ///   - descriptor: The open file; it stays open, and no child process gets it.
    ///   - name: What it is called in messages.
    ///   - rule: Who may be able to read it.
    /// - Throws: ``FileError`` naming the file and the rule.
    package init(handedOver descriptor: CInt, name: String, _ rule: Rule = .anyone) throws(FileError) {
        SecretOrigins.add(descriptor: descriptor)
        guard let status = FileStatus(of: descriptor) else { throw FileError(name, cannotBe: "read", errno) }
        let bytes = try SecretOrigins.bytes(of: status, handedOverAs: descriptor) { () throws(FileError) in
            try FileContents(descriptor: descriptor, name: name, rule).bytes
        }
        self.init(name: name, bytes: bytes, stamp: nil)
    }

    /// Reads what was a regular file when the directory was listed. Anything else is refused without waiting.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - followsLinks: Whether a symbolic link at the end of the path is followed.
    ///   - limit: The most bytes that it may have.
    /// - Throws: ``FileError`` naming the file and the rule.
    package init(regular path: String, followsLinks: Bool, limit: Int = FileContents.limit) throws(FileError) {
        let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (followsLinks ? 0 : O_NOFOLLOW)
        let descriptor = unsafe Glibc.open(path, flags)
        guard descriptor >= 0 else { throw FileError(path, cannotBe: "read", errno) }
        defer { close(descriptor) }
        guard FileStatus(of: descriptor)?.kind == .regular else {
            throw FileError(.kind, "\"\(printable(path))\" is not a regular file")
        }
        try self.init(descriptor: descriptor, name: path, limit: limit)
    }

    /// Waits until somebody has written to a pipe, and lets what follows wait for the rest. A pipe that this process was given may
    /// stay empty for two minutes: somebody may have to type what comes through it. One that lies in a directory has four
    /// seconds, since it may be hostile.
    private static func awaitContents(of descriptor: CInt, _ path: String) throws(FileError) {
        if FileStatus(of: descriptor)?.kind == .pipe {
            let isGiven = ["/dev/fd/", "/dev/std", "/proc/self/fd/"].contains { path.hasPrefix($0) }
            let seconds: CInt = isGiven ? 120 : 4
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            while unsafe poll(&waiting, 1, seconds * 1000) < 0, errno == EINTR {}
            guard waiting.revents != 0 else {
                throw FileError(
                    .kind, "\"\(printable(path))\" is a pipe, and nothing was written to it for \(seconds) seconds")
            }
        }
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
    }

    /// Reads an open file from its current position to its end.
    ///
    /// - Parameters:
    ///   - descriptor: The open file; it stays open.
    ///   - name: What it is called in messages.
    ///   - rule: Who may be able to read it.
    ///   - limit: The most bytes that it may have.
    /// - Throws: ``FileError`` naming the file and the rule.
    package init(
        descriptor: CInt, name: String, _ rule: Rule = .anyone, limit: Int = FileContents.limit
    ) throws(FileError) {
        guard let status = FileStatus(of: descriptor) else { throw FileError(name, cannotBe: "read", errno) }
        let isRegular = status.kind == .regular
        if status.kind == .directory {
            throw FileError(.kind, "\"\(printable(name))\" cannot be read: it is a directory")
        }
        if rule == .ownerOnly, isRegular { try Self.refuseShared(status, name) }
        self.name = name
        bytes = try Self.read(descriptor, name: name, expected: isRegular ? status.size : 0, limit: limit)
        stamp = isRegular ? status.stamp : nil
    }

    /// Refuses a secret that others can use, or that somebody else wrote.
    private static func refuseShared(_ status: FileStatus, _ name: String) throws(FileError) {
        if status.mode & 0o077 != 0 {
            throw FileError(
                .unprotected,
                "\"\(printable(name))\" can be used by others than its owner: its mode is \(status.modeText), "
                    + "where 0600 or less is wanted for a secret",
                hint: "run chmod 600 on it; a secret that others could read is better replaced")
        }
        if status.owner != geteuid(), status.owner != 0 {
            throw FileError(
                .foreign,
                "\"\(printable(name))\" belongs to user \(status.owner), who knows what is in it; this is user \(geteuid())",
                hint: "make a copy of your own: install -m 600 \(Quoting.shell(name)) NEW")
        }
    }

    /// Reads to the end, into memory that grows without leaving a copy behind.
    private static func read(
        _ descriptor: CInt, name: String, expected: Int, limit: Int
    ) throws(FileError) -> SecretBytes {
        var capacity = max(4096, min(expected, limit) + 1)
        var bytes = SecretBytes([])
        while true {
            let before = bytes
            var reason: CInt = 0
            var isAtEnd = false
            bytes = unsafe SecretBytes(capacity: capacity) { buffer in
                unsafe before.withUnsafeBytes { unsafe UnsafeMutableRawBufferPointer(buffer).copyMemory(from: $0) }
                var count = before.count
                while count < capacity, let base = buffer.baseAddress {
                    let received = unsafe Glibc.read(descriptor, base + count, capacity - count)
                    if received < 0, errno == EINTR { continue }
                    if received < 0 { reason = errno }
                    isAtEnd = received <= 0
                    if isAtEnd { break }
                    count += received
                }
                return count
            }
            guard reason == 0 else { throw FileError(name, cannotBe: "read", reason) }
            guard bytes.count <= limit else {
                let size = limit >= 1 << 20 ? "\(limit >> 20) MiB" : "\(limit >> 10) KiB"
                throw FileError(.system, "\"\(printable(name))\" cannot be read: it is larger than \(size)")
            }
            if isAtEnd { return bytes }
            capacity = min(capacity * 4, limit + 1)
        }
    }

    /// Whether the path still leads to the same file, unchanged.
    package var isCurrent: Bool { stamp.map { FileStamp(at: name) == $0 } ?? true }
}
