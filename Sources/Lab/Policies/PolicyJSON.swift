// SPDX-License-Identifier: Apache-2.0

/// A JSON value (RFC 8259) as it was written: members keep their order, numbers their digits.
indirect enum PolicyJSON: Hashable, Sendable {
    /// A name and its value.
    struct Member: Hashable, Sendable {
        let name: String
        let value: PolicyJSON
    }

    case string(String)
    case number(String)
    case boolean(Bool)
    case null
    case array([PolicyJSON])
    case object([Member])

    /// What the value is, for messages.
    var kind: String {
        switch self {
        case .string: "a string"
        case .number: "a number"
        case .boolean: "a boolean"
        case .null: "null"
        case .array: "an array"
        case .object: "an object"
        }
    }

    /// The text of a string, or the digits or the word of a number or a boolean: IAM takes these where it wants strings.
    var scalarText: String? {
        switch self {
        case .string(let text): text
        case .number(let digits): digits
        case .boolean(let truth): truth ? "true" : "false"
        case .null, .array, .object: nil
        }
    }

    /// The elements of an array, or the value itself: IAM takes one string wherever it takes several.
    var elements: [PolicyJSON] {
        if case .array(let elements) = self { return elements }
        return [self]
    }
}
