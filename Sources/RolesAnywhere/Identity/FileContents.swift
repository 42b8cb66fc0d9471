// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc

/// What stood in a file when it was read, and how to tell whether the file has changed since.
struct FileContents {
    let path: String
    let bytes: SecretBytes

    /// The file that was read; nothing when it was no regular file, but a pipe or a terminal, which cannot change back.
    let stamp: Stamp?

    /// The largest file that is read. A certificate has a few thousand bytes.
    private static let limit = 1 << 20

    /// Reads a file.
    init(of path: String) throws(RolesAnywhereError) {
        try self.init(path, check: { (_) throws(RolesAnywhereError) in })
    }

    /// Reads a file that holds a private key.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - anyPermissions: Whether it is read even if others may read it.
    /// - Throws: ``RolesAnywhereError`` naming the file and the rule.
    init(ofSecret path: String, anyPermissions: Bool) throws(RolesAnywhereError) {
        try self.init(path) { (status) throws(RolesAnywhereError) in
            guard !anyPermissions, status.st_mode & S_IFMT == S_IFREG, status.st_mode & 0o077 != 0 else { return }
            throw RolesAnywhereError(
                .unprotectedFile,
                "the private key in \"\(printable(path))\" can be used by others than its owner: its mode is 0"
                    + "\(String(status.st_mode & 0o777, radix: 8)), where 0600 or less is wanted",
                remedy: "run chmod 600 on it, or pass --insecure-permissions"
            )
        }
    }

    private init(
        _ path: String,
        check: (stat) throws(RolesAnywhereError) -> Void
    ) throws(RolesAnywhereError) {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.unreadable(path, systemErrorText(errno)) }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw Self.unreadable(path, systemErrorText(errno)) }
        if status.st_mode & S_IFMT == S_IFDIR { throw Self.unreadable(path, "it is a folder") }
        try check(status)

        let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: Self.limit + 1)
        var count = 0
        defer {
            unsafe explicit_bzero(buffer, count)
            unsafe buffer.deallocate()
        }
        while count <= Self.limit {
            let received = unsafe read(descriptor, buffer + count, Self.limit + 1 - count)
            if received == 0 { break }
            if received < 0 {
                if errno == EINTR { continue }
                throw Self.unreadable(path, systemErrorText(errno))
            }
            count += received
        }
        guard count <= Self.limit else { throw Self.unreadable(path, "it is larger than \(Self.limit) bytes") }
        self.path = path
        bytes = unsafe SecretBytes(UnsafeBufferPointer(start: buffer, count: count))
        stamp = status.st_mode & S_IFMT == S_IFREG ? Stamp(status) : nil
    }

    /// Whether the path still leads to the same file, unchanged.
    var isCurrent: Bool { stamp?.isCurrent(at: path) ?? true }

    /// The certificates in the file, if any.
    func certificates() throws(RolesAnywhereError) -> [Certificate] {
        try parsed { (bytes) throws(CertificateError) in
            try unsafe bytes.withUnsafeBytes { (buffer) throws(CertificateError) in
                try Certificate.certificates(in: unsafe Array(buffer))
            }
        }
    }

    /// Parses the contents; an error names the file.
    func parsed<Result>(
        _ parse: (SecretBytes) throws(CertificateError) -> Result
    ) throws(RolesAnywhereError) -> Result {
        do {
            return try parse(bytes)
        } catch {
            throw RolesAnywhereError(
                .unusableIdentity,
                "\"\(printable(path))\": \(error.message)",
                remedy: error.remedy
            )
        }
    }

    private static func unreadable(_ path: String, _ why: String) -> RolesAnywhereError {
        RolesAnywhereError(.unreadableFile, "\"\(printable(path))\" cannot be read: \(why)")
    }

    /// What changes when a file is replaced or written to.
    struct Stamp: Equatable, Sendable {
        let device: UInt64
        let file: UInt64
        let size: Int64
        let seconds: Int
        let nanoseconds: Int

        init(_ status: stat) {
            device = UInt64(truncatingIfNeeded: status.st_dev)
            file = UInt64(status.st_ino)
            size = Int64(status.st_size)
            (seconds, nanoseconds) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
        }

        /// Whether a path leads to the file that this was taken of, unchanged.
        func isCurrent(at path: String) -> Bool {
            var status = stat()
            return unsafe stat(path, &status) == 0 && Stamp(status) == self
        }
    }
}
