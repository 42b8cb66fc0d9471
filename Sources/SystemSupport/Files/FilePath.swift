// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// Paths as bytes.
package enum FilePath {
    /// The files of one certificate, by the ends of their names: `web-1-cert.pem`, `web-1-key.pem`, `web-1-chain.pem`.
    package enum Part: String, Sendable {
        case certificate = "-cert.pem"
        case key = "-key.pem"
        case chain = "-chain.pem"

        /// The name of the file of an entry.
        package func name(of entry: String) -> String { entry + rawValue }
    }

    /// The path of another file of a certificate, in the same directory; `nil` if the certificate's file is named otherwise.
    package static func sibling(_ part: Part, of certificate: String) -> String? {
        let (name, end) = (Array(certificate.utf8), Array(Part.certificate.rawValue.utf8))
        guard name.count > end.count, name.suffix(end.count).elementsEqual(end),
            name[name.count - end.count - 1] != 0x2f
        else { return nil }
        return String(decoding: name.dropLast(end.count), as: UTF8.self) + part.rawValue
    }

    /// The absolute path of an existing file, without links.
    package static func absolute(_ path: String) throws(FileError) -> String {
        guard let resolved = unsafe realpath(path, nil) else { throw FileError(path, cannotBe: "found", errno) }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    /// Whether a text is one component of a path: not empty, not `.` or `..`, without `/` and zero bytes.
    package static func isComponent(_ name: String) -> Bool {
        !name.isEmpty && name != "." && name != ".." && name.utf8.count <= 255
            && name.utf8.allSatisfy { $0 != 0x2f && $0 != 0 }
    }

    /// The directory that a path is in: `.` when the path has one component, `/` for the root.
    package static func parent(of path: String) -> String {
        let bytes = Array(path.utf8.trimmingTrailingSlashes)
        guard let slash = bytes.lastIndex(of: 0x2f) else { return bytes.isEmpty && !path.isEmpty ? "/" : "." }
        guard let end = bytes[..<slash].lastIndex(where: { $0 != 0x2f }) else { return "/" }
        return String(decoding: bytes[...end], as: UTF8.self)
    }

    /// Follows the symbolic links at the end of a path, to a path that may not exist. Links that belong to users other than this one
    /// and root are refused unless `trustsAnybody`.
    package static func followingLinks(_ path: String, trustsAnybody: Bool = false) throws(FileError) -> String {
        var current = path
        // As many as the system follows.
        for _ in 0...40 {
            guard let status = FileStatus(at: current, followsLinks: false), status.kind == .link else {
                return current
            }
            guard trustsAnybody || status.owner == geteuid() || status.owner == 0 else {
                throw FileError(
                    .foreign,
                    "the symbolic link \"\(printable(current))\" belongs to user \(status.owner), and this is user "
                        + "\(geteuid()), who does not follow it",
                    hint: "name the file itself: realpath \(Quoting.shell(current))")
            }
            var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
            let count = unsafe readlink(current, &buffer, buffer.count)
            let target = buffer.prefix(max(0, count)).map(UInt8.init(bitPattern:))
            guard count >= 0, count < buffer.count, let link = String(validating: target, as: UTF8.self) else {
                throw FileError(.kind, "\"\(printable(path))\" leads to a name that is not UTF-8, or too long")
            }
            current = link.utf8.first == 0x2f ? link : join(parent(of: current), link)
        }
        throw FileError(path, cannotBe: "opened", ELOOP)
    }

    package static func join(_ directory: String, _ name: String) -> String {
        directory == "." ? name : directory.utf8.last == 0x2f ? directory + name : "\(directory)/\(name)"
    }

    package static func requireReadable(_ path: String) throws(FileError) {
        guard unsafe access(path, R_OK) == 0 else { throw FileError(path, cannotBe: "read", errno) }
    }

    package static func isExecutable(_ path: String) -> Bool { unsafe access(path, X_OK) == 0 }

    /// What comes after the last slash.
    package static func name(of path: String) -> String {
        path.utf8.lastIndex(of: 0x2f).map { String(path[path.utf8.index(after: $0)...]) } ?? path
    }
}

extension BidirectionalCollection where Element == UInt8 {
    var trimmingTrailingSlashes: SubSequence {
        var end = endIndex
        while end > startIndex, self[index(before: end)] == 0x2f { end = index(before: end) }
        return self[..<end]
    }
}

/// Returns the user's home directory: the value of `HOME`, or else what the system's user database has, as under systemd, where
/// `HOME` may be missing. The root directory is the empty text, so that paths can be appended.
package func homeDirectory(_ variable: String?) -> String {
    if let variable, variable.utf8.first == 0x2f {
        return String(decoding: variable.utf8.trimmingTrailingSlashes, as: UTF8.self)
    }
    guard let entry = unsafe getpwuid(geteuid()), let directory = unsafe entry.pointee.pw_dir else { return "" }
    return unsafe String(cString: directory)
}
