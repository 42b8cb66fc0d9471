// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// What one check of `pki doctor` found.
struct Check: Encodable, Sendable {
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
    var verdict: Verdict
    /// What was found.
    var found: String
    /// How to fix it.
    var hint: String?
}

/// What `doctor` answers.
struct Diagnosis: Report {
    /// The checks in their order.
    var checks: [Check] = []
    /// What was repaired.
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

/// Checks that run in order; a failure does not stop those after it.
///
/// The checks of a CA's directory and those of access to AWS are independent of one another.
struct CheckList {
    /// What a check found.
    struct Outcome: Sendable {
        let verdict: Check.Verdict
        let found: String
        let hint: String?

        static func ok(_ found: String) -> Outcome { Outcome(verdict: .ok, found: found, hint: nil) }

        static func warning(_ found: String, hint: String?) -> Outcome {
            Outcome(verdict: .warning, found: found, hint: hint)
        }

        static func failed(_ found: String, hint: String?) -> Outcome {
            Outcome(verdict: .failed, found: found, hint: hint)
        }
    }

    /// Thrown by a check that cannot be made, or is not wanted.
    struct Skipped: Error {
        let reason: String

        init(_ reason: String) { self.reason = reason }
    }

    private var checks: [(name: String, hint: String, run: () throws -> Outcome)] = []

    /// Adds a check behind the others.
    mutating func add(_ name: String, hint: String, _ run: @escaping () throws -> Outcome) {
        checks.append((name, hint, run))
    }

    /// Makes the checks.
    func run() -> [Check] {
        checks.map { check in
            let outcome: Outcome
            do {
                outcome = try check.run()
            } catch let skipped as Skipped {
                outcome = Outcome(verdict: .skipped, found: skipped.reason, hint: nil)
            } catch let error as any ExplainedError {
                outcome = .failed(error.message, hint: error.hint)
            } catch {
                outcome = .failed("\(error)", hint: nil)
            }
            return Check(
                name: check.name, verdict: outcome.verdict, found: outcome.found,
                hint: outcome.hint ?? (outcome.verdict == .failed ? check.hint : nil))
        }
    }
}
