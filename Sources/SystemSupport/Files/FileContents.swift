// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// The contents of a file, and how to tell whether it has changed since. Errors name the file and the rule it breaks.
///
/// Every file that may hold a key is read here: into memory that is wiped, and a secret only if only its owner can use it.
package struct FileContents: Sendable {
    /// Who may be able to use the file. Only regular files are checked.
    package enum Rule: Sendable {
        case anyone
        /// Those of ``SecretFile``.
        case ownerOnly
        /// Others than its owner, this user or root, must not be able to change it. It must be a regular file.
        case ownerWrites
    }

    /// What the file is called in messages.
    package let name: String

    /// The contents.
    package let bytes: SecretBytes

    /// The file that was read; `nil` if it was a pipe or a terminal, or was inherited open.
    package let stamp: FileStamp?

    /// The status of a regular file when it was read.
    private let status: FileStatus?

    /// The largest file that is read. A certificate has a few thousand bytes, a CRL at most some hundred thousand.
    package static let limit = 4 << 20

    package init(of path: String, _ rule: Rule = .anyone, limit: Int = FileContents.limit) throws(FileError) {
        if rule != .anyone { try SecretFile.checkLinks(path) }
        // Without waiting: a pipe without a writer is waited for below, for a limited time.
        let descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else {
            let reason = errno
            if reason == ENXIO {
                throw FileError(.kind, "\"\(printable(path))\" is a socket, where a file is expected")
            }
            throw FileError(path, cannotBe: "read", reason)
        }
        defer { close(descriptor) }
        SecretOrigins.add(path: path)
        guard let status = FileStatus(of: descriptor) else { throw FileError(path, cannotBe: "read", errno) }
        guard status.kind != .regular, status.kind != .directory else {
            try self.init(descriptor: descriptor, name: path, rule, limit: limit)
            return
        }
        guard rule != .ownerWrites else {
            throw FileError(.kind, "\"\(printable(path))\" is \(status.kind.noun), where a regular file is expected")
        }
        // A pipe can be read once; its bytes are kept for the next read.
        let bytes = try SecretOrigins.bytes(of: status, handedOverAs: nil) { () throws(FileError) in
            try Self.awaitContents(of: descriptor, path)
            return try Self.read(descriptor, name: path, expected: 0, limit: limit)
        }
        self.init(name: path, bytes: bytes, stamp: nil)
    }

    private init(name: String, bytes: SecretBytes, stamp: FileStamp?) {
        (self.name, self.bytes, self.stamp, status) = (name, bytes, stamp, nil)
    }

    /// Reads an inherited descriptor, once; later reads return the same bytes. It stays open, and no child process gets it.
    package init(handedOver descriptor: CInt, name: String, _ rule: Rule = .anyone) throws(FileError) {
        SecretOrigins.add(descriptor: descriptor)
        guard let status = FileStatus(of: descriptor) else { throw FileError(name, cannotBe: "read", errno) }
        let bytes = try SecretOrigins.bytes(of: status, handedOverAs: descriptor) { () throws(FileError) in
            try FileContents(descriptor: descriptor, name: name, isPath: false, rule).bytes
        }
        self.init(name: name, bytes: bytes, stamp: nil)
    }

    /// Reads a regular file. Anything else is refused without waiting.
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

    /// Waits for the first bytes of a pipe, and makes further reads block. An inherited pipe may stay empty for two minutes, because
    /// a person may have to type its contents; one in a directory may be hostile, and has four seconds.
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

    /// Reads an open file, which stays open, from its current position to its end. Without a path, no hint names one.
    package init(
        descriptor: CInt, name: String, isPath: Bool = true, _ rule: Rule = .anyone, limit: Int = FileContents.limit
    ) throws(FileError) {
        guard let status = FileStatus(of: descriptor) else { throw FileError(name, cannotBe: "read", errno) }
        let isRegular = status.kind == .regular
        if status.kind == .directory {
            throw FileError(.kind, "\"\(printable(name))\" cannot be read: it is a directory")
        }
        if isRegular {
            switch rule {
            case .anyone: break
            case .ownerOnly: try SecretFile.check(status, name, isPath: isPath)
            case .ownerWrites: try SecretFile.checkUnshared(status, name)
            }
        }
        self.name = name
        bytes = try Self.read(descriptor, name: name, expected: isRegular ? status.size : 0, limit: limit)
        stamp = isRegular ? status.stamp : nil
        self.status = isRegular ? status : nil
    }

    /// Throws what reading the file by ``Rule/ownerOnly`` would have thrown.
    package func requirePrivate() throws(FileError) {
        guard let status else { return }
        try SecretFile.checkLinks(name)
        try SecretFile.check(status, name)
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
