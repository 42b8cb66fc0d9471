// SPDX-License-Identifier: Apache-2.0

import SystemSupport
import Testing

@testable import pki

/// B6: what text looks like that has passed the console.
@Suite struct StyledTextTests {
    /// One of each kind that a terminal may obey: C0, DEL, C1, separators, bidirectional and other format characters, tags.
    private static let unruly =
        "\u{0}\u{7}\u{8}\t\u{b}\r\u{1b}\u{7f}\u{80}\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\u{2066}\u{200b}"
        + "\u{feff}\u{ad}\u{61c}\u{e0041}"

    @Test func `B6: styles are the only escape sequences`() {
        let text = StyledText("a\(Self.unruly)\nb", .red)
        let plain = String(decoding: text.encoded(hasStyles: false), as: UTF8.self)
        #expect(!plain.unicodeScalars.contains { $0.isControl && $0 != "\n" })
        #expect(plain.hasPrefix("a\\u0000\\u0007") && plain.hasSuffix("\\udb40\\udc41\nb"))
        let styled = String(decoding: text.encoded(hasStyles: true), as: UTF8.self)
        #expect(styled == "\u{1b}[31m\(plain)\u{1b}[0m")
        #expect(StyledText("a").encoded(hasStyles: true) == [0x61])
    }

    @Test func `B6: a cell shows the same`() {
        for scalar in Self.unruly.unicodeScalars {
            var bytes: [UInt8] = []
            let width = bytes.append(showing: "a\(scalar)é")
            #expect(String(decoding: bytes, as: UTF8.self) == "a\(scalar.escaped)é")
            #expect(width == 2 + scalar.escaped.utf8.count)
        }
    }

    @Test func `B6: every control and format character is one to a terminal`() {
        for value in UInt32(0)...0x10ffff {
            guard let scalar = Unicode.Scalar(value) else { continue }
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator:
                #expect(scalar.isControl, "U+\(String(value, radix: 16))")
            default: continue
            }
        }
    }
}
