// SPDX-License-Identifier: Apache-2.0

/// A rule for certificates or CRLs, with its source.
public struct ValidationRule: Hashable, Sendable {
    /// How bad it is to break a rule.
    public enum Severity: String, Comparable, CaseIterable, Sendable {
        /// No fault, but it may surprise somebody.
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

    /// What a rule applies to.
    public enum Scope: String, CaseIterable, Sendable {
        /// A certificate alone.
        case certificate
        /// A CRL alone.
        case revocationList
        /// A certificate or a CRL together with its issuer's certificate, or a whole path.
        case path
    }

    /// The rule's name, for programs: `serial-zero`.
    public let name: String

    /// How bad it is to break the rule.
    public let severity: Severity

    /// Where the rule is written: `RFC 5280 §4.1.2.2`.
    public let source: String

    /// What the rule says, in one sentence.
    public private(set) var summary: String

    /// What fixes a violation in most cases.
    public private(set) var hint: String

    /// What the rule applies to.
    public let scopes: [Scope]

    package init(
        _ name: String, _ severity: Severity, _ source: String, _ summary: String, hint: String,
        scopes: [Scope] = [.certificate]
    ) {
        self.name = name
        self.severity = severity
        self.source = source
        self.summary = summary
        self.hint = hint
        self.scopes = scopes
    }

    /// Every rule that this module checks, in the order of the checks.
    public static let all: [ValidationRule] =
        EncodingRule.all + TimeRule.all + KeyRule.all + NameRule.all + UsageRule.all + AlternativeNameRule.all
        + RevocationListRule.all + IssuerRule.all + PathRule.all

    /// The names of the rules in ``all``: a check must not report another one.
    fileprivate static let listed = Set(all.map(\.name))
}

/// The notation of the tables of rules: `.error("serial-zero", "RFC 5280 §4.1.2.2").says("…").fix("…")`.
extension ValidationRule {
    static func error(_ name: String, _ source: String, _ scopes: [Scope] = .certificates) -> ValidationRule {
        ValidationRule(name, .error, source, "", hint: "", scopes: scopes)
    }

    static func warning(_ name: String, _ source: String, _ scopes: [Scope] = .certificates) -> ValidationRule {
        ValidationRule(name, .warning, source, "", hint: "", scopes: scopes)
    }

    static func notice(_ name: String, _ source: String, _ scopes: [Scope] = .certificates) -> ValidationRule {
        ValidationRule(name, .notice, source, "", hint: "", scopes: scopes)
    }

    func says(_ summary: String) -> ValidationRule {
        var rule = self
        rule.summary = summary
        return rule
    }

    func fix(_ hint: String) -> ValidationRule {
        var rule = self
        rule.hint = hint
        return rule
    }
}

extension [ValidationRule.Scope] {
    static var certificates: Self { [.certificate] }
    static var lists: Self { [.revocationList] }
    static var both: Self { [.certificate, .revocationList] }
    static var paths: Self { [.path] }
}

/// A rule that a certificate, a CRL or a path breaks.
public struct RuleViolation: Hashable, Sendable {
    /// The rule.
    public let rule: ValidationRule

    /// What is wrong, as a predicate of the certificate or the CRL: `has the serial number 0`.
    public let finding: String

    /// What fixes it.
    public let hint: String

    /// Creates a violation; without a hint, the rule's own is used.
    package init(_ rule: ValidationRule, _ finding: String, hint: String? = nil) {
        self.rule = rule
        self.finding = finding
        self.hint = hint ?? rule.hint
    }

    /// The violation as a warning, where the rule does not bind.
    package var asWarning: RuleViolation {
        let warning = ValidationRule(
            rule.name, .warning, rule.source, rule.summary, hint: rule.hint, scopes: rule.scopes)
        return RuleViolation(warning, finding, hint: hint)
    }
}

extension [RuleViolation] {
    /// The violations of binding rules.
    public var errors: [RuleViolation] { filter { $0.rule.severity == .error } }

    mutating func add(_ rule: ValidationRule, _ finding: String, hint: String? = nil) {
        assert(ValidationRule.listed.contains(rule.name), "\(rule.name) is not in ValidationRule.all")
        append(RuleViolation(rule, finding, hint: hint))
    }
}
