// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import SystemSupport

/// The files in a folder and below it, found without opening one.
///
/// Links to folders are not followed, what is no file is passed over, and there is an end to how deep and how much is
/// looked at: whatever is in the folder, this comes to an end.
struct FolderScan {
    /// A file.
    struct File: Sendable {
        /// The path, below the folder unless it begins with a slash.
        let path: String
        /// How many bytes it has.
        let size: Int
        /// The permissions.
        let mode: mode_t

        /// The last part of the path.
        var name: Substring { path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...] }

        /// The path without the last part; empty for a file in the folder itself.
        var folder: Substring { path[..<(path.lastIndex(of: "/") ?? path.startIndex)] }
    }

    /// The folder.
    let directory: String

    /// What was found, in the order of the paths within each folder.
    private(set) var files: [File] = []

    /// What could not be looked at.
    private(set) var findings: [ForeignFinding] = []

    private var folderCount = 0

    private static let depthLimit = 8
    private static let fileLimit = 1_000_000
    private static let folderLimit = 20_000

    /// Looks through a folder.
    ///
    /// - Parameter directory: The folder.
    /// - Throws: ``AuthorityError`` when it cannot be opened.
    init(_ directory: String) throws(AuthorityError) {
        self.directory = directory
        switch Self.names(in: directory) {
        case .success(let names): visit("", names, depth: 0)
        case .failure(let reason):
            throw AuthorityError(
                reason.number == ENOENT ? .missing : .storage,
                "the folder \(directory) cannot be opened: \(systemErrorText(reason.number))"
            )
        }
    }

    /// Looks at what stands elsewhere as well.
    ///
    /// - Parameters:
    ///   - path: A file or a folder; begins with a slash.
    ///   - isDeep: Whether to look into the folders in a folder.
    mutating func add(elsewhere path: String, isDeep: Bool) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return note(path, systemErrorText(errno)) }
        guard status.st_mode & S_IFMT == S_IFDIR else { return add(path, status) }
        switch Self.names(in: path) {
        case .success(let names): visit(path, names, depth: 0, isDeep: isDeep)
        case .failure(let reason): note(path, systemErrorText(reason.number))
        }
    }

    /// The path by which the system knows a file.
    func path(of file: String) -> String { Self.join(directory, file) }

    /// A path below a folder; one that begins with a slash stays.
    static func join(_ folder: String, _ path: some StringProtocol) -> String {
        if path.isEmpty { return folder }
        if path.hasPrefix("/") { return String(path) }
        return folder.hasSuffix("/") ? folder + path : "\(folder)/\(path)"
    }

    private mutating func visit(_ folder: String, _ names: [String], depth: Int, isDeep: Bool = true) {
        folderCount += 1
        for name in names where !name.hasPrefix(".") {
            guard files.count < Self.fileLimit else {
                let text = "there are more than \(Self.fileLimit) files; the others were not read"
                if findings.last?.rule != .limit { findings.append(ForeignFinding(.limit, text)) }
                return
            }
            let path = folder.isEmpty ? name : "\(folder)/\(name)"
            var status = stat()
            guard unsafe lstat(self.path(of: path), &status) == 0 else {
                note(path, systemErrorText(errno))
                continue
            }
            switch status.st_mode & S_IFMT {
            case S_IFDIR: if isDeep { enter(path, depth: depth + 1) }
            case S_IFLNK:
                guard unsafe stat(self.path(of: path), &status) == 0 else {
                    note(path, "it is a link that leads nowhere")
                    continue
                }
                if status.st_mode & S_IFMT == S_IFDIR {
                    note(path, "it is a link to a folder, which is not followed")
                } else {
                    add(path, status)
                }
            default: add(path, status)
            }
        }
    }

    private mutating func enter(_ path: String, depth: Int) {
        guard depth <= Self.depthLimit, folderCount < Self.folderLimit else {
            let text = depth > Self.depthLimit ? "it lies too deep" : "there are more than \(Self.folderLimit) folders"
            findings.append(ForeignFinding(.limit, "\(printable(path)) was not read: \(text)", file: path))
            return
        }
        switch Self.names(in: self.path(of: path)) {
        case .success(let names): visit(path, names, depth: depth)
        case .failure(let reason): note(path, systemErrorText(reason.number))
        }
    }

    private mutating func add(_ path: String, _ status: stat) {
        guard status.st_mode & S_IFMT == S_IFREG else { return note(path, "it is no regular file") }
        files.append(File(path: path, size: Int(status.st_size), mode: status.st_mode & 0o777))
    }

    private mutating func note(_ path: String, _ why: String) {
        findings.append(ForeignFinding(.unreadable, "\(printable(path)) was not read: \(why)", file: path))
    }

    private struct Reason: Error { let number: CInt }

    private static func names(in path: String) -> Result<[String], Reason> {
        guard let listing = unsafe opendir(path) else { return .failure(Reason(number: errno)) }
        defer { unsafe closedir(listing) }
        var names: [String] = []
        while names.count <= fileLimit, let entry = unsafe readdir(listing) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                unsafe tuple.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return .success(names.sorted())
    }
}
