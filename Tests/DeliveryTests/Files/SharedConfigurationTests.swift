// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Delivery

@Suite struct SharedConfigurationTests {
    /// A text, and what becomes of it when `region = new` is set in the section `web`.
    struct Case: CustomTestStringConvertible, Sendable {
        var name: String
        var before: String
        var after: String
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(name: "nothing", before: "", after: "[web]\nregion = new\n"),
        Case(name: "only a comment", before: "# x\n", after: "# x\n\n[web]\nregion = new\n"),
        Case(name: "an empty section", before: "[web]\n", after: "[web]\nregion = new\n"),
        Case(name: "no end of the last line", before: "[web]\na = 1", after: "[web]\na = 1\nregion = new\n"),
        Case(name: "a header without an end", before: "[web]", after: "[web]\nregion = new\n"),
        Case(name: "another section without an end", before: "[x]\na=1", after: "[x]\na=1\n\n[web]\nregion = new\n"),
        Case(name: "a value", before: "[web]\nregion = old\n", after: "[web]\nregion = new\n"),
        Case(name: "a value without an end", before: "[web]\nregion=old", after: "[web]\nregion=new"),
        Case(name: "spacing", before: "[web]\nregion   =\told  \n", after: "[web]\nregion   =\tnew\n"),
        Case(name: "capitals", before: "[web]\nReGion = old\n", after: "[web]\nReGion = new\n"),
        Case(name: "a colon", before: "[web]\nregion: old\n", after: "[web]\nregion: new\n"),
        Case(name: "no value", before: "[web]\nregion =\n", after: "[web]\nregion = new\n"),
        Case(name: "no value and no blanks", before: "[web]\nregion=\n", after: "[web]\nregion=new\n"),
        Case(name: "CRLF", before: "[web]\r\nregion = old\r\n", after: "[web]\r\nregion = new\r\n"),
        Case(name: "CRLF, a new setting", before: "[web]\r\na = 1", after: "[web]\r\na = 1\r\nregion = new\r\n"),
        Case(name: "CRLF, a new section", before: "[x]\r\n", after: "[x]\r\n\r\n[web]\r\nregion = new\r\n"),
        Case(
            name: "a byte order mark",
            before: "\u{feff}[web]\nregion = old\n",
            after: "\u{feff}[web]\nregion = new\n"
        ),
        Case(name: "blanks in the header", before: "[ web ]\nregion = old\n", after: "[ web ]\nregion = new\n"),
        Case(
            name: "a comment behind the header",
            before: "[web] # x\nregion = old\n",
            after: "[web] # x\nregion = new\n"
        ),
        Case(name: "an indented header", before: "  [web]\n  region = old\n", after: "  [web]\n  region = new\n"),
        Case(
            name: "before the next section",
            before: "[web]\na = 1\n\n# about x\n[x]\nb = 2\n",
            after: "[web]\na = 1\nregion = new\n\n# about x\n[x]\nb = 2\n"
        ),
        Case(
            name: "behind a nested block",
            before: "[web]\ns3 =\n  max = 1\n  min = 2\n\n[x]\n",
            after: "[web]\ns3 =\n  max = 1\n  min = 2\nregion = new\n\n[x]\n"
        ),
        Case(
            name: "a name within a nested block",
            before: "[web]\ns3 =\n  region = inner\n",
            after: "[web]\ns3 =\n  region = inner\nregion = new\n"
        ),
        Case(
            name: "a nested block in its place",
            before: "[web]\nregion =\n  a = 1\n# kept\n  b = 2\nc = 3\n",
            after: "[web]\nregion = new\n# kept\nc = 3\n"
        ),
        Case(
            name: "a comment behind the value",
            before: "[web]\n  region = old # since May\n",
            after: "[web]\n  # since May\n  region = new\n"
        ),
        Case(name: "a hash in the value", before: "[web]\nregion = o#ld;x\n", after: "[web]\nregion = new\n"),
        Case(
            name: "twice in a section",
            before: "[web]\nregion = a\nx = 1\nregion = b\n",
            after: "[web]\nregion = new\nx = 1\nregion = new\n"
        ),
        Case(
            name: "in two sections of one name",
            before: "[web]\nregion = a\n[x]\n[web]\nregion = b\n",
            after: "[web]\nregion = new\n[x]\n[web]\nregion = new\n"
        ),
        Case(
            name: "in the last of two sections",
            before: "[web]\na = 1\n[x]\n[web]\nb = 1\n[y]\n",
            after: "[web]\na = 1\n[x]\n[web]\nb = 1\nregion = new\n[y]\n"
        ),
        Case(
            name: "of another section",
            before: "[x]\nregion = old\n[web2]\nregion = old\n",
            after: "[x]\nregion = old\n[web2]\nregion = old\n\n[web]\nregion = new\n"
        ),
        Case(
            name: "commented out",
            before: "[web]\n#region = old\n;region = old\n",
            after: "[web]\nregion = new\n#region = old\n;region = old\n"
        ),
        Case(
            name: "before any section",
            before: "region = stray\n[web]\n",
            after: "region = stray\n[web]\nregion = new\n"
        ),
        Case(
            name: "a line that is nothing",
            before: "[web]\nnonsense\n",
            after: "[web]\nnonsense\nregion = new\n"
        ),
        Case(
            name: "a carriage return alone",
            before: "[web]\na = 1\rb\nregion = old\n",
            after: "[web]\na = 1\rb\nregion = new\n"
        ),
        Case(
            name: "a long line",
            before: "[x]\na = \(String(repeating: "z", count: 200_000))\n[web]\nregion = old\n",
            after: "[x]\na = \(String(repeating: "z", count: 200_000))\n[web]\nregion = new\n"
        ),
    ]

