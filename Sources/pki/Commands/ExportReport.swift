// SPDX-License-Identifier: Apache-2.0

/// What `export` answers when it has written files.
struct ExportReport: Report {
    /// The path of what was exported.
    var file: String
    /// The path of the passphrase that was made for it.
    var passphrase: String?
    /// The command that a user is likely to want next.
    private var next: String

    private enum CodingKeys: CodingKey { case file, passphrase }

    /// Describes what was written.
    ///
    /// - Parameters:
    ///   - file: The path of what was exported.
    ///   - passphrase: The path of the passphrase that was made for it.
    ///   - next: The command that a user is likely to want next.
    init(file: String, passphrase: String?, next: String) {
        self.file = file
        self.passphrase = passphrase
        self.next = next
    }

    var text: String {
        var lines = ["file         \(file) (readable by you alone)"]
        if let passphrase { lines.append("passphrase   \(passphrase) (readable by you alone)") }
        lines.append("next         \(next)")
        return lines.joined(separator: "\n")
    }
}
