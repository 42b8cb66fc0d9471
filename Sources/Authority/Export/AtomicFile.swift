// SPDX-License-Identifier: Apache-2.0

package import SystemSupport

/// A file for its owner alone, outside of the CA directory, that is written completely or not at all.
///
/// Only a regular file of this user is replaced: no link, pipe or device, and no other user's file.
package struct AtomicFile: Sendable {
    package let path: String
    package let contents: SecretBytes

    package init(path: String, contents: SecretBytes) {
        self.path = path
        self.contents = contents
    }

    /// Refuses a path at which a file could not be created.
    package static func check(_ path: String, replaces: Bool) throws(AuthorityError) {
        try explained { () throws(FileError) in
            let (directory, name) = try place(of: path)
            guard directory.contains(name) else { return }
            try directory.checkReplaceable(name)
            if !replaces { throw FileError(.exists, "\(printable(path)) exists already and is not overwritten") }
        }
    }

    /// Writes files: all of them are synced before the first gets its name, and they get their names in order.
    package static func write(_ files: [AtomicFile], replaces: Bool) throws(AuthorityError) {
        try write(files, replaces: replaces, isNameless: true)
    }

    /// Writes a file through its descriptor.
    static func write(_ path: String, replaces: Bool, _ body: (CInt) throws -> Void) throws {
        let file = try explained { () throws(FileError) in
            let (directory, name) = try place(of: path)
            return try NewFile(name, in: directory, replacing: replaces ? .always : .never)
        }
        try body(file.descriptor)
        try explained { () throws(FileError) in
            try file.finish()
            try file.place()
        }
    }

    /// `isNameless` is false in tests of file systems that have no files without names.
    static func write(_ files: [AtomicFile], replaces: Bool, isNameless: Bool) throws(AuthorityError) {
        try explained { () throws(FileError) in
            var pending: [Pending] = []
            for file in files {
                let one = try Pending(file, replaces: replaces, isNameless: isNameless)
                guard !pending.contains(where: { $0.isAt(one) }) else {
                    throw FileError(.exists, "\(printable(file.path)) would be written twice")
                }
                pending.append(one)
            }
            for (index, one) in pending.enumerated() {
                do throws(FileError) {
                    try one.place(keepsOld: index < pending.count - 1)
                } catch {
                    for done in pending.prefix(index) { done.takeBack() }
                    throw error
                }
            }
            for one in pending { one.forgetOld() }
        }
    }

    private static func place(of path: String) throws(FileError) -> (Directory, String) {
        let name = FilePath.name(of: path)
        guard FilePath.isComponent(name), !path.utf8.contains(0) else {
            throw FileError(.kind, "\"\(printable(path))\" is not the path of a file")
        }
        return (try Directory(FilePath.parent(of: path), for: .output), name)
    }

    private static func explained<Result>(_ body: () throws(FileError) -> Result) throws(AuthorityError) -> Result {
        do {
            return try body()
        } catch {
            let isTaken = error.code == .exists
            throw AuthorityError(
                isTaken || error.code == .kind ? .exists : .storage, error.message,
                hint: error.hint ?? (isTaken ? "replace it with --force" : nil))
        }
    }

    /// One of several files, synced and without its name.
    private final class Pending {
        private let directory: Directory
        private let name: String
        private let file: NewFile
        /// The temporary name of the file that is replaced, until all files have their names.
        private var old: String?

        init(_ file: AtomicFile, replaces: Bool, isNameless: Bool) throws(FileError) {
            (directory, name) = try AtomicFile.place(of: file.path)
            let isThere = directory.contains(name)
            self.file = try NewFile(
                name, in: directory, replacing: replaces && isThere ? .always : .never, isNameless: isNameless)
            try self.file.write(file.contents)
            try self.file.finish()
        }

        func isAt(_ other: Pending) -> Bool {
            guard name == other.name, let own = directory.status?.stamp, let others = other.directory.status?.stamp
            else { return false }
            return own.isSameFile(as: others)
        }

        func place(keepsOld: Bool) throws(FileError) {
            if keepsOld, directory.contains(name) {
                let kept = String(decoding: "\(NewFile.temporaryPrefix)old.\(name)".utf8.prefix(200), as: UTF8.self)
                directory.unlink(kept)
                // A file system without hard links cannot keep it.
                if (try? directory.link(name, as: kept)) != nil { old = kept }
            }
            try file.place()
        }

        func takeBack() {
            if let old { try? directory.rename(old, to: name) }
            file.takeBack()
        }

        func forgetOld() { if let old { directory.unlink(old) } }
    }
}
