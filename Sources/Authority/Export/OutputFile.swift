// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
public import SystemSupport

/// A file for its owner alone, anywhere, that is written whole or not at all.
///
/// It has no name until all of it is on the disk: a process that is killed before leaves nothing where the file system can
/// hold a file without a name, and otherwise at most a hidden one that begins with `.pki-new.`.
public struct OutputFile: Sendable {
    /// The path.
    public let path: String

    /// The contents.
    public let contents: SecretBytes

    /// Describes a file.
    ///
    /// - Parameters:
    ///   - path: The path; its folder must be there.
    ///   - contents: The contents.
    public init(path: String, contents: SecretBytes) {
        self.path = path
        self.contents = contents
    }

    /// Refuses a path at which a file could not be made, before there is anything to write.
    ///
    /// - Parameters:
    ///   - path: The path.
    ///   - replaces: Whether a file that is there may be replaced.
    /// - Throws: ``AuthorityError`` with ``AuthorityError/Code/exists`` or ``AuthorityError/Code/storage``, naming the path.
    public static func check(_ path: String, replaces: Bool) throws(AuthorityError) {
        _ = try OutputPlace(path, replaces: replaces)
    }

    /// Writes files: all of them are on the disk before the first gets its name, and they get their names in their order.
    ///
    /// - Parameters:
    ///   - files: The files.
    ///   - replaces: Whether files that are there are replaced. They are as they were when one cannot be written.
    /// - Throws: ``AuthorityError`` naming the file and what the system says; no new file is left then.
    public static func write(_ files: [OutputFile], replaces: Bool) throws(AuthorityError) {
        try write(files, replaces: replaces, isNameless: true)
    }

    /// Writes a file piece by piece.
    ///
    /// - Parameters:
    ///   - path: The path; its folder must be there.
    ///   - replaces: Whether a file that is there is replaced.
    ///   - body: Writes the contents to a descriptor. When it throws, nothing is left.
    /// - Throws: ``AuthorityError`` naming the file and what the system says, or what the body throws.
    static func write(_ path: String, replaces: Bool, _ body: (CInt) throws -> Void) throws {
        let place = try OutputPlace(path, replaces: replaces)
        try body(place.open(isNameless: true))
        try place.synchronize()
        try place.giveName()
    }

    /// Writes files, on request as where no file can be without a name.
    static func write(_ files: [OutputFile], replaces: Bool, isNameless: Bool) throws(AuthorityError) {
        var places: [OutputPlace] = []
        for file in files {
            let place = try OutputPlace(file.path, replaces: replaces)
            let reason = writeAll(file.contents, to: try place.open(isNameless: isNameless))
            guard reason == 0 else { throw place.failure(reason) }
            try place.synchronize()
            places.append(place)
        }
        for (index, place) in places.enumerated() {
            do {
                try place.giveName()
            } catch {
                for place in places.prefix(index) { place.takeBack() }
                throw error
            }
        }
    }
}

/// The folder and the name of a file that is being made.
private final class OutputPlace {
    private let path: String
    private let name: String
    private let replaces: Bool
    private let folder: CInt
    private var file: CInt = -1
    private var temporary: String?
    private var isNew = true

    init(_ path: String, replaces: Bool) throws(AuthorityError) {
        self.path = path
        self.replaces = replaces
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        name = parts.last.map(String.init) ?? ""
        guard !["", ".", ".."].contains(name), !path.utf8.contains(0) else {
            throw AuthorityError(.invalidRequest, "\"\(printable(path))\" is not the path of a file")
        }
        let parent = parts.dropLast().joined(separator: "/")
        let directory = parts.count == 1 ? "." : parent.isEmpty ? "/" : parent
        folder = unsafe Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else {
            throw AuthorityError(.storage, "\(path) cannot be made: its folder: \(systemErrorText(errno))")
        }
        try refuseExisting()
    }

    deinit {
        if let temporary { unsafe unlinkat(folder, temporary, 0) }
        if file >= 0 { close(file) }
        if folder >= 0 { close(folder) }
    }

    private func refuseExisting() throws(AuthorityError) {
        var status = stat()
        guard unsafe fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
            guard errno == ENOENT else { throw failure(errno) }
            return
        }
        guard status.st_mode & S_IFMT == S_IFREG || status.st_mode & S_IFMT == S_IFLNK else {
            throw AuthorityError(.exists, "\(path) is a folder, a pipe or a device, and is not replaced")
        }
        guard replaces else { throw alreadyThere }
        isNew = false
    }

    private var alreadyThere: AuthorityError {
        AuthorityError(.exists, "\(path) exists already and is not overwritten", remedy: "--force replaces it")
    }

    func failure(_ reason: CInt) -> AuthorityError {
        AuthorityError(.storage, "\(path) cannot be written: \(systemErrorText(reason))")
    }

    private var temporaryName: String { ".pki-new.\(getpid()).\(name)".prefixOfFileName }

    /// Opens the file, which has no name yet.
    func open(isNameless: Bool) throws(AuthorityError) -> CInt {
        // O_TMPFILE, which Swift does not import.
        if isNameless { file = unsafe openat(folder, ".", O_WRONLY | O_DIRECTORY | 0o20000000 | O_CLOEXEC, 0o600) }
        if file < 0 {
            let name = temporaryName
            file = unsafe openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard file >= 0 else { throw failure(errno) }
            temporary = name
        }
        guard fchmod(file, 0o600) == 0 else { throw failure(errno) }
        return file
    }

    /// Brings the contents to the disk.
    func synchronize() throws(AuthorityError) {
        guard fsync(file) == 0 else { throw failure(errno) }
    }

    /// Gives the file its name.
    func giveName() throws(AuthorityError) {
        if replaces {
            if temporary == nil {
                let name = temporaryName
                // Left behind by a process of the same number.
                unsafe unlinkat(folder, name, 0)
                guard link(to: name) == 0 else { throw failure(errno) }
                temporary = name
            }
            try rename()
        } else if link(to: name) != 0 {
            let reason = errno
            if reason == EEXIST { throw alreadyThere }
            // A file system without hard links has the file under its temporary name.
            guard temporary != nil, reason == EPERM || reason == EOPNOTSUPP else { throw failure(reason) }
            try refuseExisting()
            try rename()
        }
        // EINVAL: a file system that cannot bring folders to the disk.
        guard fsync(folder) == 0 || errno == EINVAL else {
            let reason = errno
            takeBack()
            throw failure(reason)
        }
    }

    /// Adds a name, which must be free.
    private func link(to name: String) -> CInt {
        guard let temporary else {
            return unsafe linkat(AT_FDCWD, "/proc/self/fd/\(file)", folder, name, AT_SYMLINK_FOLLOW)
        }
        return unsafe linkat(folder, temporary, folder, name, 0)
    }

    private func rename() throws(AuthorityError) {
        guard let from = temporary, unsafe renameat(folder, from, folder, name) == 0 else { throw failure(errno) }
        temporary = nil
    }

    /// Removes a file that was made; one that was replaced cannot come back.
    func takeBack() { if isNew { unsafe unlinkat(folder, name, 0) } }
}

extension String {
    /// As much of a name as any file system takes.
    fileprivate var prefixOfFileName: String { String(decoding: utf8.prefix(200), as: UTF8.self) }
}
