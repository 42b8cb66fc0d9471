// SPDX-License-Identifier: Apache-2.0

package import SystemSupport

/// A file that several programs change: an AWS config or credentials file.
///
/// It is changed under a lock that every `pki` shares and that ends with its holder, and replaced as a whole: readers see the
/// old contents or the new ones. A symbolic link stays one; its target is replaced. Another hard link keeps the old contents.
///
/// The lock keeps out other threads of this process too, so a closure that changes a file must not change another file of the
/// same directory: it would deadlock.
package struct SharedFile: Sendable {
    package let path: String

    /// The mode of a new file.
    static let mode: UInt32 = 0o600

    static let maximumSize = 16 << 20

    /// How often a change is repeated because a program without the lock changed the file meanwhile.
    private static let maximumAttempts = 16

    package init(path: String) { self.path = path }

    /// The contents; `nil` if there is no such file, or it is `/dev/null`, which means the same.
    package func read() throws(DeliveryError) -> [UInt8]? {
        let status = FileStatus(at: path)
        if status?.kind == .device, status?.device == Self.nullDevice { return nil }
        if let kind = status?.kind, kind != .regular {
            // A pipe without a writer would block.
            throw DeliveryError(.unsafePlace, "\"\(printable(path))\" is \(kind.noun), where a file is expected")
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
    /// Missing directories are made with mode 0700. The new contents and name are synced to disk when this returns. When
    /// nothing changes, nothing is written.
    ///
    /// The AWS CLI writes without a lock: when the file has changed since it was read, the closure is called again with the
    /// current contents.
    ///
    /// - Parameters:
    ///   - isPrivate: Whether the file holds secrets and gets mode 0600. Else it keeps its mode; a new file has 0600.
    ///   - change: Gets the contents, empty if there is no file yet.
    package func update(isPrivate: Bool, _ change: (inout SharedConfiguration) throws -> Void) throws {
        do {
            // The last holder of the lock may have moved the link or the directory.
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
                    // Temporary files that a killed process left behind.
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

    /// The directory of a file, made if it is missing. Each call opens it again, because the lock belongs to the open
    /// descriptor: so it excludes threads as well as processes.
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

    /// Changes the file in its locked directory.
    private func update(
        _ name: String, in directory: Directory, isPrivate: Bool, _ change: (inout SharedConfiguration) throws -> Void
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

    /// Replaces the old file, keeping owner and group if the system allows it. Returns `false` if it has changed meanwhile.
    private func replace(
        _ name: String, in directory: Directory, _ old: FileStatus?, by contents: [UInt8], mode: UInt32
    ) throws(FileError) -> Bool {
        let file = try NewFile(name, in: directory, replacing: .always)
        try file.write(SecretBytes(contents))
        let hasGroup = if let old { try file.setOwner(old.owner, group: old.group) } else { true }
        // Another group than the one that had permissions gets none.
        try file.finish(mode: hasGroup ? mode : mode & ~0o070)
        guard directory.status(of: name)?.stamp == old?.stamp else { return false }
        try file.place()
        return true
    }

    /// Why the file cannot be written, with a hint.
    static func failure(_ error: FileError) -> DeliveryError {
        var explained = DeliveryError(error)
        var hint: String?
        if error.isMountPoint { hint = "a mounted file cannot be replaced; mount its directory instead" }
        if error.isDenied { hint = "let this user write to the directory: the file is replaced, not overwritten" }
        if let hint { explained = DeliveryError(explained.code, explained.message, hint: hint) }
        return explained
    }
}

/// Why credentials could not be stored or served.
package typealias DeliveryError = CodedError<DeliveryErrorCode>

package enum DeliveryErrorCode: Sendable {
    /// The system did not let a file be read, locked or written.
    case storage
    /// A file or directory is a link or a device, belongs to another user, or others may change it. It is not used.
    case unsafePlace
    case malformed
    /// A name or value cannot be used.
    case invalidArgument
}

extension DeliveryError {
    /// A failure with a file, which may be called something: "the cache's".
    init(_ error: FileError, _ what: String = "") {
        let code: Code =
            switch error.code {
            case .kind, .unprotected, .foreign: .unsafePlace
            case .missing, .exists, .system: .storage
            }
        self.init(code, what.isEmpty ? error.message : "\(what) \(error.message)", hint: error.hint)
    }
}
