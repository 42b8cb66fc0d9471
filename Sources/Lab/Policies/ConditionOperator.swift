// SPDX-License-Identifier: Apache-2.0

/// How a condition compares (IAM User Guide, "IAM JSON policy elements: Condition operators").
struct ConditionOperator: Sendable, Hashable {
    /// What is compared.
    enum Comparison: Sendable, Hashable {
        case string(ignoresCase: Bool), like, number(Relation), date(Relation), truth, binary, address, arn, null

        /// Whether values may hold policy variables.
        var takesVariables: Bool {
            switch self {
            case .string, .like, .arn: true
            case .number, .date, .truth, .binary, .address, .null: false
            }
        }
    }

    /// How a request's number or moment stands to the policy's.
    enum Relation: Sendable, Hashable {
        case equal, less, lessOrEqual, greater, greaterOrEqual

        func holds(_ left: Double, _ right: Double) -> Bool {
            switch self {
            case .equal: left == right
            case .less: left < right
            case .lessOrEqual: left <= right
            case .greater: left > right
            case .greaterOrEqual: left >= right
            }
        }
    }

    /// What is asked of several values in the request.
    enum Quantifier: Sendable, Hashable { case none, anyValue, allValues }

    private static let comparisons: [String: (comparison: Comparison, isNegated: Bool)] = [
        "StringEquals": (.string(ignoresCase: false), false), "StringNotEquals": (.string(ignoresCase: false), true),
        "StringEqualsIgnoreCase": (.string(ignoresCase: true), false),
        "StringNotEqualsIgnoreCase": (.string(ignoresCase: true), true),
        "StringLike": (.like, false), "StringNotLike": (.like, true),
        "NumericEquals": (.number(.equal), false), "NumericNotEquals": (.number(.equal), true),
        "NumericLessThan": (.number(.less), false), "NumericLessThanEquals": (.number(.lessOrEqual), false),
        "NumericGreaterThan": (.number(.greater), false),
        "NumericGreaterThanEquals": (.number(.greaterOrEqual), false),
        "DateEquals": (.date(.equal), false), "DateNotEquals": (.date(.equal), true),
        "DateLessThan": (.date(.less), false), "DateLessThanEquals": (.date(.lessOrEqual), false),
        "DateGreaterThan": (.date(.greater), false), "DateGreaterThanEquals": (.date(.greaterOrEqual), false),
        "Bool": (.truth, false), "BinaryEquals": (.binary, false), "Null": (.null, false),
        "IpAddress": (.address, false), "NotIpAddress": (.address, true),
        "ArnEquals": (.arn, false), "ArnNotEquals": (.arn, true), "ArnLike": (.arn, false), "ArnNotLike": (.arn, true),
    ]

    /// The name as it stands in the policy, with prefix and suffix.
    let name: String

    let comparison: Comparison

    /// Whether the comparison must fail.
    let isNegated: Bool

    /// Whether an absent key satisfies it.
    let acceptsAbsence: Bool

    let quantifier: Quantifier

    /// Finds an operator by its name, in which case counts; there is nothing when there is none.
    ///
    /// - Parameter name: The name, with `ForAnyValue:` or `ForAllValues:` before it and `IfExists` behind it or not.
    init?(_ name: String) {
        var rest = name[...]
        var quantifier = Quantifier.none
        for (prefix, meaning) in [("ForAnyValue:", Quantifier.anyValue), ("ForAllValues:", .allValues)]
        where rest.hasPrefix(prefix) {
            quantifier = meaning
            rest = rest.dropFirst(prefix.count)
        }
        let acceptsAbsence = rest.hasSuffix("IfExists")
        if acceptsAbsence { rest = rest.dropLast("IfExists".count) }
        guard let (comparison, isNegated) = Self.comparisons[String(rest)] else { return nil }
        // Null asks whether there is a key: neither prefix nor suffix would mean anything.
        if comparison == .null, acceptsAbsence || quantifier != .none { return nil }
        self.name = name
        self.comparison = comparison
        self.isNegated = isNegated
        self.acceptsAbsence = acceptsAbsence
        self.quantifier = quantifier
    }

    /// What the writer of a name that is no operator's may have meant.
    static func suggestion(for name: String) -> String? {
        let parts = name.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let prefixes = parts.count == 2 ? ["ForAnyValue:", "ForAllValues:"] : [""]
        let suffixes = name.lowercased().hasSuffix("ifexists") ? ["IfExists"] : [""]
        let names = prefixes.flatMap { prefix in
            suffixes.flatMap { suffix in comparisons.keys.map { prefix + $0 + suffix } }
        }
        return Spelling.nearest(to: name, in: names.filter { ConditionOperator($0) != nil })
    }
}
