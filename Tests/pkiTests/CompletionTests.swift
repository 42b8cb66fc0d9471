// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SystemSupport
import Testing

@testable import pki

@Suite struct CompletionTests {
    private static func values(_ words: String...) -> [String]? {
        guard case .values(let offers) = CompletionRequest(words, of: PKI.self).answer else { return nil }
        return offers.map(\.value)
    }

    @Test func `every command and its options are offered`() {
        let commands = PKI.configuration.subcommands
        let names = commands.compactMap { $0.configuration.commandName }
        #expect(Self.values("").map { Set($0) } == Set(names + ["help"]))
        #expect(Self.values("help", "").map { Set($0) } == Set(names))
        for name in names {
            let help = PKI.helpMessage(for: commands.first { $0.configuration.commandName == name } ?? PKI.self)
            let options = help.split { $0 == " " || $0 == "\n" || $0 == "," }.filter { $0.hasPrefix("--") }
            let offered = Set(Self.values(name, "--") ?? [])
            #expect(offered.count > 1 && offered.isSubset(of: options.map(String.init)), "\(name)")
        }
    }

    @Test func `an option that was given is not offered again unless it can be repeated`() {
        #expect(Self.values("issue-client", "--day") == ["--days"])
        #expect(Self.values("issue-client", "--days", "3", "--day") == [])
        #expect(Self.values("issue-client", "--days=3", "--day") == [])
        #expect(Self.values("issue-client", "--dns", "a", "--dn") == ["--dns"])
        #expect(Self.values("issue-client", "--", "--dn") == [])
    }

    @Test func `the word after an option is its value`() {
        #expect(Self.values("list", "--format", "") == ["table", "json", "csv"])
        #expect(Self.values("list", "-o", "j") == ["json"])
        #expect(Self.values("list", "--format=j") == ["--format=json"])
        #expect(Self.values("list", "--all", "--format=json", "--revo") == ["--revoked"])
        #expect(Self.values("list", "--nosuch=") == [])
        #expect(CompletionRequest(["creds", "--certificate", ""], of: PKI.self).answer == .files)
        #expect(CompletionRequest(["creds", "--certificate="], of: PKI.self).answer == .files)
        #expect(CompletionRequest(["list", "--directory", "x"], of: PKI.self).answer == .directories)
        // Several files, until the next option.
        #expect(CompletionRequest(["verify", "a", "--crl", "b", ""], of: PKI.self).answer == .files)
        #expect(Self.values("verify", "a", "--crl", "b", "--bun") == ["--bundle"])
    }

    @Test func `arguments have values of their own`() {
        #expect(Self.values("completion", "z") == ["zsh"])
        #expect(Self.values("completion", "zsh", "b") == [])
        #expect(CompletionRequest(["lint", "a", "b", ""], of: PKI.self).answer == .files)
        #expect(CompletionRequest(["exec", "--", ""], of: PKI.self).answer == .commands)
        #expect(CompletionRequest(["exec", "--profile", "x", "--", "ls", ""], of: PKI.self).answer == .files)
        #expect(Self.values("lab", "l") == ["log"])
        #expect(Self.values("lab", "log", "--refu") == ["--refused"])
        // Where only options can be, they are offered without a hyphen.
        #expect(Self.values("init-ca", "")?.contains("--subject") == true)
    }

    @Test(arguments: [
        ("pki revoke we", ["pki", "revoke", "we"]), ("pki revoke ", ["pki", "revoke", ""]),
        (#"pki  a\ b 'c d' "e \" \x f""#, ["pki", "a b", "c d", #"e " \x f"#]), (#"pki "a b"#, ["pki", "a b"]),
        (#"pki a\"#, ["pki", "a"]), (#"pki '' x"#, ["pki", "", "x"]),
        ("pki $(touch x) `y`", ["pki", "$(touch", "x)", "`y`"]),
        ("pki \"\u{301}a b\"", ["pki", "\u{301}a b"]),
    ])
    func `a line of bash is read as bash reads it`(line: String, words: [String]) {
        #expect(PartialLine(line.unicodeScalars).words == words)
    }

    @Test(arguments: [
        ("pki x a", "a", "a b", #"a\ b"#), ("pki x \"a", "a", "a b", "a b"), ("pki x 'a", "a", "a'b", #"a'\''b"#),
        // What bash replaces begins after a colon.
        ("pki x arn:aws:i", "i", "arn:aws:iam", "iam"), ("pki x arn:", "", "arn:aws", "aws"),
        ("pki x --a=arn:aws:i", "i", "--a=arn:aws:iam", "iam"), (#"pki x a\ b:c"#, "c", "a b:cd", "cd"),
        ("pki x \"a:b", "a:b", "a:b$(c)`d`\\", #"a:b\$(c)\`d\`\\"#),
        ("pki x ", "", "$(a);b&c|d<e>f!g*h?i~j#k{l}", ##"\$\(a\)\;b\&c\|d\<e\>f\!g\*h\?i\~j\#k\{l\}"##),
        ("pki x \"a", "a", "a!", "a\"'!'\"\""), ("pki x \"a", "a", "a\"", "a\\\"\""),
        ("pki x 'a", "a", "a'", #"a'\'''"#),
        ("pki x é", "é", "é\u{301}'", "é\u{301}\\'"),
    ])
    func `what bash inserts means the value`(line: String, replaced: String, value: String, inserted: String) {
        #expect(PartialLine(line.unicodeScalars).replacement(by: value, for: replaced) == inserted)
    }

    @Test func `an answer has one line for each value`() {
        #expect(CompletingShell.fish.answer(["completion", "b"], of: PKI.self) == "values\nbash\t\n")
        #expect(CompletingShell.bash.answer(["pki completion b", "b"], of: PKI.self) == "values\nbash\n")
        #expect(CompletingShell.zsh.answer(["inspect", ""], of: PKI.self) == "files\n")
        #expect(CompletingShell.zsh.answer([], of: PKI.self).hasPrefix("values\n"))
    }
}
