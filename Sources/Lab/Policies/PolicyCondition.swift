// SPDX-License-Identifier: Apache-2.0

/// One key under one operator of a `Condition`, with the values of which one must do.
struct PolicyCondition: Sendable, Hashable {
    let comparison: ConditionOperator

    /// The key as written.
    let key: String

    /// The key in lower case.
    private let foldedKey: String

    private let values: [ConditionValue]

    /// The values as written.
    let texts: [String]

    init(_ comparison: ConditionOperator, key: String, values: [ConditionValue], texts: [String]) {
        self.comparison = comparison
        self.key = key
        foldedKey = key.lowercased()
        self.values = values
        self.texts = texts
    }

    /// Whether a request meets the condition.
    ///
    /// An absent key fails an operator, but not a negated one, nor one with `IfExists` or `ForAllValues:` (IAM User Guide,
    /// "Condition operators", "Single-valued vs. multivalued context keys"). `ForAnyValue:` looks for one value and finds
    /// none, with `IfExists` or without.
    func isMet(in context: PolicyContext) -> Bool {
        let actual = context.values(ofFolded: foldedKey)
        if comparison.comparison == .null { return values.contains(.truth(actual.isEmpty)) }
        switch comparison.quantifier {
        case .anyValue: return actual.contains { accepts($0, context) }
        case .allValues: return actual.allSatisfy { accepts($0, context) }
        case .none:
            guard !actual.isEmpty else { return comparison.acceptsAbsence || comparison.isNegated }
            return actual.contains { matches($0, context) } != comparison.isNegated
        }
    }

    private func accepts(_ actual: String, _ context: PolicyContext) -> Bool {
        matches(actual, context) != comparison.isNegated
    }

    private func matches(_ actual: String, _ context: PolicyContext) -> Bool {
        values.contains { $0.matches(actual, comparison.comparison, context) }
    }
}

extension PolicyCondition {
    /// Why a request does not meet the condition, with the values of both.
    func mismatch(in context: PolicyContext) -> PolicyMismatch {
        let actual = context.values(ofFolded: foldedKey)
        let wish = "\(comparison.name) \(key) \(wish(in: context))"
        if comparison.comparison == .null {
            return PolicyMismatch(
                text: actual.isEmpty
                    ? "\(wish), the request has no such key" : "\(wish), the request has \(Self.quoted(actual))",
                hint: actual.isEmpty ? absenceHint(context) : nil
            )
        }
        guard !actual.isEmpty else {
            return PolicyMismatch(text: "\(wish), the request has no such key", hint: absenceHint(context))
        }
        return PolicyMismatch(
            text: "\(wish), the request has \(Self.quoted(actual))",
            hint: comparison.comparison == .arn && texts.contains { $0.split(separator: ":").count < 3 }
                ? "write the six parts of an ARN, for example arn:aws:rolesanywhere:*:*:trust-anchor/*"
                : caseHint(actual)
        )
    }

    private func absenceHint(_ context: PolicyContext) -> String {
        let near = context.keys(near: key)
        guard !near.isEmpty else { return "leave the condition out, or have the request carry \(key)" }
        let shown = near.prefix(10).joined(separator: ", ")
        return "the request has \(shown)\(near.count > 10 ? " and \(near.count - 10) more" : "")"
    }

    private func caseHint(_ actual: [String]) -> String? {
        guard case .string(ignoresCase: false) = comparison.comparison, !comparison.isNegated else { return nil }
        if actual.contains(where: { value in texts.contains { $0.lowercased() == value.lowercased() } }) {
            return "they differ in case only: write the value as the request has it, or use StringEqualsIgnoreCase"
        }
        return texts.contains { $0.contains("*") || $0.contains("?") }
            ? "* and ? are wildcards in StringLike only, not in StringEquals" : nil
    }

    private func wish(in context: PolicyContext) -> String {
        switch comparison.comparison {
        case .null:
            return texts.contains { $0.lowercased() == "true" } ? "wants no such key" : "wants the key to be there"
        default: break
        }
        let several = texts.count > 1
        let shown = zip(texts, values).map { text, value in
            guard case .template(let template) = value, template.hasVariables else { return "\"\(text)\"" }
            let resolved = template.resolved(in: context).map { "which is \"\($0)\" here" } ?? "which has no value here"
            return "\"\(text)\", \(resolved)"
        }
        let list = shown.isEmpty ? "nothing, for the list is empty" : shown.joined(separator: ", ")
        let all = comparison.quantifier == .allValues ? " every value to be" : ""
        if comparison.isNegated { return "wants\(all) anything but \(several ? "one of " : "")\(list)" }
        return "wants\(all) \(relation)\(several ? "one of " : "")\(list)"
    }

    private var relation: String {
        switch comparison.comparison {
        case .string, .truth, .binary, .null, .number(.equal), .date(.equal): ""
        case .like, .arn: "something like "
        case .number(.less): "less than "
        case .number(.lessOrEqual): "at most "
        case .number(.greater): "more than "
        case .number(.greaterOrEqual): "at least "
        case .date(.less): "a moment before "
        case .date(.lessOrEqual): "a moment not after "
        case .date(.greater): "a moment after "
        case .date(.greaterOrEqual): "a moment not before "
        case .address: "an address in "
        }
    }

    private static func quoted(_ values: [String]) -> String {
        let shown = values.prefix(5).map { "\"\($0)\"" }.joined(separator: ", ")
        return values.count > 5 ? "\(shown) and \(values.count - 5) more" : shown
    }
}
