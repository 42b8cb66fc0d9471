// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// A value of a condition, read once for the comparison that it is made for.
enum ConditionValue: Sendable, Hashable {
    case template(PolicyTemplate)
    case number(Double, ConditionOperator.Relation)
    case date(Double, ConditionOperator.Relation)
    case truth(Bool)
    case binary([UInt8])
    case address(AddressRange)

    /// Reads a value; there is nothing when the text is none of the comparison's kind.
    ///
    /// - Parameters:
    ///   - text: The text in the policy.
    ///   - comparison: What it is compared with.
    ///   - hasVariables: Whether the version of the language has variables.
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

    /// Whether a value of the request is equal, like, less, …: what the operator asks before it is negated.
    ///
    /// - Parameters:
    ///   - actual: The value in the request.
    ///   - comparison: The operator's comparison.
    ///   - context: What the variables are filled from.
    /// - Returns: Whether it is; `false` also for a value of another kind.
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
            return text.utf8.count == 4 ? moment("\(text)-01-01T00:00:00Z") : Double(text)
        }
        return moment(text) ?? moment("\(text)T00:00:00Z") ?? moment("\(text)-01T00:00:00Z") ?? minute(text)
    }

    private static func moment(_ text: String) -> Double? {
        CivilTime.date(fromISO8601: text).map(\.timeIntervalSince1970)
    }

    /// `2026-01-02T03:04Z`
    private static func minute(_ text: String) -> Double? {
        let clockEnd = text.utf8.prefix(16).count
        guard clockEnd == 16, text.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
        return moment("\(text.prefix(16)):00\(text.dropFirst(16))")
    }
}
