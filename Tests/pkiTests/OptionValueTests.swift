// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Testing

@testable import pki

@Suite struct OptionValueTests {
    @Test(arguments: [
        ("30d", 30 * 86_400), ("12h", 12 * 3600), ("2w", 14 * 86_400), ("90m", 5400), ("0", 0), ("7", 7 * 86_400),
        ("0d", 0), ("007", 7 * 86_400),
    ])
    func `a span of time has a unit, or is in days`(text: String, seconds: Int) throws {
        #expect(try Duration.argument(text) == .seconds(seconds))
    }

    @Test(arguments: [
        "", "d", "30 d", "-1", "+1", "1.5d", "30s", "1d12h", "30D", "٣d", "99999999999999999999", "4000000d", " 1",
    ])
    func `anything else is none`(text: String) {
        #expect(throws: ValidationError.self) { try Duration.argument(text) }
    }
}

@Suite struct GlobPatternTests {
    @Test(arguments: [
        ("web-*", "web-1", true), ("web-*", "web-", true), ("web-*", "Web-1", false), ("web-*", "aweb-1", false),
        ("*-1", "web-1", true), ("*", "", true), ("*", "x", true), ("", "", true), ("", "x", false), ("?", "日", true),
        ("?", "", false), ("?", "ab", false), ("web-?", "web-10", false), ("web-??", "web-10", true),
        ("[a-c]x", "bx", true), ("[a-c]x", "dx", false), ("[!a-c]x", "dx", true), ("[^a-c]x", "ax", false),
        ("[]]", "]", true), ("[!]]", "]", false), ("[a-]", "-", true), ("[-a]", "-", true), ("[\\]]", "]", true),
        ("[a-c0-9]*", "5x", true), ("[*]", "*", true), ("[*]", "a", false), ("\\*", "*", true), ("\\*", "a", false),
        ("a\\", "a\\", true), ("*a*b*c*", "xxaxxbxxcxx", true), ("*a*b*c*", "xxaxxcxxbxx", false),
        ("a**b", "ab", true), ("*.example.com", "web.example.com", true), ("*ab", "aab", true), ("a*a", "a", false),
        ("\\d", "\\d", false), ("*d", "\\d", true), ("[日-本]", "日", true),
    ])
    func `a name fits as in a shell`(pattern: String, name: String, fits: Bool) throws {
        #expect(try GlobPattern(pattern).matches(name) == fits)
    }

    @Test(arguments: ["[", "[a", "[]", "[!", "web-[0-9", "[z-a]", "[\\"])
    func `a set that is not one is refused`(pattern: String) {
        #expect(throws: ValidationError.self) { try GlobPattern(pattern) }
    }

    @Test func `many stars take no longer than the lengths allow`() throws {
        let pattern = try GlobPattern(String(repeating: "*a", count: 50) + "b")
        #expect(!pattern.matches(String(repeating: "a", count: 2000)))
    }
}
