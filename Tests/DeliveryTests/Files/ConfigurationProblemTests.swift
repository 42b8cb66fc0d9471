// SPDX-License-Identifier: Apache-2.0

import SystemSupport
import Testing

@testable import Delivery

@Suite struct ConfigurationProblemTests {
    struct Example: Sendable, CustomTestStringConvertible {
        let text: String
        let file: SharedConfiguration.File
        let found: [String]
        var testDescription: String { text }

        init(_ text: String, _ found: String..., in file: SharedConfiguration.File = .config) {
            self.text = text
            self.found = found
            self.file = file
        }
    }

    /// What is wrong in which line. Tests/Interop/test_aws_files.py asks botocore about the same kinds.
    @Test(arguments: [
        Example(""), Example("# x\n\n"),
        Example(
            "[default]\nregion = x\n[profile 'a b']\n[profile \"c\"]\n[profile  d ]\n[services x]\n", "unportableName 3"
        ),
        Example("[profile a\\ b]\n", "unportableName 1"),
        Example("\u{FEFF}[default]\n", "byteOrderMark 1"),
        Example("a = 1\n[default]\n", "beforeFirstSection 1"),
        Example("[default]\nnonsense\n= x\n[]\n", "malformedLine 2", "malformedLine 3", "malformedLine 4"),
        Example("[default]\n[b]\n[default]\n", "repeatedSection 3"),
        Example("[DEFAULT]\na = 1\n[DEFAULT]\nb = 1\n"),
        Example("[default]\na = 1\nA: 2\n", "repeatedSetting 3"),
        Example("[default]\ns3 =\n  a = 1\n  b\n", "malformedNesting 4"),
        Example("[ default ]\n", "unfoundSection 1"), Example("[default] # see [b]\n", "unfoundSection 1"),
        Example("[profile a b]\n", "unfoundSection 1"), Example("[profile a b]\n", in: .credentials),
        Example("[ web ]\n[my web]\n", "unfoundSection 1", in: .credentials),
        Example("[profile it's]\n", "unfoundSection 1"),
        Example("[default]\n[profile default]\n", "shadowedSection 1"),
        Example("[profile a]\n[profile 'a']\n", "shadowedSection 1"),
        Example("[default]\nregion = x\n  output = json\n  b\n", "continuedValue 3"),
        Example("[default]\n  region = x\n", "indentedSetting 2"),
        Example("[default]\nregion = x # y\n", "commentInValue 2"),
        Example("[default]\nregion = x\routput = y\n", "carriageReturn 2"),
    ])
    func `F4: what botocore does not find or read is named with its line`(_ example: Example) {
        let problems = SharedConfiguration(Array(example.text.utf8)).problems(in: example.file)
        #expect(problems.map { "\($0.kind) \($0.line)" } == example.found)
        for problem in problems { #expect(problem.message.utf8.count < 120) }
    }

    @Test func `F4: a byte that is not UTF-8 is found in a comment too`() {
        let problems = SharedConfiguration(Array("[default]\n# caf".utf8) + [0xE9, 0x0A]).problems(in: .config)
        #expect(problems.map(\.kind) == [.notUTF8] && problems.first?.line == 2)
    }

    @Test func `the problems of another section are not those of a profile`() {
        let file = SharedConfiguration(Array("[ b ]\n[default]\n[profile a b]\nx = 1\nx = 2\n".utf8))
        #expect(file.problems(in: .config, of: ["default"]).map(\.kind) == [.repeatedSetting])
        #expect(file.problems(in: .config, of: ["profile a b"]).map(\.kind) == [.unfoundSection, .repeatedSetting])
    }

    @Test(arguments: [
        ("[default]\na = 1\n", "[default]\na = 1\n\n[profile web]\npki_x = 1\nregion = y\n"),
        ("", "[profile web]\nPKI_X = 1\nregion = y\n"),
        ("# mine\n", "# mine\n\n[profile web]\npki_x = 1\n"),
        ("[profile web]\n# mine\na = 1\n", "[profile web]\n# mine\na = 1\npki_x = 1\nregion = y\n"),
        ("# mine\n[b]\nx = 1\n", "[profile web]\npki_x = 1\n# mine\n[b]\nx = 1\n"),
        ("[a]\nx = 1\n\n[b]\nx = 1\n", "[a]\nx = 1\n\n[profile web]\npki_x = 1\n\n[b]\nx = 1\n"),
    ])
    func `what is removed leaves everything else, and no empty section`(after: String, before: String) throws {
        var file = SharedConfiguration(Array(before.utf8))
        try file.remove(["pki_x", "region"], in: "profile web")
        #expect(String(decoding: file.bytes, as: UTF8.self) == after)
        try file.remove(["pki_x"], in: "profile nobody")
        var empty = SharedConfiguration(Array("[ profile web ]\n".utf8))
        try empty.remove(["pki_x"], in: "profile web")
        #expect(String(decoding: empty.bytes, as: UTF8.self) == "[ profile web ]\n")
        #expect(String(decoding: file.bytes, as: UTF8.self) == after)
    }

    @Test(
        arguments: [
            ("a b  c", ["a", "b", "c"]), (#"a\ b"#, ["a b"]), (#"'a b'"c"d"#, ["a bcd"]), (#""a\"b\c""#, [#"a"b\c"#]),
            ("''", [""]), ("'a", nil), (#"a\"#, nil), (#"'\'"#, [#"\"#]), ("", []),
        ] as [(String, [String]?)])
    func `words are those of Python's shlex`(_ text: String, _ words: [String]?) {
        #expect(shellWords(text.utf8)?.map { String(decoding: $0, as: UTF8.self) } == words)
    }
}
