// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// The files in a directory and below it, found without opening one.
///
/// Links to directories are not followed, what is no file is passed over, and there is an end to how deep and how much is
/// looked at: whatever is in the directory, this comes to an end.
struct DirectoryScan {
    /// A file.
    struct File: Sendable {
        /// The path, below the directory unless it begins with a slash.
        let path: String
        /// How many bytes it has.
        let size: Int
        /// The permissions.
        let mode: UInt32

        /// The last part of the path.
        var name: Substring { path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...] }

        /// The path without the last part; empty for a file in the directory itself.
        var directory: Substring { path[..<(path.lastIndex(of: "/") ?? path.startIndex)] }
    }

    /// The directory.
    let directory: String

    /// A CA directory of this program that is open: no link in it is followed, and only it and its archive are looked at.
    private let own: Directory?

    /// Whether links to files are followed, as other software makes them.
    var followsLinks: Bool { own == nil }

    /// What was found, in the order of the paths within each directory.
    private(set) var files: [File] = []

    /// What could not be looked at.
    private(set) var findings: [ForeignFinding] = []

    /// The files that links lead to.
    private var linked: Set<String> = []

    private var directoryCount = 0

    private static let depthLimit = 8
    private static let fileLimit = 1_000_000
    private static let directoryLimit = 20_000

    /// Looks through a directory.
    ///
    /// - Parameters:
    ///   - directory: The directory.
    ///   - own: The same, when it is a CA directory of this program.
    /// - Throws: ``AuthorityError`` when it cannot be opened.
    init(_ directory: String, own: Directory? = nil) throws(AuthorityError) {
        self.directory = directory
        self.own = own
        do {
            visit("", try names(in: ""), depth: 0)
        } catch {
            throw AuthorityError(error)
        }
    }

    /// Looks at what stands elsewhere as well.
    ///
    /// - Parameters:
    ///   - path: A file or a directory; begins with a slash.
    ///   - isDeep: Whether to look into the directories in a directory.
    mutating func add(elsewhere path: String, isDeep: Bool) {
        guard let status = FileStatus(at: path) else { return note(path, "there is no such file") }
        guard status.kind == .directory else { return add(path, status) }
        do {
            visit(path, try names(in: path), depth: 0, isDeep: isDeep)
        } catch {
            note(path, error.message)
        }
    }

    /// The path by which the system knows a file.
    func path(of file: String) -> String {
        Self.join(own.map { "/proc/self/fd/\($0.descriptor)" } ?? directory, file)
    }

    /// Reads a file that was a regular one when the directory was looked at.
    ///
    /// - Parameters:
    ///   - file: Its path, below the directory unless it begins with a slash.
    ///   - limit: The largest file that is read, in bytes.
    /// - Returns: The contents.
    /// - Throws: `FileError`.
    func contents(of file: String, limit: Int = ForeignFile.limit) throws(FileError) -> SecretBytes {
        // Only what is known to be a link is followed.
        let isLinked = followsLinks && (linked.contains(file) || file.hasPrefix("/"))
        return try FileContents(regular: path(of: file), followsLinks: isLinked, limit: limit).bytes
    }

    /// A path below a directory; one that begins with a slash stays.
    static func join(_ directory: String, _ path: some StringProtocol) -> String {
        if path.isEmpty { return directory }
        if path.hasPrefix("/") { return String(path) }
        return directory.hasSuffix("/") ? directory + path : "\(directory)/\(path)"
    }

    private mutating func visit(_ directory: String, _ names: [String], depth: Int, isDeep: Bool = true) {
        directoryCount += 1
        for name in names where !name.hasPrefix(".") {
            guard files.count < Self.fileLimit else {
                let text = "there are more than \(Self.fileLimit) files; the others were not read"
                if findings.last?.rule != .limit { findings.append(ForeignFinding(.limit, text)) }
                return
            }
            let path = directory.isEmpty ? name : "\(directory)/\(name)"
            guard let status = FileStatus(at: self.path(of: path), followsLinks: false) else {
                note(path, "it is gone")
                continue
            }
            switch status.kind {
            case .directory:
                if isDeep, own == nil || path == CADirectory.archiveDirectory { enter(path, depth: depth + 1) }
            case .link where !followsLinks: note(path, "it is a symbolic link")
            case .link:
                guard let target = FileStatus(at: self.path(of: path)) else {
                    note(path, "it is a link that leads nowhere")
                    continue
                }
                if target.kind == .directory {
                    note(path, "it is a link to a directory, which is not followed")
                } else {
                    linked.insert(path)
                    add(path, target)
                }
            default: add(path, status)
            }
        }
    }

    private mutating func enter(_ path: String, depth: Int) {
        guard depth <= Self.depthLimit, directoryCount < Self.directoryLimit else {
            let text =
                depth > Self.depthLimit ? "it lies too deep" : "there are more than \(Self.directoryLimit) directories"
            findings.append(ForeignFinding(.limit, "\(printable(path)) was not read: \(text)", file: path))
            return
        }
        do {
            visit(path, try names(in: path), depth: depth)
        } catch {
            note(path, error.message)
        }
    }

    private mutating func add(_ path: String, _ status: FileStatus) {
        guard status.kind == .regular else { return note(path, "it is no regular file") }
        files.append(File(path: path, size: status.size, mode: status.mode & 0o777))
    }

    private mutating func note(_ path: String, _ why: String) {
        findings.append(ForeignFinding(.unreadable, "\(printable(path)) was not read: \(why)", file: path))
    }

    private func names(in directory: String) throws(FileError) -> [String] {
        if let own {
            return try (directory.isEmpty ? own : own.directory(directory, for: .reading))?.names().sorted() ?? []
        }
        // The directory that was named may be a link; none below it is.
        return try Directory(path(of: directory), for: directory.isEmpty ? .output : .reading).names().sorted()
    }
}