    @Test(arguments: cases)
    func `a setting is set, and every other byte stays`(text: Case) throws {
        var file = SharedConfiguration(Array(text.before.utf8))
        try file.set([("region", "new")], in: "web")
        #expect(String(decoding: file.bytes, as: UTF8.self) == text.after)
        #expect(file.bytes == Array(text.after.utf8))
        #expect(file.value(of: "REGION", in: "web") == "new")
        let once = file.bytes
        try file.set([("region", "new")], in: "web")
        #expect(file.bytes == once)
    }

    @Test(arguments: cases)
    func `what is read stays as it is`(text: Case) {
        let file = SharedConfiguration(Array(text.before.utf8))
        _ = file.sectionNames
        _ = file.settings(in: "web")
        #expect(file.bytes == Array(text.before.utf8))
    }

    @Test func `bytes that are no text stay`() throws {
        let before: [UInt8] =
            [0xff, 0x00, 0x0a] + Array("[web]\nname = J".utf8) + [0xf6] + Array("rg\nregion = o\n".utf8)
        var file = SharedConfiguration(before)
        try file.set([("region", "n")], in: "web")
        #expect(file.bytes == before.dropLast(2) + Array("n\n".utf8))
    }

    @Test(arguments: [
        ("[profile web]", "profile web"), ("[ profile  web ]", "profile web"), ("[profile\tweb]", "profile web"),
        ("[profile \"web\"]", "profile web"), ("[profile 'web']", "profile web"),
        ("[profile \"my web\"]", "profile my web"),
        ("[profile my web]", "profile my web"), ("[ default ]", "default"), ("[sso-session  x]", "sso-session  x"),
        ("[profile]", "profile"), ("[profile \"a]b\"]", "profile a]b"),
    ])
    func `a section's name has one form`(header: String, name: String) {
        #expect(SharedConfiguration(Array("\(header)\na = 1\n".utf8)).sectionNames == [name])
        #expect(SharedConfiguration(Array("\(header)\na = 1\n".utf8)).value(of: "a", in: name) == "1")
    }

    @Test func `a name with blanks is quoted behind profile, and nowhere else`() throws {
        var file = SharedConfiguration()
        try file.set([("a", "1")], in: "profile my web")
        try file.set([("a", "1")], in: "my web")
        #expect(String(decoding: file.bytes, as: UTF8.self) == "[profile \"my web\"]\na = 1\n\n[my web]\na = 1\n")
    }

