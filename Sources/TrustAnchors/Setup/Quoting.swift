// SPDX-License-Identifier: Apache-2.0

/// Texts as literals of the languages that set-up texts are written in.
enum Quoting {
    /// JSON (RFC 8259), which YAML 1.2 reads too.
    static func json(_ text: String) -> String { "\"\(escaped(text))\"" }

    /// Terraform's HCL: as JSON, with the two beginnings of a template doubled.
    static func terraform(_ text: String) -> String {
        json(text.replacing("${", with: "$${").replacing("%{", with: "%%{"))
    }

    /// A word for a POSIX shell, in single quotation marks.
    static func shell(_ text: String) -> String { "'\(text.replacing("'", with: #"'\''"#))'" }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\u{0}"..<"\u{20}", "\u{7f}"..."\u{9f}", "\u{2028}", "\u{2029}", "\u{feff}":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
