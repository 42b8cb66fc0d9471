// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import RolesAnywhere
import SystemSupport
import Testing

@testable import pki

@Suite struct CommandLineTests {
    static let commands = PKI.configuration.subcommands

    @Test(arguments: commands.indices)
    func `the help of every command has an example and fits 80 columns`(index: Int) {
        let command = Self.commands[index]
        let help = wrappingUsage(PKI.helpMessage(for: command, columns: 80))
        #expect(help.contains("For example"))
        #expect(help.contains("pki \(command.configuration.commandName ?? "?")"))
        for line in help.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
        // An example that is wrapped cannot be pasted.
        for line in command.configuration.discussion.split(separator: "\n") where line.hasPrefix("  ") {
            #expect(help.contains(line), "\(line)")
        }
    }

    /// The `pki` commands in the examples of a help text, as words. Variables have the values of the quick start.
    static func examples(in discussion: String) -> [[String]] {
        let code = discussion.split(separator: "\n").filter { $0.hasPrefix("  ") }.map { $0.drop { $0 == " " } }
        let lines = code.joined(separator: "\n").replacing("\\\n", with: "").split(separator: "\n")
        let service = "arn:aws:rolesanywhere:us-east-1:123456789012:"
        return lines.compactMap { line in
            // At the beginning, in $(…), or after a pipe.
            let parts =
                line.hasPrefix("pki ")
                ? [line[...]]
                : ["\"$(pki ", "| pki "].compactMap { before in
                    line.firstRange(of: before).map { line[$0.upperBound...] }
                }
            guard var rest = parts.first else { return nil }
            if rest.hasPrefix("pki ") { rest.removeFirst(4) }
            // What follows belongs to the shell, or explains.
            for end in ["  ", " | ", " > ", " && ", ")\""] {
                if let range = rest.firstRange(of: end) { rest = rest[..<range.lowerBound] }
            }
            var text = String(rest).replacing("$(mkcert -CAROOT)", with: "ca")
            for (name, value) in [
                ("ANCHOR", "\(service)trust-anchor/1"), ("anchor", "\(service)trust-anchor/1"),
                ("PKI_LAB_TRUST_ANCHOR_ARN", "\(service)trust-anchor/1"), ("profile", "\(service)profile/1"),
                ("PKI_LAB_PROFILE_ARN", "\(service)profile/1"), ("role", "arn:aws:iam::123456789012:role/web"),
                ("PKI_LAB_ROLE_ARN", "arn:aws:iam::123456789012:role/web"),
            ] {
                text = text.replacing("$\(name)", with: value)
            }
            return shellWords(text.utf8)?.map { String(decoding: $0, as: UTF8.self) }
        }
    }

    @Test func `every command line in the help is accepted`() {
        let nested = Self.commands.flatMap { $0.configuration.subcommands }
        let discussions = ([PKI.self] + Self.commands + nested).map { $0.configuration.discussion }
        let examples = discussions.flatMap(Self.examples)
        for words in examples {
            do {
                _ = try PKI.parseAsRoot(words)
            } catch {
                #expect(PKI.exitCode(for: error) == .success, "\(words): \(PKI.message(for: error))")
            }
        }
        let lines = discussions.flatMap { $0.split(separator: "\n") }
        #expect(examples.count > lines.filter { $0.hasPrefix("  pki ") }.count)
    }

    @Test(arguments: commands.indices)
    func `every option of every command has a help text`(index: Int) {
        let help = PKI.helpMessage(for: Self.commands[index], columns: 200)
        let lines = help.split(separator: "\n")
        let options = lines.indices.filter { lines[$0].hasPrefix("  --") }
        #expect(!options.isEmpty)
        for index in options {
            // The text after the name and the value; after a long name it is on the next line.
            let words = lines[index].split(separator: " ").filter { !$0.hasPrefix("--") && !$0.hasPrefix("<") }
            let next = lines[(index + 1)...].first ?? ""
            #expect(!words.isEmpty || next.hasPrefix("          "), "\(lines[index])")
        }
    }

