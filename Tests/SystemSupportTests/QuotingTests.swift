// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import SystemSupport
import TestSupport
import Testing

/// Strings made of what languages give a meaning to, and of what Unicode joins to it.
private let pieces: [String] = [
    "a", "Z", "9", " ", "'", "\"", "`", "$", "$(", "${", "%{", "%", "\\", "\n", "\r", "\t", "\u{1}", "\u{7f}", "\u{9b}",
    "\u{301}", "\u{200d}", "\u{202e}", "\u{2028}", "\u{feff}", "’", "‘", "é", "漢", "🙂", "\u{e0001}", "-", "--", "=",
    "~",
    "#", ";", "&", "|", "<", ">", "*", "?", "[", "{", "}", "!", "^", ":", ",", "(", ")",
]

private func samples(_ count: Int) -> [String] {
    // A generator of its own, so that a failure can be repeated.
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    func next(_ limit: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % limit
    }
    let fixed = [
        "", "-x", "it's", "'\u{301};touch x;#'\u{301}", "=ls", "~", "a b", "$(id)", "R&D", "{{}}", "${a} %{b} $c $${d}",
    ]
    return fixed + (0..<count).map { _ in (0..<next(12)).map { _ in pieces[next(pieces.count)] }.joined() }
}

/// Runs a program on a text and returns what it prints.
private func output(of command: [String], input: String) throws -> [UInt8] {
    let directory = try ProgramDirectory()
    try directory.write(Array(input.utf8), to: "in")
    try directory.run(["sh", "-c", "exec \"$@\" <in >out", "sh"] + command, ["LC_ALL": "C.UTF-8"])
    return try directory.read("out")
}

@Suite struct QuotingTests {
    @Test(arguments: [["sh"], ["bash", "--norc", "--noprofile"], ["dash"], ["zsh", "-f"]])
    func `every shell reads the word back`(shell: [String]) throws {
        guard Self.isInstalled(shell[0]) else { return }
        let texts = samples(10_000)
        let script = texts.map { "printf '%s\\0' \(Quoting.shell($0))\n" }.joined()
        let read = try output(of: shell, input: script)
        #expect(read == texts.flatMap { Array($0.utf8) + [0] })
    }

    @Test func `fish reads the word back`() throws {
        guard Self.isInstalled("fish") else { return }
        let texts = samples(10_000)
        let script = texts.map { "printf '%s\\0' \(Quoting.fish($0))\n" }.joined()
        #expect(try output(of: ["fish", "--no-config"], input: script) == texts.flatMap { Array($0.utf8) + [0] })
    }

    @Test func `a command is read by Python's shlex, as botocore reads credential_process`() throws {
        let texts = samples(10_000).filter { !$0.contains("\0") }
        let program = """
            import shlex, sys
            for line in sys.stdin.buffer.read().decode().split('\\0'):
                if line: sys.stdout.buffer.write(b'\\0'.join(w.encode() for w in shlex.split(line)) + b'\\0\\0')
            """
        let lines = texts.map { Quoting.command(["creds", $0, "x"]) }.joined(separator: "\0")
        let read = try output(of: ["python3", "-c", program], input: lines)
        #expect(read == texts.flatMap { Array("creds\0\($0)\0x\0\0".utf8) })
    }

    @Test func `JSON and YAML are read back`() throws {
        let texts = samples(10_000)
        let program = """
            import json, sys
            texts = json.loads(sys.stdin.buffer.read())
            sys.stdout.buffer.write(b''.join(t.encode() + b'\\0' for t in texts))
            """
        let list = "[\(texts.map(Quoting.json).joined(separator: ","))]"
        #expect(list.unicodeScalars.allSatisfy { !$0.isControl })
        #expect(try output(of: ["python3", "-c", program], input: list) == texts.flatMap { Array($0.utf8) + [0] })
        #expect(texts.allSatisfy { text in Quoting.yaml(text).unicodeScalars.allSatisfy { !$0.isControl } })
    }

    /// The Python of the interop tests, which has PyYAML; `nil` where `script/bootstrap` has not made it.
    private static let python: String? = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let path = root.appending(path: ".venv/bin/python").path
        return unsafe access(path, X_OK) == 0 ? path : nil
    }()

    @Test(.enabled(if: python != nil)) func `PyYAML, which reads YAML 1.1, reads the text back`() throws {
        let texts = samples(2_000)
        let program = """
            import sys, yaml
            texts = yaml.load(sys.stdin.buffer.read().decode(), Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader))
            sys.stdout.buffer.write(b''.join(t.encode() + b'\\0' for t in texts))
            """
        let list = texts.map { "- \(Quoting.yaml($0))\n" }.joined()
        #expect(
            try output(of: [Self.python ?? "", "-c", program], input: list) == texts.flatMap { Array($0.utf8) + [0] }
        )
    }

    @Test func `HCL doubles the beginnings of templates, whatever follows or precedes`() {
        #expect(Quoting.hcl("${a} %{b} $c") == #""$${a} %%{b} $c""#)
        #expect(Quoting.hcl("$${a}") == #""$$${a}""#)
        #expect(Quoting.hcl("${\u{301}") == "\"$${\u{301}\"")
        #expect(Quoting.hcl("\u{e0001}") == #""\U000e0001""#)
    }

    @Test func `PowerShell's strings double every apostrophe that it takes for one`() {
        #expect(Quoting.powerShell("it's ’x‘ \u{301}") == "'it''s ’’x‘‘ \u{301}'")
        #expect(Quoting.powerShell("'\u{301}") == "'''\u{301}'")
    }

    @Test func `what a terminal would obey is made visible`() {
        #expect(terminalSafe("a\u{1b}[2Jb\nc\u{9b}\u{202e}") == "a\\u001b[2Jb\nc\\u009b\\u202e")
        #expect(printable("a\u{1b}b\n\u{301}c") == "a b \u{301}c")
    }

    private static func isInstalled(_ program: String) -> Bool {
        ["/bin", "/usr/bin", "/usr/local/bin"].contains { unsafe access("\($0)/\(program)", X_OK) == 0 }
    }
}
