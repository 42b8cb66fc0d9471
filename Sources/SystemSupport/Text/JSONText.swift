// SPDX-License-Identifier: Apache-2.0

/// JSON to be written, with the members of objects in the order they were given. Small objects are written by hand
/// because the first use of an encoder costs more than all of them together.
package indirect enum JSONText {
    case string(String)
    case number(Int)
    case object([(String, JSONText)])

    /// RFC 8259, on one line.
    package var encoded: String {
        switch self {
        case .string(let text): Quoting.json(text)
        case .number(let number): String(number)
        case .object(let members):
            "{" + members.map { "\(Quoting.json($0.0)):\($0.1.encoded)" }.joined(separator: ",") + "}"
        }
    }
}
