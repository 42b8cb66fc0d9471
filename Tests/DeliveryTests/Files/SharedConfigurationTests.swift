// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Delivery
import SystemSupport

@Suite struct SharedConfigurationTests {
    static let cases = ConfigurationCase.settings + ConfigurationCase.sections

    @Test(arguments: cases)
    func `a change changes what it names and nothing else`(_ example: ConfigurationCase) throws {
        var configuration = SharedConfiguration(example.before)
        try configuration.set(example.settings, in: example.section)
        #expect(configuration.bytes == example.after)
        #expect(String(decoding: configuration.bytes, as: UTF8.self) == String(decoding: example.after, as: UTF8.self))
    }

    @Test(arguments: cases)
    func `what was set is what is read, and setting it again changes nothing`(_ example: ConfigurationCase) throws {
        var configuration = SharedConfiguration(example.before)
        try configuration.set(example.settings, in: example.section)
        for (name, value) in example.settings where example.settings.last(where: { $0.name == name })?.value == value {
            guard example.settings.last(where: { $0.name.lowercased() == name.lowercased() })?.name == name else {
                continue
            }
            #expect(configuration.value(of: name, in: example.section) == value)
            #expect(configuration.value(of: name.uppercased(), in: example.section) == value)
        }
        let once = configuration
        try configuration.set(example.settings, in: example.section)
        #expect(configuration == once)
    }

    @Test(arguments: cases)
    func `what was there is taken as it is`(_ example: ConfigurationCase) {
        let lines = ConfigurationLine.lines(of: example.before)
        #expect(SharedConfiguration(example.before).bytes == example.before)
        let start = example.before.starts(with: ConfigurationLine.byteOrderMark) ? 3 : 0
        #expect(lines.flatMap { example.before[$0.range] } == Array(example.before[start...]))
    }

    @Test func `the sections are listed once and by their plain names`() {
        let text = """
            first = 1
            [ default ]
            [profile  "my name"] # x
            # [commented]
            [sso-session x]
            [default]
              [indented]
            a =
              [nested]
            [profile]
            """
        #expect(
            SharedConfiguration(Array(text.utf8)).sectionNames == [
                "default", "profile my name", "sso-session x", "indented", "profile",
            ])
    }

    @Test func `the settings of all sections of a name are put together, and the last value counts`() throws {
        let text = """
            [web]
            A=1
            b : 2 # no part
            [other]
            a = 9
            [ web ]
            a = 3
            c=
            """
        let settings = try #require(SharedConfiguration(Array(text.utf8)).settings(in: "web"))
        #expect(settings.map(\.name) == ["a", "b", "c"])
        #expect(settings.map(\.value) == ["3", "2", ""])
        #expect(SharedConfiguration(Array(text.utf8)).settings(in: "web2") == nil)
        #expect(SharedConfiguration(Array("[web]".utf8)).settings(in: "web")?.isEmpty == true)
    }

    @Test func `nested settings are the text of their lines`() {
        let text = "[web]\ns3 =\n    a = b\n\n    # c\n  d=e\n\n\nregion = x\n  y\n\n"
        let configuration = SharedConfiguration(Array(text.utf8))
        #expect(configuration.value(of: "s3", in: "web") == "\na = b\n\nd=e")
        #expect(configuration.value(of: "region", in: "web") == "x\ny")
        #expect(configuration.value(of: "a", in: "web") == nil)
    }

    @Test(arguments: [
        "SECRET\nb", "SECRET\rb", "SECRET\u{0}b", "SECRET\tb", "SECRET\u{7F}", "SECRET\u{85}b", "SECRET\u{2028}b",
        " SECRET",
        "SECRET ", "\u{A0}SECRET", "SECRET #b", "SECRET ;b", "#SECRET", ";", "SECRET\u{A0}#b",
    ])
    func `a value that not every reader takes alike is refused, and not shown`(_ value: String) throws {
        var configuration = SharedConfiguration(Array("[web]\n".utf8))
        let error = #expect(throws: DeliveryError.self) {
            try configuration.set([("good", "1"), ("aws_secret_access_key", value)], in: "web")
        }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains("aws_secret_access_key") == true)
        #expect(error?.message.contains("SECRET") == false)
        #expect(configuration.bytes == Array("[web]\n".utf8))
    }

    @Test(arguments: ["", "a b", "a=b", "a:b", "#a", ";a", "[a", "a]", "a\n", "ä", " a", "a\u{0}"])
    func `a name that no setting can have is refused`(_ name: String) {
        var configuration = SharedConfiguration()
        for value in ["x", nil] {
            let error = #expect(throws: DeliveryError.self) {
                try configuration.set([("good", "1"), (name, value)], in: "web")
            }
            #expect(error?.code == .invalidArgument)
        }
        #expect(configuration.bytes.isEmpty)
    }

    @Test(arguments: [
        "", "  ", "a]b", "a[b", "profile a\nb", "a\u{0}", "a\u{2028}", "a #b", ";a", "DEFAULT", "profile a'b\"c",
        "profile it's\\",
    ])
    func `a name that no section can have is refused`(_ name: String) {
        var configuration = SharedConfiguration()
        let error = #expect(throws: DeliveryError.self) { try configuration.set([("a", "1")], in: name) }
        #expect(error?.code == .invalidArgument)
        #expect(configuration.bytes.isEmpty)
    }

    @Test func `no description shows the contents`() {
        let configuration = SharedConfiguration(Array("[web]\naws_secret_access_key = SECRET\n".utf8))
        var texts = ["\(configuration)", String(reflecting: configuration), "\([configuration])"]
        var dumped = ""
        dump(["key": configuration], to: &dumped)
        texts.append(dumped)
        for text in texts {
            #expect(!text.contains("SECRET"))
            #expect(text.contains("37"))
        }
    }
}
