// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// Checks that are made one after the other, whatever comes of those before.
///
/// Each is a closure: those of a CA's directory and those of the road to AWS know nothing of one another.
struct CheckList {
    /// What a check found.
    struct Outcome: Sendable {
        let verdict: Check.Verdict
        let found: String
        let hint: String?

        /// All is well.
        static func ok(_ found: String) -> Outcome { Outcome(verdict: .ok, found: found, hint: nil) }

        /// Something should be known.
        static func warning(_ found: String, hint: String?) -> Outcome {
            Outcome(verdict: .warning, found: found, hint: hint)
        }

        /// Something does not work.
        static func failed(_ found: String, hint: String?) -> Outcome {
            Outcome(verdict: .failed, found: found, hint: hint)
        }
    }

    /// Thrown by a check that cannot be made, or is not wanted.
    struct Skipped: Error {
        /// Why.
        let reason: String

        init(_ reason: String) { self.reason = reason }
    }

    private var checks: [(name: String, wayOut: String, run: () throws -> Outcome)] = []

    /// Adds a check behind the others.
    ///
    /// - Parameters:
    ///   - name: What is looked at, in one word.
    ///   - wayOut: What to do about a failure that names no way out itself.
    ///   - run: Looks. What it throws is a failure, but for ``Skipped``.
    mutating func add(_ name: String, wayOut: String, _ run: @escaping () throws -> Outcome) {
        checks.append((name, wayOut, run))
    }

    /// Makes the checks.
    ///
    /// - Returns: What was found, in their order.
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
                name: check.name,
                verdict: outcome.verdict,
                found: outcome.found,
                hint: outcome.hint ?? (outcome.verdict == .failed ? check.wayOut : nil)
            )
        }
    }
}
