// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// How a condition compares (IAM User Guide, "IAM JSON policy elements: Condition operators").
struct ConditionOperator: Sendable, Hashable {
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

    /// How a request's number or time compares with the policy's.
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

    /// As it is in the policy, with prefix and suffix.
    let name: String
    let comparison: Comparison
    /// Whether the comparison must fail.
    let isNegated: Bool
    /// Whether an absent key satisfies it.
    let acceptsAbsence: Bool
    let quantifier: Quantifier

    /// Finds an operator by its name, in which case counts, with `ForAnyValue:` or `ForAllValues:` before it and `IfExists`
    /// after it or not; `nil` if there is no such operator.
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

    /// The operator that the writer of an unknown name may have meant.
    static func suggestion(for name: String) -> String? {
        let parts = name.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let prefixes = parts.count == 2 ? ["ForAnyValue:", "ForAllValues:"] : [""]
        let suffixes = name.lowercased().hasSuffix("ifexists") ? ["IfExists"] : [""]
        let names = prefixes.flatMap { prefix in
            suffixes.flatMap { suffix in comparisons.keys.map { prefix + $0 + suffix } }
        }
        return nearestWord(to: name, in: names.filter { ConditionOperator($0) != nil })
    }
}

/// A value of a condition, read once for the comparison that it is made for.
enum ConditionValue: Sendable, Hashable {
    case template(PolicyTemplate)
    case number(Double, ConditionOperator.Relation)
    case date(Double, ConditionOperator.Relation)
    case truth(Bool)
    case binary([UInt8])
    case address(AddressRange)

    /// Reads a value; `nil` if the text does not suit the comparison. Old versions of the language have no variables.
    init?(_ text: String, for comparison: ConditionOperator.Comparison, hasVariables: Bool) {
        var style = PolicyTemplate.Style(hasVariables: hasVariables)
        switch comparison {
        case .string(let ignoresCase): style.ignoresCase = ignoresCase
        case .like, .arn: style.hasWildcards = true
        case .number(let relation):
            guard let number = Self.number(text) else { return nil }
            self = .number(number, relation)
            return
        case .date(let relation):
            guard let seconds = Self.seconds(text) else { return nil }
            self = .date(seconds, relation)
            return
        case .truth, .null:
            guard let truth = Self.truth(text) else { return nil }
            self = .truth(truth)
            return
        case .binary:
            guard let bytes = Data(base64Encoded: text) else { return nil }
            self = .binary(Array(bytes))
            return
        case .address:
            guard let range = AddressRange(text) else { return nil }
            self = .address(range)
            return
        }
        guard let template = PolicyTemplate(text, style) else { return nil }
        self = .template(template)
    }

    /// Whether a value of the request is equal, like, less, …: what the operator asks before it is negated. `false` also
    /// for a value that does not suit the comparison.
    func matches(_ actual: String, _ comparison: ConditionOperator.Comparison, _ context: PolicyContext) -> Bool {
        switch self {
        case .template(let template):
            guard let pattern = template.pattern(in: context) else { return false }
            switch comparison {
            case .arn: return pattern.matchesARN(actual)
            case .string(ignoresCase: true): return pattern.matches(actual.lowercased())
            default: return pattern.matches(actual)
            }
        case .number(let wanted, let relation): return Self.number(actual).map { relation.holds($0, wanted) } ?? false
        case .date(let wanted, let relation): return Self.seconds(actual).map { relation.holds($0, wanted) } ?? false
        case .truth(let wanted): return Self.truth(actual) == wanted
        case .binary(let wanted): return Data(base64Encoded: actual).map(Array.init) == wanted
        case .address(let range): return range.contains(actual)
        }
    }

    /// Decimal numbers: no hexadecimal, no infinity, no blanks.
    private static func number(_ text: String) -> Double? {
        guard !text.isEmpty, text.utf8.count <= 40, text.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }),
            let number = Double(text), number.isFinite
        else { return nil }
        return number
    }

    private static func truth(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true": true
        case "false": false
        default: nil
        }
    }

    /// Seconds since 1970, from these seconds or from ISO 8601 with or without clock and seconds.
    private static func seconds(_ text: String) -> Double? {
        if !text.isEmpty, text.utf8.count <= 15, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            // Four digits are a year (W3C, "Date and Time Formats").
            return text.utf8.count == 4 ? time("\(text)-01-01T00:00:00Z") : Double(text)
        }
        return time(text) ?? time("\(text)T00:00:00Z") ?? time("\(text)-01T00:00:00Z") ?? minute(text)
    }

    private static func time(_ text: String) -> Double? {
        CivilTime.date(fromISO8601: text).map(\.timeIntervalSince1970)
    }

    /// `2026-01-02T03:04Z`
    private static func minute(_ text: String) -> Double? {
        let clockEnd = text.utf8.prefix(16).count
        guard clockEnd == 16, text.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
        return time("\(text.prefix(16)):00\(text.dropFirst(16))")
    }
}

/// A range of IPv4 or IPv6 addresses in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3); one address is a range of its own.
struct AddressRange: Sendable, Hashable {
    private let octets: [UInt8]
    private let length: Int

    /// Reads `203.0.113.0/24`, `2001:db8::/32` or an address. Bits behind the prefix are passed over.
    init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let octets = IPAddress.octets(String(first)) else { return nil }
        self.octets = octets
        guard parts.count == 2 else {
            length = octets.count * 8
            return
        }
        guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let length = Int(parts[1]), length <= octets.count * 8
        else { return nil }
        self.length = length
    }

    /// Whether an address lies in the range.
    func contains(_ address: String) -> Bool {
        guard let other = IPAddress.octets(address), other.count == octets.count else { return false }
        let whole = length / 8
        guard other[..<whole] == octets[..<whole] else { return false }
        let rest = length % 8
        return rest == 0 || (other[whole] ^ octets[whole]) >> UInt8(8 - rest) == 0
    }
}
