// SPDX-License-Identifier: Apache-2.0

/// A value that a statement takes or gives.
package enum SQLiteValue: Hashable, Sendable {
    /// No value.
    case null
    /// A whole number.
    case integer(Int64)
    /// Text in UTF-8.
    case text(String)
    /// Bytes.
    case blob([UInt8])

    /// The text, when it is one.
    package var text: String? {
        guard case .text(let text) = self else { return nil }
        return text
    }

    /// The number, when it is one.
    package var integer: Int64? {
        guard case .integer(let integer) = self else { return nil }
        return integer
    }

    /// The bytes, when they are some.
    package var blob: [UInt8]? {
        guard case .blob(let bytes) = self else { return nil }
        return bytes
    }
}

extension SQLiteValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByNilLiteral {
    /// Makes text.
    package init(stringLiteral value: String) { self = .text(value) }

    /// Makes a number.
    package init(integerLiteral value: Int64) { self = .integer(value) }

    /// Makes no value.
    package init(nilLiteral: ()) { self = .null }
}
