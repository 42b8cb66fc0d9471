// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import SystemSupport

/// A file that several programs change: an AWS config or credentials file.
///
/// It is changed under a lock that every `pki` shares and that ends with its holder, and replaced whole: whoever reads it
/// sees the old contents or the new ones. A symbolic link stays one; its target is replaced. What cannot stay is another
/// hard link to the file, which keeps the old contents.
///
/// The lock keeps out the threads of this process too. A closure that changes a file must therefore not change another file
/// of the same folder: it would wait for itself.
public struct SharedFile: Sendable {
    /// The path as it was given.
    public let path: String

    /// The permissions of a file that is made.
    static let mode: UInt32 = 0o600

    /// More than any such file holds; what is larger is some other file.
    static let maximumSize = 16 << 20

    /// How often a change is begun anew because a program that does not know the lock was faster.
    private static let maximumAttempts = 16

    /// Names a file, which need not exist.
    ///
    /// - Parameter path: The path.
    public init(path: String) {
        self.path = path
    }

    /// Reads the file.
    ///
    /// - Returns: The contents; nothing when there is no such file, or when it is `/dev/null`, which is how one says so.
    /// - Throws: ``DeliveryError`` naming the file and what the system says.
    public func read() throws(DeliveryError) -> [UInt8]? {
        // A pipe without a writer must not keep us waiting.
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard file >= 0 else {
            let reason = errno
            if reason == ENOENT { return nil }
            throw DeliveryError(.storage, "\(path) cannot be read: \(systemErrorText(reason))")
        }
        defer { close(file) }
        return try SharedFileContents(reading: file, path: path, acceptsNull: true)?.bytes
    }

    /// Changes the file: reads it under the lock, and replaces it when the closure changed the contents.
    ///
    /// The folder is made with mode 0700 when it is missing; others above it too. The new contents are on the disk, name
    /// included, when this returns. When nothing changes, nothing is written.
    ///
    /// The AWS CLI writes without a lock. When the file is no longer what was read, the new contents are thrown away, and
    /// the closure is called again with those that are there.
    ///
    /// - Parameters:
    ///   - isPrivate: Whether the file holds secrets: then it has mode 0600 afterwards whatever it had before. Otherwise it
    ///     keeps its mode. A file that is made has mode 0600.
    ///   - change: Is given the contents, empty when there is no file yet.
    /// - Throws: What the closure throws, or ``DeliveryError`` naming the file and what the system says; the file is then as
    ///   it was.
    public func update(isPrivate: Bool, _ change: (inout SharedConfiguration) throws -> Void) throws {
        let folder = try SharedFolder.locked(for: path)
        for _ in 1...Self.maximumAttempts {
            let old = try folder.read()
            let contents = old?.bytes ?? []
            var configuration = SharedConfiguration(contents)
            try change(&configuration)
            let isAsItShouldBe = !isPrivate || old.map { $0.mode == Self.mode } ?? true
            if configuration.bytes == contents, isAsItShouldBe { return }
            guard configuration.bytes.count <= Self.maximumSize else {
                throw DeliveryError(.storage, "\(path) cannot be written: it would be larger than 16 MiB")
            }
            let mode = isPrivate ? Self.mode : old?.mode ?? Self.mode
            if try folder.replace(old, by: configuration.bytes, mode: mode) { return }
        }
        throw DeliveryError(.storage, "\(path) cannot be written: another program changes it again and again")
    }
}

/// What was read of a file.
struct SharedFileContents {
    let bytes: [UInt8]
    let version: SharedFileVersion
    let mode: mode_t
    let owner: uid_t
    let group: gid_t

    /// Reads an open file; nothing for `/dev/null` when that is as good as no file.
    ///
    /// - Parameters:
    ///   - file: The descriptor, which stays open.
    ///   - path: The path for messages.
    ///   - acceptsNull: Whether `/dev/null` is as good as no file.
    /// - Throws: ``DeliveryError`` naming the file and what the system says.
    init?(reading file: CInt, path: String, acceptsNull: Bool = false) throws(DeliveryError) {
        func failure(_ reason: CInt) -> DeliveryError {
            DeliveryError(.storage, "\(path) cannot be read: \(systemErrorText(reason))")
        }
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else { throw failure(errno) }
        if acceptsNull, status.st_mode & S_IFMT == S_IFCHR, status.st_rdev == Self.nullDevice { return nil }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw DeliveryError(.storage, "\(path) is not a file but a folder, a pipe or a device")
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = unsafe Glibc.read(file, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure(errno) }
            if count == 0 { break }
            bytes += buffer.prefix(count)
            guard bytes.count <= SharedFile.maximumSize else {
                throw DeliveryError(.storage, "\(path) is larger than 16 MiB")
            }
        }
        self.bytes = bytes
        version = SharedFileVersion(status)
        mode = status.st_mode & 0o777
        owner = status.st_uid
        group = status.st_gid
    }

    /// The number of the device that is `/dev/null` on every Linux: major 1, minor 3.
    private static let nullDevice: dev_t = 0x103
}

/// What tells whether a file has been written to or replaced.
struct SharedFileVersion: Equatable {
    private let numbers: [Int]

    /// Takes what the system says of the file.
    init(_ status: stat) {
        numbers = [
            Int(truncatingIfNeeded: status.st_dev), Int(truncatingIfNeeded: status.st_ino), status.st_size,
            status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
        ]
    }
}
