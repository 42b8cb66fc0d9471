// SPDX-License-Identifier: Apache-2.0

/// One key under one operator of a `Condition`, with the values of which one must do.
struct PolicyCondition: Sendable, Hashable {
    let comparison: ConditionOperator

    /// The key and the values as written.
    let key: String
    let texts: [String]

    /// The key in lower case.
    private let foldedKey: String
    private let values: [ConditionValue]

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
        guard !actual.isEmpty else {
            return PolicyMismatch(text: "\(wish), the request has no such key", hint: absenceHint(context))
        }
        return PolicyMismatch(text: "\(wish), the request has \(actual.quoted(atMost: 5))", hint: valueHint(actual))
    }

    private func absenceHint(_ context: PolicyContext) -> String {
        let near = context.keys(near: key)
        guard !near.isEmpty else { return "leave the condition out, or have the request carry \(key)" }
        let shown = near.prefix(10).joined(separator: ", ")
        return "the request has \(shown)\(near.count > 10 ? " and \(near.count - 10) more" : "")"
    }

    private func valueHint(_ actual: [String]) -> String? {
        if comparison.comparison == .arn, texts.contains(where: { $0.split(separator: ":").count < 3 }) {
            return "write the six parts of an ARN, for example arn:aws:rolesanywhere:*:*:trust-anchor/*"
        }
        guard case .string(ignoresCase: false) = comparison.comparison, !comparison.isNegated else { return nil }
        if actual.contains(where: { value in texts.contains { $0.lowercased() == value.lowercased() } }) {
            return "they differ in case only: write the value as the request has it, or use StringEqualsIgnoreCase"
        }
        return texts.contains { $0.contains("*") || $0.contains("?") }
            ? "* and ? are wildcards in StringLike only, not in StringEquals" : nil
    }

    private func wish(in context: PolicyContext) -> String {
        if comparison.comparison == .null {
            return texts.contains { $0.lowercased() == "true" } ? "wants no such key" : "wants the key to be there"
        }
        let several = texts.count > 1
        let shown = zip(texts, values).map { text, value in
            guard case .template(let template) = value, template.hasVariables else { return "\"\(text)\"" }
            let resolved = template.resolved(in: context).map { "which is \"\($0)\" here" } ?? "which has no value here"
            return "\"\(text)\", \(resolved)"
        }
        let list = shown.isEmpty ? "nothing, for the list is empty" : shown.joined(separator: ", ")
        let all = comparison.quantifier == .allValues ? " every value to be" : ""
        return "wants\(all) \(comparison.isNegated ? "anything but " : relation)\(several ? "one of " : "")\(list)"
    }

    private var relation: String {
        switch comparison.comparison {
        case .string, .truth, .binary, .null, .number(.equal), .date(.equal): ""
        case .like, .arn: "something like "
        case .number(.less): "less than "
        case .number(.lessOrEqual): "at most "
        case .number(.greater): "more than "
        case .number(.greaterOrEqual): "at least "
        case .date(.less): "a time before "
        case .date(.lessOrEqual): "a time not after "
        case .date(.greater): "a time after "
        case .date(.greaterOrEqual): "a time not before "
        case .address: "an address in "
        }
    }
}

/// What is known of a request, by condition key.
///
/// Case does not count in the name of a key (IAM User Guide, "IAM JSON policy elements: Condition"). A key without
/// values is an absent key.
struct PolicyContext: Sendable, Hashable {
    private struct Entry: Sendable, Hashable {
        var name: String
        var values: [String]
    }

    private var entries: [String: Entry] = [:]

    init() {}

    /// The values of a key; none when it is absent.
    subscript(_ key: String) -> [String] {
        get { values(ofFolded: key.lowercased()) }
        set { entries[key.lowercased()] = newValue.isEmpty ? nil : Entry(name: key, values: newValue) }
    }

    /// Sets the one value of a key; `nil` removes the key.
    mutating func set(_ value: String?, for key: String) { self[key] = value.map { [$0] } ?? [] }

    /// The values of a key that is in lower case already.
    func values(ofFolded key: String) -> [String] { entries[key]?.values ?? [] }

    /// The names of the keys, as they were set, sorted.
    var keys: [String] { entries.values.map(\.name).sorted() }

    /// The keys that share the longest beginning with a key that is absent, sorted: what its writer may have meant. None if
    /// not even the part before the colon is known.
    func keys(near key: String) -> [String] {
        let folded = key.lowercased()
        var beginning = folded[...]
        while let end = beginning.lastIndex(where: { $0 == "/" || $0 == ":" }) {
            beginning = beginning[...end]
            let found = entries.filter { $0.key.hasPrefix(beginning) && $0.key != folded }.map(\.value.name)
            if !found.isEmpty { return found.sorted() }
            beginning = beginning.dropLast()
        }
        return []
    }
}

extension PolicyContext: ExpressibleByDictionaryLiteral {
    init(dictionaryLiteral elements: (String, [String])...) {
        for (key, value) in elements { self[key] = value }
    }
}
