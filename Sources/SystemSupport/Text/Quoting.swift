// SPDX-License-Identifier: Apache-2.0

/// Text as a literal of another program's language. Every function looks at bytes or scalars, never at characters as Unicode
/// groups them: to a shell a quotation mark is one also when an accent follows.
package enum Quoting {
    // MARK: - Shells

    /// One word for a POSIX shell (POSIX.1-2017, Shell Command Language §2.2.2): as it is when no shell gives any of its
    /// bytes a meaning, otherwise in single quotation marks. botocore's `shlex` reads the same.
    package static func shell(_ text: String) -> String {
        let bytes = text.utf8.prefix { $0 != 0 }
        // zsh looks for a program where a word begins with an equals sign.
        if let first = bytes.first, first != UInt8(ascii: "="), bytes.allSatisfy(isPlain) {
            return String(decoding: bytes, as: UTF8.self)
        }
        return enclosed(bytes) { $0 == apostrophe ? Array(#"'\''"#.utf8) : [$0] }
    }

    /// Words of a command for a POSIX shell. A word that begins with a hyphen is an option; a value that may begin with
    /// one is written into its option's word: `--profile=NAME`.
    package static func command(_ words: [String]) -> String { words.map(shell).joined(separator: " ") }

    /// One word for fish, in single quotation marks, between which only `\` and `'` have a meaning.
    package static func fish(_ text: String) -> String {
        enclosed(text.utf8.prefix { $0 != 0 }) { byte in
            byte == apostrophe || byte == backslash ? [backslash, byte] : [byte]
        }
    }

    /// A PowerShell string in single quotation marks. PowerShell takes the typographic ones of Unicode for the same, so that
    /// each of them is doubled (about_Quoting_Rules).
    package static func powerShell(_ text: String) -> String {
        var result = String.UnicodeScalarView("'".unicodeScalars)
        for scalar in text.unicodeScalars where scalar != "\0" {
            result.append(scalar)
            if scalar == "'" || ("\u{2018}"..."\u{201b}").contains(scalar) { result.append(scalar) }
        }
        result.append("'")
        return String(result)
    }

    private static let apostrophe = UInt8(ascii: "'")
    private static let backslash = UInt8(ascii: "\\")

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: "_./:@%+=,-".utf8.contains(byte)
        }
    }

    private static func enclosed(_ bytes: some Sequence<UInt8>, _ escape: (UInt8) -> [UInt8]) -> String {
        var result = [apostrophe]
        for byte in bytes { result += escape(byte) }
        result.append(apostrophe)
        return String(decoding: result, as: UTF8.self)
    }

    // MARK: - Data

    /// A JSON string (RFC 8259) with its quotation marks. Controls of C0 and C1, DEL, format characters and line separators
    /// are escaped, so that the text is safe for a terminal too. YAML 1.2 reads it as well.
    package static func json(_ text: String) -> String {
        // Most texts need nothing.
        if text.utf8.allSatisfy({ (0x20...0x7e).contains($0) && $0 != 0x22 && $0 != 0x5c }) { return "\"\(text)\"" }
        var quoted = "\"".unicodeScalars
        for scalar in text.unicodeScalars { appendJSON(scalar, to: &quoted) }
        quoted.append("\"")
        return String(quoted)
    }

    private static func appendJSON(_ scalar: Unicode.Scalar, to quoted: inout String.UnicodeScalarView) {
        switch scalar {
        case "\"", "\\": quoted += ["\\", scalar]
        case "\n": quoted += ["\\", "n"]
        case "\r": quoted += ["\\", "r"]
        case "\t": quoted += ["\\", "t"]
        case _ where scalar.isControl: quoted += scalar.escaped.unicodeScalars
        default: quoted.append(scalar)
        }
    }

    /// As JSON's, but what lies beyond the basic plane is escaped in one piece of eight digits.
    private static func appendWithLongEscapes(_ scalar: Unicode.Scalar, to quoted: inout String.UnicodeScalarView) {
        guard scalar.value > 0xffff, scalar.isControl else { return appendJSON(scalar, to: &quoted) }
        let digits = String(scalar.value, radix: 16)
        quoted += ("\\U" + String(repeating: "0", count: 8 - digits.count) + digits).unicodeScalars
    }

    /// A double-quoted YAML scalar. YAML 1.1 and 1.2 read JSON's escapes, but pairs of surrogates only YAML 1.2: characters
    /// beyond the basic plane get YAML's own.
    package static func yaml(_ text: String) -> String {
        var quoted = "\"".unicodeScalars
        for scalar in text.unicodeScalars { appendWithLongEscapes(scalar, to: &quoted) }
        quoted.append("\"")
        return String(quoted)
    }

    /// A quoted string of HCL, Terraform's language, with the two beginnings of a template doubled. HCL knows fewer escapes
    /// than JSON and writes those beyond the basic plane in eight digits.
    package static func hcl(_ text: String) -> String {
        var quoted = "\"".unicodeScalars
        var before: Unicode.Scalar?
        for scalar in text.unicodeScalars {
            // The sign before a brace is doubled: `$${`.
            if scalar == "{", let before, before == "$" || before == "%" { quoted.append(before) }
            before = scalar
            appendWithLongEscapes(scalar, to: &quoted)
        }
        quoted.append("\"")
        return String(quoted)
    }
}
