// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemSupport

/// A file that several programs change: an AWS config or credentials file.
///
/// It is changed under a lock that every `pki` shares and that ends with its holder, and replaced whole: whoever reads it
/// sees the old contents or the new ones. A symbolic link stays one; its target is replaced. What cannot stay is another
/// hard link to the file, which keeps the old contents.
///
/// The lock keeps out the threads of this process too. A closure that changes a file must therefore not change another file
/// of the same directory: it would wait for itself.
package struct SharedFile: Sendable {
    /// The path as it was given.
    package let path: String

    /// The permissions of a file that is made.
    static let mode: UInt32 = 0o600

    /// More than any such file holds; what is larger is some other file.
    static let maximumSize = 16 << 20

    /// How often a change is begun anew because a program that does not know the lock was faster.
    private static let maximumAttempts = 16

    /// Names a file, which need not exist.
    ///
    /// - Parameter path: The path.
    package init(path: String) {
        self.path = path
    }

    /// Reads the file.
    ///
    /// - Returns: The contents; nothing when there is no such file, or when it is `/dev/null`, which is how one says so.
    /// - Throws: ``DeliveryError`` naming the file and what the system says.
    package func read() throws(DeliveryError) -> [UInt8]? {
        let status = FileStatus(at: path)
        if status?.kind == .device, status?.device == Self.nullDevice { return nil }
        if let kind = status?.kind, kind != .regular {
            // A pipe without a writer must not keep us waiting.
            throw DeliveryError(.unsafePlace, "\"\(printable(path))\" is \(kind.noun), where a file is wanted")
        }
        do {
            return try FileContents(of: path, limit: Self.maximumSize).bytes.array
        } catch {
            if error.isMissing { return nil }
            throw DeliveryError(error)
        }
    }

    /// The number of the device that is `/dev/null` on every Linux: major 1, minor 3.
    private static let nullDevice: UInt64 = 0x103

    /// Changes the file: reads it under the lock, and replaces it when the closure changed the contents.
    ///
    /// The directory is made with mode 0700 when it is missing; others above it too. The new contents are on the disk, name
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
    package func update(isPrivate: Bool, _ change: (inout SharedConfiguration) throws -> Void) throws {
        do {
            // Who held the lock may have moved the link or the directory meanwhile.
            for _ in 1...Self.maximumAttempts {
                let target = try FilePath.followingLinks(path)
                guard FilePath.isComponent(FilePath.name(of: target)) else {
                    throw DeliveryError(.unsafePlace, "\"\(printable(path))\" is not the path of a file")
                }
                let directory = try directory(of: target)
                let isDone = try directory.withLock {
                    guard let own = directory.status?.stamp, let there = FileStamp(at: directory.path),
                        own.isSameFile(as: there), try FilePath.followingLinks(path) == target
                    else { return false }
                    // What a process that was killed left behind: files that never got their names.
                    for name in try directory.names() where name.hasPrefix(NewFile.temporaryPrefix) {
                        directory.unlink(name)
                    }
                    try update(FilePath.name(of: target), in: directory, isPrivate: isPrivate, change)
                    return true
                }
                if isDone { return }
            }
        } catch let error as FileError {
            throw DeliveryError(error)
        }
        throw DeliveryError(.storage, "\(path) leads somewhere else each time it is looked at")
    }

    /// The directory of a file, which is made when it is missing. Each call opens it again, and the lock is one of the open
    /// descriptor: it keeps threads apart as well as processes.
    private func directory(of target: String) throws(FileError) -> Directory {
        let path = FilePath.parent(of: target)
        do {
            return try Directory(path, for: .output)
        } catch {
            guard error.isMissing else { throw error }
            try Directory.make(path)
            return try Directory(path, for: .output)
        }
    }

    /// Changes the file in its directory, which is locked.
    private func update(
        _ name: String,
        in directory: Directory,
        isPrivate: Bool,
        _ change: (inout SharedConfiguration) throws -> Void
    ) throws {
        for _ in 1...Self.maximumAttempts {
            let old = directory.status(of: name)
            let read = try old.map { _ throws(FileError) in try directory.read(name, limit: Self.maximumSize) }
            guard read?.stamp == old?.stamp else { continue }
            let contents = read?.bytes.array ?? []
            var configuration = SharedConfiguration(contents)
            try change(&configuration)
            let mode = isPrivate ? Self.mode : old.map { $0.mode & 0o777 } ?? Self.mode
            if configuration.bytes == contents, old.map({ $0.mode & 0o777 == mode }) ?? true { return }
            guard configuration.bytes.count <= Self.maximumSize else {
                throw DeliveryError(.storage, "\(path) cannot be written: it would be larger than 16 MiB")
            }
            do {
                if try replace(name, in: directory, old, by: configuration.bytes, mode: mode) { return }
            } catch {
                throw Self.failure(error)
            }
        }
        throw DeliveryError(.storage, "\(path) cannot be written: another program changes it again and again")
    }

    /// Puts a file with new contents in the place of the old one, with its owner and group when the system lets it.
    ///
    /// - Returns: Whether that was done. It is not when another file is there now than the old one.
    private func replace(
        _ name: String,
        in directory: Directory,
        _ old: FileStatus?,
        by contents: [UInt8],
        mode: UInt32
    ) throws(FileError) -> Bool {
        let file = try NewFile(name, in: directory, replacing: .always)
        try file.write(SecretBytes(contents))
        let hasGroup = if let old { try file.setOwner(old.owner, group: old.group) } else { true }
        // A group that is not the one that had permissions gets none.
        try file.finish(mode: hasGroup ? mode : mode & ~0o070)
        guard directory.status(of: name)?.stamp == old?.stamp else { return false }
        try file.place()
        return true
    }

    /// Why the file cannot be written, and the way out when there is one.
    static func failure(_ error: FileError) -> DeliveryError {
        var explained = DeliveryError(error)
        let hint: String? =
            switch error.number {
            case EBUSY, EXDEV:
                "a file that is mounted by itself cannot be replaced: mount its directory, so that a new file can take its place"
            case EACCES, EPERM, EROFS:
                "let this user write to the directory: the file is replaced as a whole, so that no program reads half of it"
            default: nil
            }
        if let hint { explained = DeliveryError(explained.code, explained.message, hint: hint) }
        return explained
    }
}
