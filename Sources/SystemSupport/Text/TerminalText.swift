// SPDX-License-Identifier: Apache-2.0

extension Unicode.Scalar {
    /// Whether a terminal may do something else with the character than show it: C0 and C1 controls, DEL, line and paragraph
    /// separators, and the format characters, among them those that turn the direction of text around.
    package var isControl: Bool {
        if value < 0x7f { return value < 0x20 }
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: return true
        // Tags, private planes and what is not assigned show nothing, or what a font makes of them.
        case .unassigned: return value >= 0xe0000
        default: return false
        }
    }

    /// The character as JSON escapes it: `\u001b`.
    package var escaped: String {
        UTF16.encode(self).map { units in
            units.reduce(into: "") { text, unit in
                let digits = String(unit, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        } ?? ""
    }
}

/// Text from elsewhere made fit for one line of a terminal: control characters, which could drive it, become blanks.
package func printable(_ text: String, limit: Int = 1000) -> String {
    if text.utf8.count <= limit, text.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) { return text }
    var result = String.UnicodeScalarView()
    var count = 0
    for scalar in text.unicodeScalars {
        if count == limit { return String(result) + "…" }
        result.append(scalar.isControl ? " " : scalar)
        count += 1
    }
    return String(result)
}

/// Lines for a terminal: every control character but the line end is shown as JSON escapes it. All that the command line
/// says goes through here.
package func terminalSafe(_ text: String) -> String {
    if text.utf8.allSatisfy({ (0x20...0x7e).contains($0) || $0 == 0x0a }) { return text }
    return text.unicodeScalars.reduce(into: "") { result, scalar in
        if scalar.isControl, scalar != "\n" {
            result += scalar.escaped
        } else {
            result.unicodeScalars.append(scalar)
        }
    }
}

/// A message about a text that may be a key in the wrong place: whatever looks like a part of one becomes `…`. Such a
/// part is a run of letters, digits, `+`, `/` and `=` that no hyphen or dot divides: of 40 characters or more, or of
/// twelve or more with capitals, small letters and digits or signs among them.
package func redacted(_ text: String) -> String {
    var result: [UInt8] = []
    var run: [UInt8] = []
    for byte in text.utf8 {
        if isBase64(byte) {
            run.append(byte)
        } else {
            result += isSecret(run) ? Array("…".utf8) : run
            run = []
            result.append(byte)
        }
    }
    return String(decoding: result + (isSecret(run) ? Array("…".utf8) : run), as: UTF8.self)
}

private func isBase64(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2b, 0x2f, 0x3d: true
    default: false
    }
}

private func isSecret(_ run: [UInt8]) -> Bool {
    guard run.count >= 12 else { return false }
    return run.count >= 40
        || run.contains { (0x41...0x5a).contains($0) } && run.contains { (0x61...0x7a).contains($0) }
            && run.contains { $0 < 0x3e }
}
