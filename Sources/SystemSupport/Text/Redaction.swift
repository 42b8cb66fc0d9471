// SPDX-License-Identifier: Apache-2.0

/// A message about a text that may be a key in the wrong place: whatever looks like a part of one becomes `…`.
///
/// Such a part is a run of letters, digits, `+`, `/` and `=` that no hyphen or dot divides: of 40 characters or more, or of
/// twelve or more with capitals, small letters and digits or signs among them.
///
/// - Parameter text: A message that quotes an input.
/// - Returns: The message.
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
