// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SystemSupport

/// The file that holds the certificate of the CA behind the lab's own certificate.
struct LabAuthorityFile {
    private static let name = "ca.pem"

    /// Where the file is.
    let path: String

    /// The directory that was made for it; `nil` if the user chose the path.
    private let temporary: Directory?

    /// Writes the file.
    ///
    /// - Parameters:
    ///   - text: The certificate in PEM.
    ///   - chosenPath: Where the user wants it; a regular file there is replaced, and nothing else. `nil` makes a directory that
    ///     only this user can read.
    /// - Throws: `FileError` naming the file and the rule.
    init(_ text: String, at chosenPath: String?) throws {
        let contents = SecretBytes(Array(text.utf8))
        if let chosenPath {
            (path, temporary) = (chosenPath, nil)
            let directory = try Directory(FilePath.parent(of: chosenPath), for: .output)
            try NewFile.write(
                FilePath.name(of: chosenPath),
                in: directory,
                contents,
                mode: 0o644,
                replacing: .always
            )
            return
        }
        let parent = ProcessInfo.processInfo.environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
        let directory = try Directory.makeTemporary("pki-lab-", in: parent)
        (path, temporary) = (directory.path(of: Self.name), directory)
        do {
            try directory.create(Self.name, contents, mode: 0o644)
        } catch {
            removeIfTemporary()
            throw error
        }
    }

    /// Removes the file and its directory, unless the user chose the path.
    func removeIfTemporary() {
        temporary?.unlink(Self.name)
        temporary?.remove()
    }
}
