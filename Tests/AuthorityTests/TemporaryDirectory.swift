// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemSupport

/// A private directory that goes with the value.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/pki-tests-XXXXXX".utf8CString)
        guard let made = unsafe mkdtemp(&template) else { throw CannotMakeDirectory() }
        path = unsafe String(cString: made)
    }

    deinit { Self.remove(path) }

    /// The names in the directory, sorted, without the inventory and what is hidden.
    func names(in directory: String = "") -> [String] {
        Self.names(in: "\(path)/\(directory)").filter { !$0.hasPrefix(".") && !$0.hasPrefix("inventory.sqlite") }
    }

    /// The names in the directory, sorted, without `.` and `..`.
    func allNames(in directory: String = "") -> [String] { Self.names(in: "\(path)/\(directory)") }

    /// The permissions of a file.
    func mode(of name: String) -> mode_t {
        var status = stat()
        return unsafe lstat("\(path)/\(name)", &status) == 0 ? status.st_mode & 0o777 : 0
    }

    func write(_ text: String, to name: String, mode: mode_t = 0o600) throws {
        if let slash = name.lastIndex(of: "/") { unsafe mkdir("\(path)/\(name[..<slash])", 0o700) }
        let file = unsafe open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard file >= 0 else { throw CannotMakeDirectory() }
        defer { close(file) }
        let bytes = Array(text.utf8)
        guard unsafe Glibc.write(file, bytes, bytes.count) == bytes.count else { throw CannotMakeDirectory() }
    }

    func read(_ name: String) throws -> String {
        let file = unsafe open("\(path)/\(name)", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw CannotMakeDirectory() }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = unsafe Glibc.read(file, &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }

    /// Every file here, with its bytes.
    func snapshot() throws -> [String: [UInt8]] {
        let directory = try Directory(path, for: .reading)
        return try Dictionary(
            uniqueKeysWithValues: directory.names().filter { directory.status(of: $0)?.kind == .regular }.map { name in
                (name, unsafe try directory.read(name).bytes.withUnsafeBytes { unsafe Array($0) })
            }
        )
    }

    private static func names(in path: String) -> [String] {
        guard let listing = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(listing) }
        var names: [String] = []
        while let entry = unsafe readdir(listing) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                unsafe tuple.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private static func remove(_ path: String) {
        for name in names(in: path) { remove("\(path)/\(name)") }
        if unsafe unlink(path) != 0 { unsafe rmdir(path) }
    }
}

struct CannotMakeDirectory: Error {}
