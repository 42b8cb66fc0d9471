// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What stood in a file when it was read, and how to tell whether the file has changed since.
///
/// Every file that may hold a key is read here: into memory that is wiped, and, where it is the key that is wanted, only
/// when nobody but its owner can use it.
package struct FileContents: Sendable {
    /// Who may be able to read the file.
    package enum Rule {
        /// Anybody.
        case anyone
        /// Its owner alone, as is right for a private key. What is no regular file has no such rule.
        case ownerOnly
    }

    /// What the file is called in messages.
    package let name: String

    /// The contents.
    package let bytes: SecretBytes

    /// The file that was read; nothing when it was no regular file, but a pipe or a terminal, which cannot change back.
    package let stamp: Stamp?

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
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(unreadable: path, errno) }
        defer { close(descriptor) }
        try self.init(descriptor: descriptor, name: path, rule, limit: limit)
    }

    /// Reads an open file from where it stands to its end.
    ///
    /// - Parameters:
    ///   - descriptor: The open file; it stays open.
    ///   - name: What it is called in messages.
    ///   - rule: Who may be able to read it.
    ///   - limit: The most bytes that it may have.
    /// - Throws: ``FileError`` naming the file and the rule.
    package init(
        descriptor: CInt,
        name: String,
        _ rule: Rule = .anyone,
        limit: Int = FileContents.limit
    ) throws(FileError) {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw FileError(unreadable: name, errno) }
        let isRegular = status.st_mode & S_IFMT == S_IFREG
        if status.st_mode & S_IFMT == S_IFDIR { throw FileError(unreadable: name, "it is a folder") }
        if rule == .ownerOnly, isRegular, status.st_mode & 0o077 != 0 {
            throw FileError(unprotected: name, mode: status.st_mode)
        }
        self.name = name
        bytes = try Self.read(descriptor, name: name, expected: isRegular ? Int(status.st_size) : 0, limit: limit)
        stamp = isRegular ? Stamp(status) : nil
    }

    /// Reads to the end, into memory that grows without leaving a copy behind.
    private static func read(
        _ descriptor: CInt,
        name: String,
        expected: Int,
        limit: Int
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
            guard reason == 0 else { throw FileError(unreadable: name, reason) }
            guard bytes.count <= limit else {
                throw FileError(unreadable: name, "it is larger than \(limit >> 20) MiB")
            }
            if isAtEnd { return bytes }
            capacity = min(capacity * 4, limit + 1)
        }
    }

    /// Whether the path still leads to the same file, unchanged.
    package var isCurrent: Bool { stamp?.isCurrent(at: name) ?? true }

    /// What changes when a file is replaced or written to.
    package struct Stamp: Equatable, Sendable {
        private let device: UInt64
        private let file: UInt64
        private let size: Int64
        private let seconds: Int
        private let nanoseconds: Int

        fileprivate init(_ status: stat) {
            device = UInt64(truncatingIfNeeded: status.st_dev)
            file = UInt64(status.st_ino)
            size = Int64(status.st_size)
            (seconds, nanoseconds) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
        }

        /// The stamp of whatever a path leads to, a folder too; nothing when it leads nowhere.
        package init?(at path: String) {
            var status = stat()
            guard unsafe stat(path, &status) == 0 else { return nil }
            self.init(status)
        }

        /// Whether a path leads to the file that this was taken of, unchanged.
        package func isCurrent(at path: String) -> Bool { Stamp(at: path) == self }
    }
}

/// Why a file could not be read.
package struct FileError: ExplainedError, Equatable {
    /// Whether the file could be read, and must not be, because others can read it too.
    package let isUnprotected: Bool

    /// Whether there is no such file.
    package let isMissing: Bool

    /// What is wrong, with the file's name.
    package let message: String

    /// The way out, when there is one to name.
    package let remedy: String?

    init(unreadable name: String, _ reason: CInt) {
        self.init(unreadable: name, systemErrorText(reason), isMissing: reason == ENOENT)
    }

    init(unreadable name: String, _ reason: String, isMissing: Bool = false) {
        message = "\"\(printable(name))\" cannot be read: \(reason)"
        remedy = nil
        isUnprotected = false
        self.isMissing = isMissing
    }

    init(unprotected name: String, mode: mode_t) {
        message =
            "\"\(printable(name))\" can be used by others than its owner: its mode is 0"
            + "\(String(mode & 0o777, radix: 8)), where 0600 or less is wanted for a secret"
        remedy = "run chmod 600 on it; a secret that others could read is better replaced"
        isUnprotected = true
        isMissing = false
    }
}
