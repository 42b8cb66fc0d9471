// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import SystemSupport

/// The file that holds the certificate of the CA behind the lab's own certificate.
struct LabAuthorityFile {
    /// Where the file is.
    let path: String

    /// The folder that was made for it; nothing when the user chose the place.
    private let temporaryFolder: String?

    /// Writes the file.
    ///
    /// - Parameters:
    ///   - text: The certificate in PEM.
    ///   - chosenPath: Where the user wants it; an existing file is replaced. Nothing makes a folder that only this user
    ///     can read.
    /// - Throws: ``InputError`` naming the file and what the system says.
    init(_ text: String, at chosenPath: String?) throws {
        if let chosenPath {
            temporaryFolder = nil
            path = chosenPath
        } else {
            let parent = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
            var template = Array("\(parent)/pki-lab-XXXXXX".utf8CString)
            guard unsafe mkdtemp(&template) != nil else { throw Self.failure("a folder in \(parent)", errno) }
            let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            temporaryFolder = folder
            path = "\(folder)/ca.pem"
        }
        do {
            try Self.write(Array(text.utf8), to: path)
        } catch {
            removeIfTemporary()
            throw error
        }
    }

    /// The path as a shell takes it for one word.
    var quotedPath: String {
        let isPlain = path.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
            default: "/._-+:@%".utf8.contains(byte)
            }
        }
        if isPlain { return path }
        return "'" + path.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }

    /// Removes the file and its folder, unless the user chose the place.
    func removeIfTemporary() {
        guard let temporaryFolder else { return }
        _ = unsafe unlink(path)
        _ = unsafe rmdir(temporaryFolder)
    }

    /// Writes beside the place and moves the file there whole.
    private static func write(_ bytes: [UInt8], to path: String) throws {
        let draft = "\(path).\(getpid())"
        let descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failure(path, errno) }
        var reason = writeAll(bytes, to: descriptor)
        if close(descriptor) != 0, reason == 0 { reason = errno }
        if reason == 0, unsafe rename(draft, path) != 0 { reason = errno }
        guard reason == 0 else {
            _ = unsafe unlink(draft)
            throw failure(path, reason)
        }
    }

    private static func failure(_ path: String, _ reason: CInt) -> InputError {
        InputError(message: "\(path) cannot be written: \(systemErrorText(reason))")
    }
}
