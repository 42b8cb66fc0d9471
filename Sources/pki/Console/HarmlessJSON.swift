// SPDX-License-Identifier: Apache-2.0

/// The same JSON, with what could end a line for its reader or steer a terminal escaped.
///
/// Outside of strings JSON is ASCII, so that an escape never changes what it says.
///
/// - Parameter text: JSON whose own ends of lines may stay.
/// - Returns: Equal JSON.
func harmlessJSON(_ text: String) -> String {
    if text.utf8.allSatisfy({ (0x20...0x7e).contains($0) || $0 == 0x0a }) { return text }
    return text.unicodeScalars.reduce(into: "") { result, scalar in
        guard scalar.isUnruly, scalar != "\n" else { return result.unicodeScalars.append(scalar) }
        for unit in String(scalar).utf16 {
            let digits = String(unit, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
    }
}

extension Unicode.Scalar {
    /// Whether a terminal does something else with the character than show it.
    var isUnruly: Bool {
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}
