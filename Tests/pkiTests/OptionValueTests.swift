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

@Suite struct KeyLocationTests {
    @Test(arguments: [
        ("web-1.pem", KeyLocation.file("web-1.pem")), ("./env:x", .file("./env:x")), ("-", .standardInput),
        ("env:KEY", .environment("KEY")), ("fd:3", .descriptor(3)), ("pkcs11:token=a", .pkcs11("pkcs11:token=a")),
        ("handle:0x81000001", .tpm("handle:0x81000001")), ("ssh-agent:SHA256:x", .agent(fingerprint: "SHA256:x")),
    ])
    func `a location is told by its prefix`(text: String, location: KeyLocation) throws {
        #expect(try KeyLocation(text) == location)
    }

    @Test(arguments: ["env:", "fd:", "fd:x", "fd:-1"])
    func `a prefix without a location is refused`(text: String) {
        #expect(throws: UsageError.self) { try KeyLocation(text) }
    }

    @Test func `a PIN in an address is not shown`() throws {
        let location = try KeyLocation("pkcs11:token=a?pin-value=4711")
        #expect(!"\(location)".contains("4711"))
    }
}

@Suite struct SigningHelperTests {
    @Test func `the helper's flags may have values`() {
        let given = ["update", "--debug=true", "--once=false", "--with-proxy=1", "--profile=a", "--reuse-pin=maybe"]
        #expect(
            SigningHelper.normalized(given) == [
                "update", "--debug", "--with-proxy", "--profile=a", "--reuse-pin=maybe",
            ]
        )
    }

    @Test(arguments: [
        (["/usr/bin/aws_signing_helper", "serve"], true, true), (["aws_signing_helper"], true, true),
        (["pki", "sign-string"], false, true), (["/x/pki", "version"], false, true), (["pki", "creds"], false, false),
        (["pki"], false, false), ([], false, false),
    ])
    func `the helper is known by its name and its commands`(arguments: [String], isCalled: Bool, isMeant: Bool) {
        #expect(SigningHelper.isCalled(by: arguments) == isCalled)
        #expect(SigningHelper.isMeant(by: arguments) == isMeant)
    }
}