    @Test(arguments: [
        ["fly"], ["init-ca", "--fly"], ["init-ca", "--days", "many"], ["init-ca", "--key-type", "dsa"],
        ["init-ca", "--subject", "Müller"], ["init-ca", "--permit", "dns"], ["init-ca", "--not-after", "tomorrow"],
        ["issue-client", "--ip", "10.0.0.256"], ["issue-client", "--dns", "a b"], ["issue-client", "--uri", "web"],
        ["issue-client", "--email", "a"], ["print-bundle", "--format", "xml"],
        ["creds", "--attempts", "0"], ["creds", "--fips", "--dual-stack"], ["exec"],
        ["exec", "--cache", "--server", "--", "x"],
        ["serve", "--listen", "a:b:c"], ["serve", "--hop-limit", "0"], ["serve", "--port", "1", "--listen", "2"],
        ["update", "--certificate", "a", "--profile", "b", "--profile", "c"], ["lab", "--port", "70000"],
        ["lab", "--account", "1"], ["lab", "--tls-ca-file", "x"],
    ])
    func `a wrong command line is found before anything is done`(arguments: [String]) {
        do {
            _ = try PKI.parseAsRoot(arguments)
            Issue.record("accepted")
        } catch {
            #expect(PKI.exitCode(for: error) == .validationFailure)
            #expect(PKI.exitCode(for: error).rawValue == ExitStatus.usage)
        }
    }

    @Test func `a value that is refused is named with its rule`() {
        do {
            _ = try PKI.parseAsRoot(["issue-client", "--dns", "a_b.example.com"])
            Issue.record("accepted")
        } catch {
            let message = PKI.message(for: error)
            #expect(message.contains("--dns") && message.contains("a_b"), "\(message)")
        }
    }

    @Test(arguments: [
        (
            ["init-ca", "--directry", "x"], "unknown option \"--directry\"",
            "did you mean --directory? See pki init-ca --help"
        ),
        (["init-ca", "--days", "many"], "the value \"many\" is invalid for --days <n>", "see pki init-ca --help"),
        (
            ["list", "--format", "xml"], "the value \"xml\" is invalid for --format <format>",
            "use one of table, json, csv"
        ),
        (
            ["audit", "--name", "[a"],
            "--name <pattern>: \"[a\": \"[\" is not closed; write \"\\[\" for a literal bracket",
            "see pki audit --help"
        ),
        (["revoke"], "<name> is missing", "see pki revoke --help"),
        (["issue-intermediate"], "<name> is missing", "see pki issue-intermediate --help"),
        (["issue-client", "a", "b"], "unexpected argument \"b\"", "see pki issue-client --help"),
        (["list", "--expiring"], "--expiring <time> has no value", "see pki list --help"),
        (["renew", "a", "--days", "-5"], "the value \"-5\" is invalid for --days <n>", "see pki renew --help"),
        (["audit", "--contains", "x"], "--contains requires --verify", "see pki audit --help"),
    ])
    func `an error of the parser is lower case, without a full stop, and with a hint`(
        arguments: [String], message: String, hint: String
    ) {
        do {
            _ = try PKI.parseAsRoot(arguments)
            Issue.record("accepted")
        } catch {
            let shown = ParserMessage(
                PKI.message(for: error), details: PKI.fullMessage(for: error), arguments: arguments)
            #expect(shown.message == message)
            #expect(shown.hint == hint)
        }
    }

    @Test func `members without a value are left out of JSON`() throws {
        let (text, none): (String?, String?) = ("a", nil)
        let members: JSONMembers = [
            "text": text, "none": none, "list": ["b"], "inner": ["n": 1, "none": none] as JSONMembers,
        ]
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        #expect(
            String(decoding: try encoder.encode(members), as: UTF8.self)
                == #"{"inner":{"n":1},"list":["b"],"text":"a"}"#)
    }

