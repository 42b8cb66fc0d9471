// SPDX-License-Identifier: Apache-2.0

extension ConfigurationCase {
    /// Files of every kind, for which section is changed, and for sections that are not there.
    static let sections: [ConfigurationCase] = [
        .init("no file", "", gives: "[default]\nregion = new\n"),
        .init("only a line end", "\n", gives: "\n[default]\nregion = new\n"),
        .init("only CRLF", "\r\n", gives: "\r\n[default]\r\nregion = new\r\n"),
        .init("only blanks", "  ", gives: "  \n[default]\nregion = new\n"),
        .latin1("only a byte order mark", "\u{EF}\u{BB}\u{BF}", gives: "[default]\nregion = new\n"),
        .init("only a comment without line end", "# mine", gives: "# mine\n\n[default]\nregion = new\n"),
        .init("another section", "[b]\na = b\n", gives: "[b]\na = b\n\n[default]\nregion = new\n"),
        .init(
            "another section without line end", "[b]\r\na = b",
            gives: "[b]\r\na = b\r\n\r\n[default]\r\nregion = new\r\n"
        ),
        .init("a blank line comes last", "[b]\na = b\n\n", gives: "[b]\na = b\n\n[default]\nregion = new\n"),
        .init(
            "nested settings come last", "[b]\n  s3 =\n    a = b\n",
            gives: "[b]\n  s3 =\n    a = b\n\n[default]\nregion = new\n"
        ),
        .init("nothing is set in a section that is not there", "[b]", "default", ["region": nil], gives: "[b]"),
        .init("a new profile", "", "profile web", ["region": "new"], gives: "[profile web]\nregion = new\n"),
        .init("a new profile with blanks", "", "profile my  name", ["a": "b"], gives: "[profile 'my  name']\na = b\n"),
        .init("a new profile with a quote", "", "profile it's", ["a": "b"], gives: "[profile \"it's\"]\na = b\n"),
        .init("a new profile with quotes", "", "profile a\"b", ["a": "b"], gives: "[profile 'a\"b']\na = b\n"),
        .init("a new section of a credentials file", "", "my name's", ["a": "b"], gives: "[my name's]\na = b\n"),
        .init("blanks in the header", "[ default ]\nregion = old\n", gives: "[default]\nregion = new\n"),
        .init(
            "blanks in the header, a new setting", "[\tdefault ]\na = b", gives: "[default]\na = b\nregion = new\n"
        ),
        .init(
            "a comment behind the header", "[default] # x\nregion = old\n[b]; x\n",
            gives: "[default] # x\nregion = new\n[b]; x\n"
        ),
        .init("a comment right behind the header", "[default]; x", gives: "[default]; x\nregion = new\n"),
        .init(
            "blanks behind profile", "[profile \t web ]\nregion = old\n", "profile web", ["region": "new"],
            gives: "[profile \t web ]\nregion = new\n"
        ),
        .init(
            "double quotes", "[profile \"my name\"]\nregion = old\n", "profile my name", ["region": "new"],
            gives: "[profile \"my name\"]\nregion = new\n"
        ),
        .init(
            "single quotes", "[profile 'my name']\nregion = old\n", "profile my name",
            ["region": "new"], gives: "[profile 'my name']\nregion = new\n"
        ),
        .init(
            "quotes without need", "[sso-session \"x\"]\nregion = old\n", " sso-session  x ", ["region": "new"],
            gives: "[sso-session \"x\"]\nregion = new\n"
        ),
        .init(
            "names that begin alike",
            "[profile web2]\nregion = a\n[web]\nregion = b\n[profile web]\n[Profile web]\nregion = c\n", "profile web",
            ["region": "new"],
            gives:
                "[profile web2]\nregion = a\n[web]\nregion = b\n[profile web]\nregion = new\n[Profile web]\nregion = c\n"
        ),
        .init(
            "a name in capitals is another", "[Default]\nregion = a\n",
            gives: "[Default]\nregion = a\n\n[default]\nregion = new\n"
        ),
        .init(
            "a section that is there twice", "[default]\nregion = a\n[b]\nregion = b\n[default]\na = b\nregion = c\n",
            gives: "[default]\nregion = new\n[b]\nregion = b\n[default]\na = b\nregion = new\n"
        ),
        .init(
            "a new setting of a section that is there twice", "[default]\na = b\n\n[b]\n[default]\nc = d\n# e\n",
            gives: "[default]\na = b\n\n[b]\n[default]\nc = d\nregion = new\n# e\n"
        ),
        .init(
            "a second section that not everybody finds", "[default]\na = b\n[ default ]\nc = d\n",
            gives: "[default]\na = b\nregion = new\n[ default ]\nc = d\n"
        ),
        .init(
            "a profile without quotes", "[profile my name]# x\nregion = old\n", "profile my name", ["region": "new"],
            gives: "[profile 'my name']# x\nregion = new\n"
        ),
        .init(
            "a backslash instead of quotes", "[profile my\\ name]\nregion = old\n", "profile my name",
            ["region": "new"], gives: "[profile my\\ name]\nregion = new\n"
        ),
        .init(
            "two headers that nobody finds", "[ default ]\na = b\n[default ]\nc = d\n",
            gives: "[ default ]\na = b\n[default]\nc = d\nregion = new\n"
        ),
        .init(
            "a comment with a bracket behind the header", "[ default ] # see [b]\n",
            gives: "[ default ] # see [b]\nregion = new\n"
        ),
        .init(
            "a profile whose quotes are missing the second time",
            "[profile 'my name']\na = b\n[profile my name]\nc = d\n", "profile my name", ["region": "new"],
            gives: "[profile 'my name']\na = b\nregion = new\n[profile my name]\nc = d\n"
        ),
        .init(
            "settings in front of the first section", "region = a\n  x\n[default]\nregion = old\n",
            gives: "region = a\n  x\n[default]\nregion = new\n"
        ),
        .init("only settings in front", "region = a", gives: "region = a\n\n[default]\nregion = new\n"),
        .init(
            "comments that lead to the next section", "[default]\na = b\n# about a\n\n# about b\n[b]\nregion = x\n",
            gives: "[default]\na = b\nregion = new\n# about a\n\n# about b\n[b]\nregion = x\n"
        ),
        .init(
            "a header without an end", "[default]\nregion = old\n[b\nregion = x\n",
            gives: "[default]\nregion = new\n[b\nregion = new\n"
        ),
        .init(
            "a header without a name", "[default]\n[]\nregion = x\n", gives: "[default]\nregion = new\n[]\nregion = x\n"
        ),
        .init(
            "a header in a comment", "#[default]\nregion = x\n",
            gives: "#[default]\nregion = x\n\n[default]\nregion = new\n"
        ),
        .init(
            "a header that is indented", "[b]\n  [default]\n  region = old\n",
            gives: "[b]\n  [default]\n  region = new\n"
        ),
        .init(
            "what looks like a header is more of a value", "[b]\na =\n  [default]\n  region = x\n",
            gives: "[b]\na =\n  [default]\n  region = x\n\n[default]\nregion = new\n"
        ),
    ]
}
