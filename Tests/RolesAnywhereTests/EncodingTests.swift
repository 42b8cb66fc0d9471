// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport
import Testing

@testable import RolesAnywhere

struct EncodingTests {
    @Test(arguments: [
        ("", ""),
        ("AZaz09-._~", "AZaz09-._~"),
        ("a b", "a%20b"),
        ("a+b", "a%2Bb"),
        ("a/b:c", "a%2Fb%3Ac"),
        ("100%", "100%25"),
        ("ä€😀", "%C3%A4%E2%82%AC%F0%9F%98%80"),
        ("!*'()", "%21%2A%27%28%29"),
        ("\u{0}\u{7f}", "%00%7F"),
    ])
    func `a text is encoded for a query`(text: String, encoded: String) {
        #expect(PercentEncoding.encode(text) == encoded)
    }

    @Test func `a query is sorted by its encoded octets`() throws {
        let url = try HTTPURL("https://host.example").appending(
            path: "/x",
            query: [
                HTTPURL.Parameter("b", "1"), HTTPURL.Parameter("a", "2"), HTTPURL.Parameter("A", "3"),
                HTTPURL.Parameter("a", "10"), HTTPURL.Parameter("a b", ""), HTTPURL.Parameter("é", "&="),
            ]
        )
        #expect(url.encodedQuery == "%C3%A9=%26%3D&A=3&a=10&a=2&a%20b=&b=1")
        #expect(url.description == "https://host.example/x?%C3%A9=%26%3D&A=3&a=10&a=2&a%20b=&b=1")
    }

    @Test(arguments: [
        (0.0, "19700101T000000Z", "1970-01-01T00:00:00Z"),
        (951_782_399.9, "20000228T235959Z", "2000-02-28T23:59:59Z"),
        (951_782_400.0, "20000229T000000Z", "2000-02-29T00:00:00Z"),
        (951_868_800.0, "20000301T000000Z", "2000-03-01T00:00:00Z"),
        (1_767_323_045.0, "20260102T030405Z", "2026-01-02T03:04:05Z"),
        (4_107_542_400.0, "21000301T000000Z", "2100-03-01T00:00:00Z"),
        (-1.0, "19691231T235959Z", "1969-12-31T23:59:59Z"),
        (253_402_300_799.0, "99991231T235959Z", "9999-12-31T23:59:59Z"),
    ])
    func `a moment is written in both forms and read back`(seconds: Double, basic: String, extended: String) {
        let time = CivilTime(Date(timeIntervalSince1970: seconds))
        #expect(time.basic == basic)
        #expect(time.basicDay == String(basic.prefix(8)))
        #expect(time.extended == extended)
        #expect(CivilTime.date(fromISO8601: extended) == Date(timeIntervalSince1970: seconds.rounded(.down)))
    }

    @Test(arguments: [
        ("2026-01-02T03:04:05Z", 1_767_323_045.0),
        ("2026-01-02T03:04:05.000Z", 1_767_323_045.0),
        ("2026-01-02T03:04:05.123456789Z", 1_767_323_045.0),
        ("2026-01-02T05:04:05+02:00", 1_767_323_045.0),
        ("2026-01-01T22:34:05-0430", 1_767_323_045.0),
        ("2016-12-31T23:59:60Z", 1_483_228_799.0),
    ])
    func `times of ISO 8601 are read with fraction and offset`(text: String, seconds: Double) {
        #expect(CivilTime.date(fromISO8601: text) == Date(timeIntervalSince1970: seconds))
    }

    @Test(arguments: [
        "", "2026", "2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z", "2026-02-29T03:04:05Z",
        "2026-01-02T24:04:05Z", "2026-01-02T03:60:05Z", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05Zx",
        "2026-01-02T03:04:05+2:00", "20260102T030405Z", "２026-01-02T03:04:05Z", "1767323045",
    ])
    func `what is no time of ISO 8601 is not read`(text: String) {
        #expect(CivilTime.date(fromISO8601: text) == nil)
    }

    @Test func `the date of an HTTP header is read`() {
        let moment = Date(timeIntervalSince1970: 1_767_323_045)
        #expect(CivilTime.date(fromHTTP: "Fri, 02 Jan 2026 03:04:05 GMT") == moment)
        for text in [
            "", "Fri, 02 Foo 2026 03:04:05 GMT", "Fri, 02 Jan 2026 03:04:05 CET", "Fri, 02 Jan 2026 03:04 GMT",
        ] {
            #expect(CivilTime.date(fromHTTP: text) == nil)
        }
    }

    @Test func `text from elsewhere cannot drive a terminal`() {
        #expect(printable("a\u{1b}[31mb\r\nc\u{202e}d\u{9b}e") == "a [31mb  c d e")
        #expect(printable("abcdef", limit: 3) == "abc…")
    }
}
