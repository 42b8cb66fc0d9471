// SPDX-License-Identifier: Apache-2.0

import Certificates

/// What a report says of a broken rule.
struct FindingFacts: Encodable, Sendable {
    var rule: String
    var severity: String
    var source: String
    var finding: String
    var hint: String

    init(_ finding: ValidationFinding) {
        rule = finding.rule.name
        severity = finding.rule.severity.rawValue
        source = finding.rule.source
        self.finding = finding.finding
        hint = finding.hint
    }
}

extension FieldList {
    /// Adds a broken rule: what is wrong, what mends it, and where it is written.
    mutating func add(_ finding: FindingFacts) {
        add(finding.severity, finding.finding)
        add("", "to mend it: \(finding.hint)")
        add("", "[\(finding.rule)] \(finding.source)")
    }
}

/// How many findings there are of each severity.
struct FindingCounts: Encodable, Sendable {
    var errors = 0
    var warnings = 0
    var notices = 0

    /// Counts.
    init(_ findings: some Sequence<FindingFacts>) {
        for finding in findings {
            switch ValidationRule.Severity(rawValue: finding.severity) {
            case .error: errors += 1
            case .warning: warnings += 1
            case .notice, nil: notices += 1
            }
        }
    }

    /// `2 errors, 1 warning`
    var text: String {
        let parts = [(errors, "error"), (warnings, "warning"), (notices, "notice")].filter { $0.0 > 0 }
        return parts.isEmpty
            ? "nothing found" : parts.map { "\($0.0) \($0.1)\($0.0 == 1 ? "" : "s")" }.joined(separator: ", ")
    }
}
