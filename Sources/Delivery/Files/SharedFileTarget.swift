// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import SystemSupport

/// Where a file really is: at the end of the symbolic links that its path may be the first of.
struct SharedFileTarget: Equatable {
    /// The folder that holds the file, which need not exist.
    let folder: String

    /// The file's name in the folder, which no symbolic link has, and perhaps nothing.
    let name: String

    /// The path of the file.
    var path: String { folder == "." ? name : folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)" }

    /// As many links as the system follows.
    private static let maximumLinks = 40

    /// Follows the links. A link that leads nowhere gives what it names.
    ///
    /// - Parameter path: The path of a file or of a link to it.
    /// - Throws: ``DeliveryError`` when the links go in a circle, or when the path cannot be one of a file.
    init(_ path: String) throws(DeliveryError) {
        var current = path
        var count = 0
        while let link = try Self.link(at: current) {
            count += 1
            guard count <= Self.maximumLinks else {
                throw DeliveryError(.storage, "\(path) cannot be opened: \(systemErrorText(ELOOP))")
            }
            if link.hasPrefix("/") {
                current = link
            } else {
                let folder = Self.folder(of: current)
                current = folder == "." ? link : "\(folder)/\(link)"
            }
        }
        name = String(decoding: current.utf8.reversed().prefix { $0 != UInt8(ascii: "/") }.reversed(), as: UTF8.self)
        folder = Self.folder(of: current)
        guard !["", ".", ".."].contains(name), !path.utf8.contains(0) else {
            throw DeliveryError(.storage, "“\(printable(path))” is not the path of a file")
        }
    }

    /// What a symbolic link leads to; nothing when the path is none of a link.
    private static func link(at path: String) throws(DeliveryError) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = unsafe readlink(path, &buffer, buffer.count)
        // Whatever else is wrong with the path shows when it is opened.
        guard count >= 0 else { return nil }
        let target = buffer.prefix(count).map(UInt8.init(bitPattern:))
        guard count < buffer.count, let text = String(validating: target, as: UTF8.self) else {
            throw DeliveryError(.storage, "\(path) leads to a name that is not UTF-8, or too long")
        }
        return text
    }

    /// The folder that a path is in.
    static func folder(of path: String) -> String {
        let bytes = Array(path.utf8)
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        guard let end = bytes[..<slash].lastIndex(where: { $0 != UInt8(ascii: "/") }) else { return "/" }
        return String(decoding: bytes[...end], as: UTF8.self)
    }

    /// Why the file cannot be written.
    ///
    /// - Parameter reason: The system's number.
    /// - Returns: An error that names the file, and the way out when there is one.
    func failure(_ reason: CInt) -> DeliveryError {
        switch reason {
        case EBUSY, EXDEV:
            DeliveryError(
                .storage,
                "\(path) cannot be replaced: \(systemErrorText(reason)), as of a file that is mounted by itself",
                remedy: "mount its folder instead of the file, so that a new file can take its place"
            )
        case EACCES, EPERM, EROFS:
            DeliveryError(
                .storage,
                "\(path) cannot be written: no file can be made in \(folder): \(systemErrorText(reason))",
                remedy:
                    "let this user write to the folder: the file is replaced as a whole, so that nobody reads half of it"
            )
        default: DeliveryError(.storage, "\(path) cannot be written: \(systemErrorText(reason))")
        }
    }
}
