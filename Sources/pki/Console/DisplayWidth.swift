// SPDX-License-Identifier: Apache-2.0

import SystemSupport

extension Unicode.Scalar {
    /// How many columns of a terminal the character takes: two for most of East Asia's and for emoji, none for marks that
    /// stand on the character before.
    var displayWidth: Int {
        if value < 0x300 { return 1 }
        switch properties.generalCategory {
        case .nonspacingMark, .enclosingMark: return 0
        default: break
        }
        // The vowels and finals of Hangul join the initial before them.
        if (0x1160...0x11ff).contains(value) { return 0 }
        return Self.wide.contains { $0.contains(value) } || properties.isEmojiPresentation ? 2 : 1
    }

    /// The blocks whose characters are wide or full-width (Unicode Standard Annex 11); emoji tell by themselves.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115f, 0x2329...0x232a, 0x2e80...0x303e, 0x3041...0x33ff, 0x3400...0x4dbf, 0x4e00...0x9fff,
        0xa000...0xa4cf, 0xa960...0xa97f, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe10...0xfe19, 0xfe30...0xfe6f,
        0xff01...0xff60, 0xffe0...0xffe6, 0x16fe0...0x18dff, 0x1aff0...0x1b2ff, 0x1f200...0x1f265, 0x20000...0x3fffd,
    ]
}

extension [UInt8] {
    /// Appends text, with what could end a line or steer a terminal escaped as JSON does.
    ///
    /// - Parameter text: Any text.
    /// - Returns: How many columns of a terminal it takes.
    @discardableResult mutating func append(showing text: String) -> Int {
        var text = text
        let start = count
        let isPlain = text.withUTF8 { octets in
            // Without a way out of the loop the compiler looks at many octets at once.
            let strange = unsafe octets.reduce(0 as UInt8) { $0 | ($1 &- 0x20 < 0x5f ? 0 : 1) }
            unsafe append(contentsOf: octets)
            return strange == 0
        }
        if isPlain { return count - start }
        removeSubrange(start...)
        var width = 0
        for scalar in text.unicodeScalars {
            guard scalar.isControl else {
                append(contentsOf: UTF8.encode(scalar) ?? .init())
                width += scalar.displayWidth
                continue
            }
            append(contentsOf: scalar.escaped.utf8)
            width += scalar.escaped.utf8.count
        }
        return width
    }
}