    @Test func `--days and --not-after exclude each other`() {
        #expect(throws: UsageError.self) { try Lifetime.choose(days: 1, notAfter: .days(2)) }
        #expect(throws: UsageError.self) {
            try PassphraseOptions<CAKeyRole>.parse(["--passphrase-file", "a", "--passphrase-env", "B"]).source()
        }
    }

    @Test(arguments: [("2030-12-31", 1_924_991_999.0), ("2030-12-31T12:00:00Z", 1_924_948_800)])
    func `a day counts to its end, a time is itself`(text: String, seconds: Double) throws {
        guard case .until(let date) = try Lifetime.argument(text) else {
            Issue.record("not a time")
            return
        }
        #expect(date.timeIntervalSince1970 == seconds)
    }

    @Test func `the exit status depends on the error`() {
        #expect(ExitStatus.status(for: UsageError(message: "x")) == 64)
        #expect(ExitStatus.status(for: InputError(message: "x")) == 2)
        #expect(ExitStatus.status(for: AuthorityError(.exists, "x")) == 2)
        #expect(ExitStatus.status(for: CertificateError(.malformed, "x")) == 2)
    }

    @Test(arguments: [
        ["issue-client", "web-1"], ["issue-client", "--name", "web-1"], ["issue-client", "--dns", "a.b", "web-1"],
    ])
    func `C6: a new certificate's name is an argument or an option`(arguments: [String]) throws {
        #expect(try (PKI.parseAsRoot(arguments) as? IssueClientCommand)?.naming.value == "web-1")
        #expect(throws: (any Error).self) { try PKI.parseAsRoot(arguments + ["web-2", "--name", "x"]) }
    }

    @Test(arguments: commands.indices)
    func `C7: every format has the short option -o, every command that reports has -q`(index: Int) {
        let help = PKI.helpMessage(for: Self.commands[index], columns: 200)
        for line in help.split(separator: "\n") where line.contains("  --format <") { Issue.record("\(line)") }
        let name = Self.commands[index].configuration.commandName ?? ""
        let withoutNotes: Set = [
            "print-trust-policy", "print-template", "cache", "token", "inventory", "credential-process", "sign-string",
            "read-certificate-data", "version", "completion",
        ]
        #expect(help.contains("-q, --quiet") != withoutNotes.contains(name))
    }
}

@Suite struct CommandSuggestionTests {
    private let commands = CommandSuggestion(of: PKI.self)

    @Test(arguments: [
        ("issue-clien", ["issue-client"]), ("isue-client", ["issue-client"]), ("lsit", ["list"]), ("crls", ["crl"]),
        ("init", ["init-ca"]), ("issue", ["issue-client", "issue-intermediate"]), ("renw", ["renew"]),
        ("whoam", ["whoami"]), ("verfiy", ["verify"]), ("rotate", ["rotate-ca"]),
    ])
    func `similar commands are suggested`(word: String, meant: [String]) {
        #expect(commands.candidates(for: word) == meant)
    }

    @Test(arguments: ["x", "bootstrap", "certificate", ""])
    func `a word like no command has no suggestion`(word: String) {
        #expect(commands.candidates(for: word) == [])
    }

    @Test func `commands are accepted`() throws {
        for word in commands.names + ["help", "--help", "-h", "--version"] {
            try CommandSuggestion.check([word], of: PKI.self)
            try CommandSuggestion.check(["help", word], of: PKI.self)
        }
        try CommandSuggestion.check([], of: PKI.self)
        try CommandSuggestion.check(["help", "lab", "log"], of: PKI.self)
        #expect(commands.names.count > 30)
        for words in [["issue-clien"], ["help", "nosuch"], ["help", "lab", "nosuch"]] {
            #expect(throws: UsageError.self) { try CommandSuggestion.check(words, of: PKI.self) }
        }
    }

    @Test func `distances`() {
        func distance(_ word: String, _ other: String) -> Int {
            editDistance(word, other)
        }
        #expect(distance("", "") == 0)
        #expect(distance("", "abc") == 3)
        #expect(distance("kitten", "sitting") == 3)
        #expect(distance("lsit", "list") == 1)
    }
}
