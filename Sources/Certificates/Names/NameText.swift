// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// Detects misleading text in names.
package enum NameText {
    /// Returns why a reader may mistake a name for another, as what follows "it": invisible characters, or letters of one
    /// script that look like those of another; `nil` if the name is plain. The test is smaller than Unicode's (UTS #39):
    /// scripts with letters that look Latin may not be mixed in a word, nor may all letters of such a script look Latin.
    package static func objection(to text: String) -> String? {
        if text.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) { return nil }
        for scalar in text.unicodeScalars {
            if let what = kind(of: scalar) { return "holds \(what) (\(code(scalar)))" }
        }
        // A word ends at whatever is no letter, mark or digit.
        for word in text.unicodeScalars.split(whereSeparator: { !isOfWord($0) }) {
            let scripts = Set(word.compactMap(Script.init))
            if scripts.count > 1 {
                let names = scripts.map(\.rawValue).sorted().joined(separator: " and ")
                return "mixes \(names) letters in \"\(String(String.UnicodeScalarView(word)))\""
            }
        }
        for script in Script.allCases where script != .latin {
            let letters = text.unicodeScalars.filter { Script($0) == script }
            if !letters.isEmpty, letters.allSatisfy(looksLatin) {
                return "has \(script.rawValue) letters that all look like Latin ones"
            }
        }
        return nil
    }

    /// `U+200B`
    private static func code(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        return "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// The kind of a character that no name needs.
    private static func kind(of scalar: Unicode.Scalar) -> String? {
        if scalar.isControl { return "a control or format character" }
        let properties = scalar.properties
        if properties.isDefaultIgnorableCodePoint { return "an invisible character" }
        switch properties.generalCategory {
        case .spaceSeparator: if scalar != " " { return "a blank that is not the usual one" }
        case .privateUse, .unassigned: return "a character that has no meaning of its own"
        default: break
        }
        if scalar == "\u{2800}" { return "an invisible character" }
        switch scalar.value {
        // Fullwidth, mathematical, letter-like and enclosed forms of other letters and digits.
        case 0xff10...0xff19, 0xff21...0xff3a, 0xff41...0xff5a, 0x1d400...0x1d7ff:
            return "a letter or digit of another form"
        case 0x2100...0x214f where properties.isAlphabetic: return "a letter or digit of another form"
        case 0x2460...0x24ff, 0x1f100...0x1f1ff: return "a letter or digit of another form"
        // Full stops and slashes that are none.
        case 0x2024, 0x3002, 0xff0e, 0xff0f, 0xff61, 0x2044, 0x2215, 0x29f8:
            return "a sign that looks like \".\" or \"/\""
        default: return nil
        }
    }

    private static func isOfWord(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .nonspacingMark,
            .spacingMark, .enclosingMark, .decimalNumber, .letterNumber, .otherNumber:
            true
        default: false
        }
    }

    /// The scripts that have letters which look like another's.
    private enum Script: String, CaseIterable {
        case latin = "Latin"
        case greek = "Greek"
        case cyrillic = "Cyrillic"
        case armenian = "Armenian"
        case cherokee = "Cherokee"
        case coptic = "Coptic"
        case lisu = "Lisu"

        /// The script of a letter; `nil` for what is none, and for the scripts that look like no other.
        init?(_ scalar: Unicode.Scalar) {
            guard scalar.properties.isAlphabetic else { return nil }
            // Blocks of Unicode 15, without what is not a letter.
            switch scalar.value {
            case 0x41...0x5a, 0x61...0x7a, 0xaa, 0xba, 0xc0...0x24f, 0x250...0x2af, 0x1e00...0x1eff, 0x2c60...0x2c7f,
                0xa722...0xa7ff, 0xab30...0xab64, 0x1d00...0x1d25, 0x1d2c...0x1d5c, 0x1d62...0x1d65, 0x1d6b...0x1d77,
                0x1d79...0x1dbe, 0xfb00...0xfb06, 0x10780...0x107bf, 0x1df00...0x1dfff:
                self = .latin
            case 0x3e2...0x3ef, 0x2c80...0x2cff: self = .coptic
            case 0x370...0x3e1, 0x3f0...0x3ff, 0x1f00...0x1fff, 0x1d26...0x1d2a, 0x1d5d...0x1d61, 0x1d66...0x1d6a,
                0xab65:
                self = .greek
            case 0x400...0x52f, 0x1c80...0x1c8f, 0x1d2b, 0x1d78, 0x2de0...0x2dff, 0xa640...0xa69f, 0x1e030...0x1e08f:
                self = .cyrillic
            case 0x531...0x588, 0xfb13...0xfb17: self = .armenian
            case 0x13a0...0x13ff, 0xab70...0xabbf: self = .cherokee
            case 0xa4d0...0xa4ff, 0x11fb0: self = .lisu
            default: return nil
            }
        }
    }

    /// Letters of other scripts that many fonts draw as Latin ones (Unicode's confusables.txt).
    private static let latinLookalikes = Set(
        ("АВЕЅІЈКМНОРСТУХаеѕіјорсухԁһԛԝӏҮүҺԌԐ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹͿαγικνορυϲϳ" + "ԱՍՏՕՈօսոհցզյ" + "ⲞⲟⲢⲣⲤⲥⲦⲀⲂⲈⲎⲒⲔⲘⲚⲬ")
            .unicodeScalars)

    private static func looksLatin(_ scalar: Unicode.Scalar) -> Bool {
        // Most letters of Cherokee and Lisu were taken from Latin type.
        (0x13a0...0x13ff).contains(scalar.value) || (0xa4d0...0xa4ff).contains(scalar.value)
            || latinLookalikes.contains(scalar)
    }
}
