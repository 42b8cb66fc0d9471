// SPDX-License-Identifier: Apache-2.0

/// Why a database cannot be opened, read or written: what SQLite says of it.
package struct SQLiteError: Error, Hashable, CustomStringConvertible {
    /// SQLite's primary result code, such as 13 for a full disk.
    package let code: Int32

    /// What SQLite says, lower case; with what the system says where that is the cause.
    package let message: String

    /// Whether another process holds the lock and did not let go of it in time.
    package var isBusy: Bool { code == 5 || code == 6 }

    /// Whether the file is not a database, or a damaged one.
    package var isDamaged: Bool { code == 11 || code == 26 }

    /// Whether the disk has no room, or the process may not write more.
    package var isFull: Bool { code == 13 }

    /// The message.
    package var description: String { message }

    init(code: Int32, message: String) {
        self.code = code & 0xff
        self.message = message.prefix(1).lowercased() + message.dropFirst()
    }
}
