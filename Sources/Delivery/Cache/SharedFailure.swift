// SPDX-License-Identifier: Apache-2.0

internal import struct FoundationEssentials.Date
import SystemSupport

/// A failure of another process to obtain what this one wants too. It was waited for, and is not repeated.
package struct SharedFailure: ExplainedError, Equatable {
    /// What went wrong.
    package let message: String

    /// The way out, when there is one to name.
    package let hint: String?

    /// The exit status that it means.
    package let status: Int32

    /// When it happened.
    let date: Date

    init(_ error: any Error, status: Int32, at date: Date) {
        let explained = error as? any ExplainedError
        message = explained?.message ?? "\(error)"
        hint = explained?.hint
        self.status = status
        self.date = date
    }

    /// Reads what a process wrote down; nothing when it is no failure.
    init?(_ text: String) {
        let lines = text.utf8.split(separator: 0x0a, omittingEmptySubsequences: false).map(Substring.init)
        guard lines.count == 5, lines[4].isEmpty, let microseconds = Int(lines[0]), let status = Int32(lines[1]) else {
            return nil
        }
        date = Date(timeIntervalSince1970: Double(microseconds) / 1_000_000)
        self.status = status
        message = String(lines[2])
        hint = lines[3].isEmpty ? nil : String(lines[3])
    }

    /// What to write down: the time in microseconds since 1970, the status, the message, the way out; a line each.
    var text: String {
        let time = Int((date.timeIntervalSince1970 * 1_000_000).rounded(.up))
        return [
            String(time), String(status), printable(message, limit: 4096), printable(hint ?? "", limit: 4096), "",
        ]
        .joined(separator: "\n")
    }
}
