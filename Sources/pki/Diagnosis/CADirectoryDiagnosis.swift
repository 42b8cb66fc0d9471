// SPDX-License-Identifier: Apache-2.0

import Authority
import FoundationEssentials

/// The part of `pki doctor` that is about the CA's directory.
struct CADirectoryDiagnosis {
    /// The names of the checks, and what is said when one finds nothing.
    private static let checks = [
        ("inventory", "the inventory is whole"),
        ("audit", "the audit is unbroken"),
        ("permissions", "nobody but the owner can use the keys"),
        ("certificate-file", "every certificate is where the inventory says it is"),
        ("key-file", "every key is its certificate's"),
        ("chain-file", "every chain is there"),
        ("expiry", "nothing ends within 30 days, and no CA within 90"),
        ("issuer", "the CA of every certificate is here and not revoked"),
        ("unknown-file", "every certificate of the directory is in the inventory"),
        ("crl", "every revocation stands in a list that is good"),
    ]

    /// The most findings of one kind that are shown one by one.
    private static let limit = 10

    /// Looks at a directory.
    ///
    /// - Parameters:
    ///   - directory: The CA's directory.
    ///   - repairs: Whether to mend what can be mended.
    /// - Returns: What was found, after mending.
    /// - Throws: An `ExplainedError` when there is no inventory to be read.
    static func run(_ directory: String, repairs: Bool) throws -> Diagnosis {
        var diagnosis = Diagnosis()
        if repairs {
            diagnosis.repaired = try Inventory.repair(in: directory, by: Operator.name, now: .now)
        }
        let inventory = try Inventory(reading: directory, now: .now)
        let findings = try inventory.check(now: .now)
        for (name, allIsWell) in checks {
            let found = findings.filter { $0.check == name }
            if found.isEmpty { diagnosis.checks.append(Check(name: name, verdict: .ok, found: allIsWell)) }
            for finding in found.prefix(limit) {
                diagnosis.checks.append(
                    Check(
                        name: name,
                        verdict: verdict(of: finding),
                        found: finding.message,
                        hint: finding.hint
                    )
                )
            }
            if found.count > limit {
                let worst = found.contains { $0.severity == .failure }
                diagnosis.checks.append(
                    Check(name: name, verdict: worst ? .failed : .warning, found: "and \(found.count - limit) more")
                )
            }
        }
        return diagnosis
    }

    private static func verdict(of finding: CADirectoryFinding) -> Check.Verdict {
        switch finding.severity {
        case .notice: .ok
        case .warning: .warning
        case .failure: .failed
        }
    }
}
