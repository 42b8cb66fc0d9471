// SPDX-License-Identifier: Apache-2.0

import SystemSupport
import Testing

@testable import pki

@Suite struct CommandSuggestionTests {
    private let commands = CommandSuggestion(of: PKI.self)

    @Test(arguments: [
        ("issue-clien", ["issue-client"]), ("isue-client", ["issue-client"]), ("lsit", ["list"]), ("crls", ["crl"]),
        ("init", ["init-ca"]), ("issue", ["issue-client", "issue-intermediate"]), ("renw", ["renew"]),
        ("whoam", ["whoami"]), ("verfiy", ["verify"]), ("rotate", ["rotate-ca"]),
    ])
    func `what was meant is found`(word: String, meant: [String]) {
        #expect(commands.candidates(for: word) == meant)
    }

    @Test(arguments: ["x", "bootstrap", "certificate", ""])
    func `nothing is made up`(word: String) {
        #expect(commands.candidates(for: word) == [])
    }

    @Test func `what there is passes`() throws {
        for word in commands.names + ["help", "--help", "-h", "--version", nil] { try commands.check(word) }
        #expect(commands.names.count > 30)
        #expect(throws: UsageError.self) { try commands.check("issue-clien") }
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