    @Test func `a setting is removed with its nested block, and wherever it stands`() throws {
        var file = SharedConfiguration(Array("[web]\na = 1\nb =\n  c = 2\n\n  d = 3\ne = 4\nB = 5\n[web]\nb=6".utf8))
        try file.set([("b", nil), ("missing", nil)], in: "web")
        try file.set([("b", nil)], in: "elsewhere")
        #expect(String(decoding: file.bytes, as: UTF8.self) == "[web]\na = 1\n\ne = 4\n[web]\n")
    }

    @Test func `new settings keep their order`() throws {
        var file = SharedConfiguration(Array("[web]\nx = 0\n".utf8))
        try file.set([("a", "1"), ("b", "2"), ("c", "")], in: "web")
        #expect(String(decoding: file.bytes, as: UTF8.self) == "[web]\nx = 0\na = 1\nb = 2\nc = \n")
    }

    @Test(arguments: ["a\nb", "a\rb", "a\u{0}b", " a", "a ", "\u{7f}"])
    func `a value that would not come back as it is, is refused, and not shown`(value: String) throws {
        var file = SharedConfiguration(Array("[web]\n".utf8))
        let error = #expect(throws: DeliveryError.self) { try file.set([("key", value + "SECRET" + value)], in: "web") }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains("SECRET") == false)
        #expect(file.bytes == Array("[web]\n".utf8))
    }

    @Test(arguments: ["", " ", "a]b", "a[b", "a\nb"])
    func `a name that would end its header is refused`(section: String) throws {
        var file = SharedConfiguration()
        #expect(throws: DeliveryError.self) { try file.set([("a", "1")], in: section) }
        #expect(file.bytes.isEmpty)
    }

    @Test(arguments: ["", "a b", "a=b", "a:b", "#a", "[a", "a\n"])
    func `a setting's name that would be something else is refused`(name: String) throws {
        var file = SharedConfiguration()
        #expect(throws: DeliveryError.self) { try file.set([(name, "1")], in: "web") }
    }

    @Test func `no description shows what is in the file`() {
        let file = SharedConfiguration(Array("[web]\nkey = SECRET\n".utf8))
        var dumped = ""
        dump(file, to: &dumped)
        for text in ["\(file)", String(reflecting: file), dumped] { #expect(!text.contains("SECRET")) }
    }

    /// Whatever the file: what is set is read back, nothing else is read otherwise, and a second time changes nothing.
    @Test func `files made of pieces by chance keep everything else`() throws {
        let pieces = [
            "[web]", "[x]", "[ web ]", "[profile web]", "a = 1", "region = old", "region=", "  region = nested", "s3 =",
            "\tmax = 1", "", "   ", "# c", "; c", "  # c", "nonsense", "key = v # c", "A: 2", "=", "[", "]", "[]",
            "\u{b}", "x",
        ]
        var generator = SplitMix(state: 42)
        for _ in 0..<3000 {
            var text = ""
            for _ in 0..<Int.random(in: 0..<12, using: &generator) {
                text += pieces.randomElement(using: &generator) ?? ""
                text += ["\n", "\n", "\r\n"].randomElement(using: &generator) ?? ""
            }
            if Bool.random(using: &generator) { text += pieces.randomElement(using: &generator) ?? "" }
            var file = SharedConfiguration(Array(text.utf8))
            let before = Dictionary(
                file.sectionNames.map { ($0, file.settings(in: $0) ?? []) },
                uniquingKeysWith: { $1 }
            )
            try file.set([("region", "new")], in: "web")
            #expect(file.value(of: "region", in: "web") == "new", "\(text.debugDescription)")
            for (section, settings) in before {
                for setting in settings where section != "web" || setting.name != "region" {
                    let value = file.value(of: setting.name, in: section)
                    #expect(value == setting.value, "\(setting.name) in \(text.debugDescription)")
                }
            }
            let once = file.bytes
            try file.set([("region", "new")], in: "web")
            #expect(file.bytes == once, "\(text.debugDescription)")
        }
    }
}

/// Numbers that are the same in every run.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
