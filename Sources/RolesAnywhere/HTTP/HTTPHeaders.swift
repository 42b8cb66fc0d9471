// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// The header fields of a request or an answer, in order. Names are equal whatever their case (RFC 9110 §5.1).
public struct HTTPHeaders: Hashable, Sendable {
    /// One field.
    public struct Field: Hashable, Sendable {
        /// The name as it was given.
        public let name: String
        /// The value, without blanks at its ends.
        public let value: String
    }

    /// The fields in their order.
    public private(set) var fields: [Field] = []

    /// Makes a list without fields.
    public init() {}

    /// Adds a field behind those that are there.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - value: The value; blanks at its ends are dropped.
    public mutating func add(_ name: String, _ value: String) {
        fields.append(Field(name: name, value: trimmed(value)))
    }

    /// The value of the first field of a name.
    ///
    /// - Parameter name: The name, in any case.
    public subscript(name: String) -> String? {
        let wanted = name.lowercased()
        return fields.first { $0.name.lowercased() == wanted }?.value
    }

    private func trimmed(_ value: String) -> String {
        var rest = value.utf8[...]
        while rest.first == 0x20 || rest.first == 0x09 { rest.removeFirst() }
        while rest.last == 0x20 || rest.last == 0x09 { rest.removeLast() }
        return String(Substring(rest))
    }
}

extension HTTPHeaders: ExpressibleByDictionaryLiteral {
    /// Makes a list from names and values.
    ///
    /// - Parameter elements: Names and values in order.
    public init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { add(name, value) }
    }
}

extension HTTPHeaders: CustomStringConvertible, CustomReflectable {
    /// Fields whose values open doors.
    private static let secretNames: Set<String> = [
        "authorization", "proxy-authorization", "cookie", "set-cookie", "x-amz-security-token",
    ]

    /// One field a line, with `<redacted>` for the values that open doors.
    public var description: String {
        fields.map { field in
            let isSecret = Self.secretNames.contains(field.name.lowercased())
            return "\(field.name): \(isSecret ? "<redacted>" : printable(field.value))"
        }.joined(separator: "\n")
    }

    /// The description, as one child.
    public var customMirror: Mirror { Mirror(self, children: ["fields": description]) }
}
