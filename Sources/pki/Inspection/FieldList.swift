// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// Lines of fields: a label and its values below one another, at most 100 columns wide.
///
/// All text is made ``printable(_:limit:)`` here, so that no name in a certificate can control a terminal.
struct FieldList {
    static let width = 100
    private static let indent = 2
    private static let labelWidth = 18

    /// How many values of one field are shown.
    private static let valueLimit = 20

    private(set) var lines: [String] = []

    mutating func heading(_ text: String) { lines.append(printable(text)) }

    mutating func add(_ label: String = "", _ value: String?) {
        guard let value else { return }
        for (index, line) in Self.wrapped(printable(value)).enumerated() {
            let start = index == 0 ? label : ""
            let gap = String(repeating: " ", count: max(1, Self.labelWidth - start.count))
            lines.append("\(String(repeating: " ", count: Self.indent))\(start)\(gap)\(line)")
        }
    }

    /// Adds a field with several values, each on a line of its own; of very many the first ones.
    mutating func add(_ label: String, _ values: [String]) {
        for (index, value) in values.prefix(Self.valueLimit).enumerated() { add(index == 0 ? label : "", value) }
        if values.count > Self.valueLimit { add("", "… and \(values.count - Self.valueLimit) more") }
    }

    /// Breaks a line after blanks and commas. Longer words stay whole, so that they can be copied.
    private static func wrapped(_ text: String) -> [String] {
        let width = Self.width - indent - labelWidth
        guard text.count > width else { return [text] }
        var lines: [String] = []
        var line = ""
        var word = ""
        func flush() {
            if !line.isEmpty, line.count + word.count > width, line.count + trimmed(word).count > width {
                lines.append(trimmed(line))
                line = ""
            }
            line += word
            word = ""
        }
        for character in text {
            word.append(character)
            if character == " " || character == "," { flush() }
        }
        flush()
        return lines + [trimmed(line)]
    }

    private static func trimmed(_ text: String) -> String {
        var rest = Substring(text)
        while rest.last == " " { rest.removeLast() }
        return String(rest)
    }
}

/// A broken rule in a report.
struct FindingFacts: Encodable, Sendable {
    var rule: String
    var severity: String
    var source: String
    var finding: String
    var hint: String

    init(_ finding: RuleViolation) {
        rule = finding.rule.name
        severity = finding.rule.severity.rawValue
        source = finding.rule.source
        self.finding = finding.finding
        hint = finding.hint
    }
}

extension FieldList {
    /// Adds a broken rule: what is wrong, the hint and the source.
    mutating func add(_ finding: FindingFacts) {
        add(finding.severity, finding.finding)
        add("", "hint: \(finding.hint)")
        add("", "[\(finding.rule)] \(finding.source)")
    }
}

struct FindingCounts: Encodable, Sendable {
    var errors = 0
    var warnings = 0
    var notices = 0

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
            ? "no findings" : parts.map { "\($0.0) \($0.1)\($0.0 == 1 ? "" : "s")" }.joined(separator: ", ")
    }
}

/// Whether a time is within a period.
enum Validity: String, Encodable, Sendable {
    case notYetValid, valid, expired

    init(of date: Date, from start: Date, to end: Date?) {
        self = date < start ? .notYetValid : end.map { date > $0 } ?? false ? .expired : .valid
    }

    /// `84 days`, `5 hours`, `1 minute`: the whole ones between two times.
    static func span(_ seconds: Double) -> String {
        let seconds = Int(abs(seconds))
        for (name, length) in [("day", 86_400), ("hour", 3600), ("minute", 60)] where seconds >= length {
            let count = seconds / length
            return "\(count) \(name)\(count == 1 ? "" : "s")"
        }
        return "less than a minute"
    }

    /// Both ends, and the time left or since.
    static func text(from start: Date, to end: Date, at now: Date) -> [String] {
        let state =
            switch Validity(of: now, from: start, to: end) {
            case .notYetValid: "NOT YET VALID: begins in \(span(start.timeIntervalSince(now)))"
            case .valid: "\(span(end.timeIntervalSince(now))) left"
            case .expired: "EXPIRED \(span(now.timeIntervalSince(end))) ago"
            }
        return ["\(CivilTime(start).extended) to \(CivilTime(end).extended), \(state)"]
    }
}
