// SPDX-License-Identifier: Apache-2.0

import Testing

/// A file, a change, and the file afterwards.
struct ConfigurationCase: Sendable, CustomTestStringConvertible {
    let name: String
    private(set) var before: [UInt8]
    let section: String
    let settings: [(name: String, value: String?)]
    private(set) var after: [UInt8]

    var testDescription: String { name }

    init(
        _ name: String, _ before: String, _ section: String = "default",
        _ settings: KeyValuePairs<String, String?> = ["region": "new"], gives after: String
    ) {
        self.name = name
        self.before = Array(before.utf8)
        self.section = section
        self.settings = settings.map { ($0.key, $0.value) }
        self.after = Array(after.utf8)
    }

    /// A case whose texts have a character for each byte.
    static func latin1(_ name: String, _ before: String, gives after: String) -> ConfigurationCase {
        var result = ConfigurationCase(name, "", gives: "")
        result.before = before.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        result.after = after.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        return result
    }
}

extension ConfigurationCase {
    private static let long = String(repeating: "x", count: 70_000)

    /// Files of every kind, for what happens to settings in a section that is there.
    static let settings: [ConfigurationCase] = [
        .init("one setting", "[default]\nregion = old\n", gives: "[default]\nregion = new\n"),
        .init("the same value", "[default]\nregion = new  \n", gives: "[default]\nregion = new  \n"),
        .init(
            "the last line of the last section has no line end", "[default]\nregion = old\noutput = json",
            gives: "[default]\nregion = new\noutput = json"
        ),
        .init("the changed line has no line end", "[default]\nregion = old", gives: "[default]\nregion = new"),
        .init(
            "a setting is added behind a line without line end", "[default]\noutput = json",
            gives: "[default]\noutput = json\nregion = new\n"
        ),
        .init("a header without line end", "[default]", gives: "[default]\nregion = new\n"),
        .init("no blanks", "[default]\nregion=old\n", gives: "[default]\nregion=new\n"),
        .init("blanks of all kinds", "[default]\nregion \t=\t  old \t\n", gives: "[default]\nregion \t=\t  new \t\n"),
        .init("a colon", "[default]\nregion : old\n", gives: "[default]\nregion : new\n"),
        .init("a colon in front of the equals sign", "[default]\nregion:a=b\n", gives: "[default]\nregion:new\n"),
        .init("capitals", "[default]\nReGiOn = old\n", gives: "[default]\nReGiOn = new\n"),
        .init("an empty value", "[default]\nregion = \n", gives: "[default]\nregion = new\n"),
        .init("an empty value whose blank was taken away", "[default]\nregion =\n", gives: "[default]\nregion = new\n"),
        .init("an empty value without blanks", "[default]\nregion=\n", gives: "[default]\nregion=new\n"),
        .init(
            "a value becomes empty", "[default]\nregion = old\n", "default", ["region": ""],
            gives: "[default]\nregion = \n"
        ),
        .init("a new empty value", "[default]\n", "default", ["region": ""], gives: "[default]\nregion =\n"),
        .init("CRLF", "[default]\r\nregion = old\r\n", gives: "[default]\r\nregion = new\r\n"),
        .init("CRLF, and a new setting", "[default]\r\na = b\r\n", gives: "[default]\r\na = b\r\nregion = new\r\n"),
        .init(
            "line ends of both kinds", "# x\r\n[default]\na = b\nregion = old\r\n[b]\n", "default",
            ["region": "new", "output": "text"],
            gives: "# x\r\n[default]\na = b\nregion = new\r\noutput = text\r\n[b]\n"
        ),
        .init(
            "CR alone ends no line", "[default]\nb = a\rregion = x\n",
            gives: "[default]\nb = a\rregion = x\nregion = new\n"
        ),
        .latin1(
            "a byte order mark", "\u{EF}\u{BB}\u{BF}[default]\nregion = old\n",
            gives: "[default]\nregion = new\n"),
        .latin1(
            "bytes that are no UTF-8", "[default]\n# caf\u{E9}\nname = \u{FF}\u{0}\u{FE}\nregion = old\n",
            gives: "[default]\n# caf\u{E9}\nname = \u{FF}\u{0}\u{FE}\nregion = new\n"),
        .latin1("the value is no UTF-8", "[default]\nregion = \u{FF}", gives: "[default]\nregion = new"),
        .init(
            "lines over 64 KiB", "[default]\nlong = \(long)\nregion = old\n[b]\n",
            gives: "[default]\nlong = \(long)\nregion = new\n[b]\n"
        ),
        .init("a value over 64 KiB", "[default]\nregion = \(long)\na = b\n", gives: "[default]\nregion = new\na = b\n"),
        .init(
            "a comment behind the value", "[default]\nregion = old # why\n", gives: "[default]\n# why\nregion = new\n"
        ),
        .init(
            "a comment behind a value that stays", "[default]\n  region = new\t; why # so \n",
            gives: "[default]\n  ; why # so\n  region = new \n"
        ),
        .init("a comment behind an empty value", "[default]\nregion = # why", gives: "[default]\n# why\nregion = new"),
        .init("a number sign in the value", "[default]\nregion = a#b;c\n", gives: "[default]\nregion = new\n"),
        .init(
            "a number sign right behind the equals sign", "[default]\nregion =#b\n", gives: "[default]\nregion =new\n"
        ),
        .init(
            "CRLF, and a comment", "[default]\r\nregion = old # why\r\n",
            gives: "[default]\r\n# why\r\nregion = new\r\n"
        ),
        .init(
            "a setting in a comment", "[default]\n#region = a\n ; region = b\nregion = old\n",
            gives: "[default]\n#region = a\n ; region = b\nregion = new\n"
        ),
        .init(
            "nested settings of another setting", "[default]\ns3 =\n  region = a\n\n  # b\n  [c]\noutput = x\n",
            gives: "[default]\ns3 =\n  region = a\n\n  # b\n  [c]\noutput = x\nregion = new\n"
        ),
        .init(
            "nested settings come last", "[default]\ns3 =\n  region = a\n\n# next\n[b]\n",
            gives: "[default]\ns3 =\n  region = a\nregion = new\n\n# next\n[b]\n"
        ),
        .init(
            "a setting with nested ones", "[default]\nregion =\n  a = b\n  # why\n\n\tc = d\noutput = x\n",
            gives: "[default]\nregion = new\n  # why\n\noutput = x\n"
        ),
        .init("a value of several lines", "[default]\nregion = a\n  b\n  c", gives: "[default]\nregion = new\n"),
        .init(
            "settings that are indented alike", "[default]\n  a = b\n  region = old\n  c = d\n",
            gives: "[default]\n  a = b\n  region = new\n  c = d\n"
        ),
        .init(
            "a new setting among indented ones", "[default]\n\ta = b\n \n\t[b]\n",
            gives: "[default]\n\ta = b\n\tregion = new\n \n\t[b]\n"
        ),
        .init(
            "a section without settings in front of an indented one", "[default]\n# c\n  [b]\n  a = b\n",
            gives: "[default]\n  region = new\n# c\n  [b]\n  a = b\n"
        ),
        .init(
            "a setting that is there twice", "[default]\nregion = a\nx = y\nREGION=b\n",
            gives: "[default]\nregion = new\nx = y\nREGION=new\n"
        ),
        .init(
            "a setting is removed", "[default]\na = b\nregion = old # why\n# c\nc = d\nRegion=x", "default",
            ["region": nil], gives: "[default]\na = b\n# c\nc = d\n"
        ),
        .init(
            "a setting with nested ones is removed", "[default]\ns3 =\n  a = b\n  # c\n  d = e\nregion = old\n",
            "default", ["s3": nil], gives: "[default]\n  # c\nregion = old\n"
        ),
        .init(
            "a setting that is not there is removed", "[default]\na = b", "default", ["region": nil],
            gives: "[default]\na = b"
        ),
        .init("nothing is changed", "[default]\na = b", "default", [:], gives: "[default]\na = b"),
        .init(
            "several settings, one of them twice", "[default]\n\n[b]\n", "default",
            ["a": "1", "region": "2", "b": "3", "A": "4"], gives: "[default]\nregion = 2\nb = 3\nA = 4\n\n[b]\n"
        ),
        .init(
            "lines that nobody understands", "[default]\nnonsense\n= x\nregion = old\nmore [nonsense]\n",
            gives: "[default]\nnonsense\n= x\nregion = new\nmore [nonsense]\n"
        ),
        .init(
            "blanks, form feeds and tabs on lines of their own", "\n \t\n[default]\n\u{0C}\n\tregion = old\n",
            gives: "\n \t\n[default]\n\u{0C}\n\tregion = new\n"
        ),
    ]
}
