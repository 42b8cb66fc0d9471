// SPDX-License-Identifier: Apache-2.0

import Certificates
import TestSupport
import Testing

@testable import TrustAnchors

/// Runs printed commands with `sh` and an `aws` of our own, which records what it is given.
@Suite struct PrintedCommandTests {
    private static let pieces = [
        "a", "Z", " ", "'", "\"", "`", "$(touch PWNED)", "$HOME", "\\", "\n", "\t", "\u{301}", "\u{200d}", "\u{202e}",
        "é",
        "漢", "-", "=", "~", "#", ";touch PWNED;", "&", "|", "<", ">", "*", "?", "[", "{", "!", "(", ")", "'\u{301}",
        "${",
    ]

    private static func hostile(_ count: Int) -> [String] {
        // A generator of its own, so that a failure can be repeated.
        var state: UInt64 = 0x9e37_79b9_7f4a_7c15
        func next(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
        return ["/ca'\u{301};touch PWNED;#'\u{301}/root-crl.pem", "-x", "'"]
            + (0..<count).map { _ in (0..<(1 + next(10))).map { _ in pieces[next(pieces.count)] }.joined() }
    }

    /// What `aws` is given by a script, call after call, and the names in the directory where it ran.
    private func calls(of script: String) throws -> (calls: [[String]], names: [String]) {
        let directory = try ProgramDirectory()
        try directory.writeScript("{ printf '%s\\0' \"$@\"; printf '\\1\\0'; } >> record\necho arn:x", to: "aws")
        try directory.write(Array("PATH=.:$PATH\n\(script)".utf8), to: "script")
        try directory.run(["sh", "script"])
        let record = try directory.read("record")
        let names = try directory.run(["ls", "-A"]).split(separator: "\n").map(String.init)
        let words = record.split(separator: 0, omittingEmptySubsequences: false).dropLast()
            .map { String(decoding: $0, as: UTF8.self) }
        return (words.split(separator: "\u{1}", omittingEmptySubsequences: false).dropLast().map(Array.init), names)
    }

    @Test func `B4: a list's path is one argument of the import, whatever is in it`() throws {
        let paths = Self.hostile(200)
        let script = try paths.map { path in
            try RevocationListImport(path: path, place: .list(identifier: "id"), region: "eu-central-1").awsCLICommand
                + "\n"
        }.joined()
        let (calls, names) = try calls(of: script)
        let expected = paths.map {
            [
                "rolesanywhere", "update-crl", "--region", "eu-central-1", "--crl-id", "id", "--crl-data",
                "fileb://\($0)", "--query", "crl.crlId", "--output", "text",
            ]
        }
        #expect(calls.map { $0.map { Array($0.utf8) } } == expected.map { $0.map { Array($0.utf8) } })
        #expect(!names.contains("PWNED"))
    }

    @Test func `B4: a first list's name and anchor are arguments too`() throws {
        let arn = "arn:aws:rolesanywhere:eu-central-1:123456789012:trust-anchor/a0000000-0000-4000-8000-000000000001"
        let command = try RevocationListImport(path: "/x y", place: .trustAnchor(arn: arn, name: "a b-c_1"))
            .awsCLICommand
        let (calls, _) = try calls(of: command + "\n")
        #expect(
            calls == [
                [
                    "rolesanywhere", "import-crl", "--name=a b-c_1", "--enabled", "--trust-anchor-arn", arn,
                    "--crl-data",
                    "fileb:///x y", "--query", "crl.crlId", "--output", "text",
                ]
            ]
        )
    }
}
