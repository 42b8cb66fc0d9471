// SPDX-License-Identifier: Apache-2.0

/// A rule that certificates or lists of revoked ones are held to, with the place where it is written.
public struct ValidationRule: Hashable, Sendable {
    /// How bad it is to break a rule.
    public enum Severity: String, Comparable, CaseIterable, Sendable {
        /// Nothing is wrong; somebody may be surprised.
        case notice
        /// A rule that is not binding, or a risk.
        case warning
        /// A binding rule: software may refuse what breaks it.
        case error

        /// Whether one is less bad than another.
        public static func < (left: Severity, right: Severity) -> Bool {
            left != right && (left == .notice || right == .error)
        }
    }

    /// What a rule is about.
    public enum Scope: String, CaseIterable, Sendable {
        /// A certificate alone.
        case certificate
        /// A list of revoked certificates alone.
        case revocationList
        /// A certificate or a list together with the certificate of its issuer, or a whole path.
        case path
    }

    /// The rule's name, for programs: `serial-zero`.
    public let name: String

    /// How bad it is to break it.
    public let severity: Severity

    /// Where it is written: `RFC 5280 §4.1.2.2`.
    public let source: String

    /// What it says, in one sentence.
    public let summary: String

    /// What mends it in most cases.
    public let hint: String

    /// What it is about.
    public let scopes: [Scope]

    /// Writes down a rule.
    ///
    /// - Parameters:
    ///   - name: The rule's name, for programs.
    ///   - severity: How bad it is to break it.
    ///   - source: Where it is written.
    ///   - summary: What it says, in one sentence.
    ///   - hint: What mends it in most cases.
    ///   - scopes: What it is about.
    package init(
        _ name: String,
        _ severity: Severity,
        _ source: String,
        _ summary: String,
        hint: String,
        scopes: [Scope] = [.certificate]
    ) {
        self.name = name
        self.severity = severity
        self.source = source
        self.summary = summary
        self.hint = hint
        self.scopes = scopes
    }

    /// Every rule that this module checks, in the order in which it does.
    public static let all: [ValidationRule] =
        EncodingRule.allRules + TimeRule.allRules + KeyRule.allRules + NameRule.allRules + UsageRule.allRules
        + AlternativeNameRule.allRules + RevocationListRule.allRules + IssuerRule.allRules + PathRule.allRules
}

/// A rule that something breaks.
public struct ValidationFinding: Hashable, Sendable {
    /// The rule.
    public let rule: ValidationRule

    /// What is wrong, in words that go on after the thing's name: `has the serial number 0`.
    public let finding: String

    /// What mends it.
    public let hint: String

    /// Makes a finding.
    ///
    /// - Parameters:
    ///   - rule: The rule.
    ///   - finding: What is wrong, in words that go on after the thing's name.
    ///   - hint: What mends it; the rule's own hint when nothing is given.
    package init(_ rule: ValidationRule, _ finding: String, hint: String? = nil) {
        self.rule = rule
        self.finding = finding
        self.hint = hint ?? rule.hint
    }
}

extension [ValidationFinding] {
    /// The findings that break binding rules.
    public var errors: [ValidationFinding] { filter { $0.rule.severity == .error } }
}

/// Rules of one kind. The compiler sees to it that each has its place in the table.
protocol RuleGroup: RawRepresentable<String>, CaseIterable, Sendable {
    /// What the table says of a rule.
    var entry: RuleEntry { get }
    /// What the rules of the group are about, unless their entries say.
    static var scopes: [ValidationRule.Scope] { get }
}

/// A line of the table of rules, without the name.
struct RuleEntry {
    var severity: ValidationRule.Severity
    var source: String
    var summary: String
    var hint: String
    var scopes: [ValidationRule.Scope]?

    init(
        _ severity: ValidationRule.Severity,
        _ source: String,
        _ summary: String,
        _ hint: String,
        scopes: [ValidationRule.Scope]? = nil
    ) {
        self.severity = severity
        self.source = source
        self.summary = summary
        self.hint = hint
        self.scopes = scopes
    }
}

extension RuleGroup {
    static var scopes: [ValidationRule.Scope] { [.certificate] }

    /// The rule as the table has it.
    var rule: ValidationRule {
        let entry = entry
        return ValidationRule(
            rawValue,
            entry.severity,
            entry.source,
            entry.summary,
            hint: entry.hint,
            scopes: entry.scopes ?? Self.scopes
        )
    }

    /// The rules of the group.
    static var allRules: [ValidationRule] { allCases.map(\.rule) }
}

/// Findings as they are made.
struct FindingList {
    private(set) var findings: [ValidationFinding] = []

    /// Adds what breaks a rule.
    mutating func add(_ rule: some RuleGroup, _ finding: String, hint: String? = nil) {
        findings.append(ValidationFinding(rule.rule, finding, hint: hint))
    }

    /// Adds what was found elsewhere.
    mutating func add(_ finding: ValidationFinding) { findings.append(finding) }
}
