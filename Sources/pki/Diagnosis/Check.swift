// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// What one check of `pki doctor` found.
struct Check: Encodable, Sendable {
    /// How it went.
    enum Verdict: String, Encodable, Sendable {
        /// As it should be.
        case ok
        /// It works, and will not for long, or not everywhere.
        case warning
        /// It does not work.
        case failed
        /// It was not looked at.
        case skipped
    }

    /// The check's name, for programs.
    var name: String
    /// How it went.
    var verdict: Verdict
    /// What was found.
    var found: String
    /// The way out.
    var hint: String?
}

/// What `doctor` answers.
struct Diagnosis: Report {
    /// The checks in their order.
    var checks: [Check] = []
    /// What was mended.
    var repaired: [String] = []

    /// Whether anything does not work.
    var hasFailed: Bool { checks.contains { $0.verdict == .failed } }

    var text: String {
        let width = checks.map(\.name.count).max() ?? 0
        var lines = repaired.map { "repaired  \(printable($0))" }
        for check in checks {
            let verdict = check.verdict.rawValue.padding(to: 8)
            lines.append("\(verdict)  \(check.name.padding(to: width))  \(printable(check.found))")
            if check.verdict != .ok, let hint = check.hint {
                lines.append(String(repeating: " ", count: 12 + width) + "→ \(printable(hint))")
            }
        }
        return lines.joined(separator: "\n")
    }
}

extension String {
    /// The text with blanks behind it.
    fileprivate func padding(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
