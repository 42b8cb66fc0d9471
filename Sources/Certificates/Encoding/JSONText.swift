// SPDX-License-Identifier: Apache-2.0

/// JSON to be written, with the members of objects in the order they were given.
///
/// Small objects are written by hand because the first use of an encoder costs more than all of
/// them together.
package indirect enum JSONText {
    case string(String)
    case number(Int)
    case object([(String, JSONText)])

    /// RFC 8259, on one line.
    package var encoded: String {
        switch self {
        case .string(let text): Self.quoted(text)
        case .number(let number): String(number)
        case .object(let members):
            "{" + members.map { "\(Self.quoted($0.0)):\($0.1.encoded)" }.joined(separator: ",") + "}"
        }
    }

    /// A JSON string, with its quotation marks.
    package static func quoted(_ text: String) -> String {
        // Most texts need nothing.
        if text.utf8.allSatisfy({ (0x20...0x7e).contains($0) && $0 != 0x22 && $0 != 0x5c }) { return "\"\(text)\"" }
        let digits = Array("0123456789abcdef".unicodeScalars)
        var quoted = String.UnicodeScalarView("\"".unicodeScalars)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += ["\\", scalar]
            case "\n": quoted += ["\\", "n"]
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                quoted += "\\u00".unicodeScalars
                quoted += [digits[Int(scalar.value >> 4)], digits[Int(scalar.value & 15)]]
            default: quoted.append(scalar)
            }
        }
        quoted.append("\"")
        return String(quoted)
    }
}
