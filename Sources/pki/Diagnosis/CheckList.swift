// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// Checks that are made one after the other, whatever comes of those before.
///
/// Each is a closure: those of a CA's folder and those of the road to AWS know nothing of one another.
struct CheckList {
    /// What a check found.
    struct Outcome: Sendable {
        let verdict: Check.Verdict
        let found: String
        let remedy: String?

        /// All is well.
        static func ok(_ found: String) -> Outcome { Outcome(verdict: .ok, found: found, remedy: nil) }

        /// Something should be known.
        static func warning(_ found: String, remedy: String?) -> Outcome {
            Outcome(verdict: .warning, found: found, remedy: remedy)
        }

        /// Something does not work.
        static func failed(_ found: String, remedy: String?) -> Outcome {
            Outcome(verdict: .failed, found: found, remedy: remedy)
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
                outcome = Outcome(verdict: .skipped, found: skipped.reason, remedy: nil)
            } catch let error as any ExplainedError {
                outcome = .failed(error.message, remedy: error.remedy)
            } catch {
                outcome = .failed("\(error)", remedy: nil)
            }
            return Check(
                name: check.name,
                verdict: outcome.verdict,
                found: outcome.found,
                remedy: outcome.remedy ?? (outcome.verdict == .failed ? check.wayOut : nil)
            )
        }
    }
}
