// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc

/// Something that a command was to read could not be read.
struct InputError: ExplainedError {
    var message: String
    var remedy: String?
}

/// The command line asks for something that does not go together.
struct UsageError: ExplainedError {
    var message: String
    var remedy: String?

    /// Something is needed and was given neither by option nor by profile.
    static func missing(_ option: String) -> UsageError {
        UsageError(
            message: "\(option) is missing",
            remedy: "give it, or --profile NAME for one that pki configure wrote; --help shows an example"
        )
    }
}

/// A file that the user named.
enum InputFile {
    /// Reads a file whole.
    ///
    /// - Parameters:
    ///   - path: The path.
    ///   - isPrivate: Whether to refuse a file that others than its owner can read.
    /// - Returns: The contents, at most 4 MiB.
    /// - Throws: ``InputError`` naming the file and what the system says.
    static func read(_ path: String, isPrivate: Bool = false) throws -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw InputError(message: "\(path) cannot be read: \(systemErrorText(errno))") }
        defer { close(descriptor) }
        var status = stat()
        if isPrivate, unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            status.st_mode & 0o077 != 0
        {
            throw InputError(
                message: "\(path) can be read by others (mode 0\(String(status.st_mode & 0o777, radix: 8)))",
                remedy: "chmod 600 \(path)"
            )
        }
        return try read(descriptor: descriptor, name: path)
    }

    /// Reads an open file to its end.
    ///
    /// - Parameters:
    ///   - descriptor: The open file; it stays open.
    ///   - name: What it is called in messages.
    /// - Returns: The contents, at most 4 MiB.
    /// - Throws: ``InputError`` naming the file and what the system says.
    static func read(descriptor: CInt, name: String) throws -> [UInt8] {
        var contents: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw InputError(message: "\(name) cannot be read: \(systemErrorText(errno))") }
            if count == 0 { return contents }
            contents += buffer.prefix(count)
            guard contents.count <= 4 << 20 else { throw InputError(message: "\(name) is larger than 4 MiB") }
        }
    }
}
