// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import FoundationEssentials
import SystemSupport

/// What one check of `pki doctor` found.
struct Check: Encodable, Sendable {
    enum Verdict: String, Encodable, Sendable {
        case ok
        /// Nothing is wrong, but it should be known.
        case note
        /// It works, but not for long or not everywhere.
        case warning
        case failed
        case skipped
    }

    /// The check's name, for programs.
    var name = ""
    var verdict: Verdict
    var found: String
    var hint: String?

    static func ok(_ found: String) -> Check { Check(verdict: .ok, found: found) }

    static func warning(_ found: String, hint: String?) -> Check { Check(verdict: .warning, found: found, hint: hint) }

    static func failed(_ found: String, hint: String? = nil) -> Check {
        Check(verdict: .failed, found: found, hint: hint)
    }
}

/// The report of `pki doctor`.
struct Diagnosis: Report {
    var checks: [Check] = []
    var repaired: [String] = []

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
    /// The text, padded with blanks.
    fileprivate func padding(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}

/// Runs checks in order. A failure does not stop those after it.
struct CheckList {
    /// Thrown by a check that cannot be made, or that was not requested.
    struct Skipped: Error {
        let reason: String

        init(_ reason: String) { self.reason = reason }
    }

    private(set) var checks: [Check] = []

    /// Runs a check.
    ///
    /// - Parameter hint: For failures that have no hint of their own.
    @discardableResult mutating func add(_ name: String, hint: String, _ run: () throws -> Check) -> Check {
        var check: Check
        do {
            check = try run()
        } catch let skipped as Skipped {
            check = Check(verdict: .skipped, found: skipped.reason)
        } catch let error as any ExplainedError {
            check = .failed(error.message, hint: error.hint)
        } catch {
            check = .failed("\(error)")
        }
        check.name = name
        if check.verdict == .failed, check.hint == nil { check.hint = hint }
        checks.append(check)
        return check
    }

    /// Runs a check and returns what it found, for later ones; `nil` if it failed.
    mutating func find<Value>(_ name: String, hint: String, _ run: () throws -> (Check, Value)) -> Value? {
        var found: Value?
        add(name, hint: hint) {
            let (check, value) = try run()
            found = value
            return check
        }
        return found
    }
}

extension Optional {
    /// The value that a check needs; without it the check is skipped.
    func orSkip(_ reason: String) throws -> Wrapped {
        guard let self else { throw CheckList.Skipped(reason) }
        return self
    }
}

/// The checks of the CA's directory.
struct CADirectoryDiagnosis {
    /// The names of the checks, with the text for one without findings.
    private static let checks = [
        ("database", ""), ("rights", ""), ("replication", ""), ("clock", ""),
        ("inventory", "the inventory is complete"),
        ("audit", "the audit log is intact"),
        ("permissions", "only the owner can use the keys"),
        ("certificate-file", "every certificate is where the inventory says it is"),
        ("key-file", "every key matches its certificate"),
        ("chain-file", "every chain is present"),
        ("expiry", "no certificate expires within 30 days, no CA within 90"),
        ("issuer", "the CA of every certificate is here and not revoked"),
        ("unknown-file", "every certificate of the directory is in the inventory"),
        ("crl", "every revocation is in a current CRL; AWS knows the CRLs that were imported"),
    ]

    /// The maximum number of findings of one check that are listed.
    private static let limit = 10

    /// What is only checked where certificates have files.
    private static let ofFiles = ["certificate-file", "chain-file", "unknown-file"]

    static func run(_ directory: String, inventory address: String?, repairs: Bool) throws -> Diagnosis {
        var diagnosis = Diagnosis()
        if repairs {
            diagnosis.repaired = try Inventory.repair(in: directory, by: Operator.name, now: .now)
        }
        let inventory =
            try address.map { try Inventory(at: $0, in: directory, by: Operator.name, now: .now, isReading: true) }
            ?? Inventory(reading: directory, now: .now)
        let findings = try inventory.check(now: .now) + (address == nil ? [] : inventory.checkServer { .now })
        for (name, allIsWell) in checks {
            let found = findings.filter { $0.check == name }
            let isChecked = !allIsWell.isEmpty && (address == nil || !ofFiles.contains(name))
            if found.isEmpty, isChecked { diagnosis.checks.append(Check(name: name, verdict: .ok, found: allIsWell)) }
            for finding in found.prefix(limit) {
                diagnosis.checks.append(
                    Check(name: name, verdict: verdict(of: finding), found: finding.message, hint: finding.hint))
            }
            if found.count > limit {
                let worst = found.contains { $0.severity == .failure }
                diagnosis.checks.append(
                    Check(name: name, verdict: worst ? .failed : .warning, found: "and \(found.count - limit) more"))
            }
        }
        return diagnosis
    }

    private static func verdict(of finding: CADirectoryFinding) -> Check.Verdict {
        switch finding.severity {
        case .fine: .ok
        case .notice: .note
        case .warning: .warning
        case .failure: .failed
        }
    }
}
