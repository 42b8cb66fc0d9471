// SPDX-License-Identifier: Apache-2.0

// How IAM reads the JSON of a policy: more generously than others.
extension JSONValue {
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
    var elements: [JSONValue] {
        if case .array(let elements) = self { return elements }
        return [self]
    }
}
