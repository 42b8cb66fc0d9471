// SPDX-License-Identifier: Apache-2.0

import SystemSupport
import Testing

@testable import pki

@Suite struct TableTests {
    private func terminal(_ width: Int, colours: Bool = false) -> TerminalFeatures {
        TerminalFeatures(windowWidth: width, environment: ["TERM": colours ? "xterm" : "dumb", "LANG": "C.UTF-8"])
    }

    private func text(_ rows: [[String]], _ columns: [Table.Column], on features: TerminalFeatures = .none) -> String {
        var table = Table(columns)
        for cell in rows.joined() { table.add(cell) }
        return String(decoding: table.encoded(for: features), as: UTF8.self)
    }

    private let columns = [
        Table.Column("NAME"), .init("DAYS", isRightAligned: true), .init("SUBJECT", canBeShortened: true),
    ]

    @Test func `columns are as wide as their widest cell, and lines end in no blanks`() {
        let rows = [["web-1", "7", "CN=web-1,O=Example"], ["a", "-1000", ""], ["", "", ""], ["b", "", "CN=b"]]
        #expect(
            text(rows, columns) == """
                NAME    DAYS  SUBJECT
                web-1      7  CN=web-1,O=Example
                a      -1000

                b             CN=b

                """
        )
        #expect(text([], columns) == "NAME  DAYS  SUBJECT\n")
        #expect(text([["web-1"]], columns) == "NAME   DAYS  SUBJECT\nweb-1\n")
    }

    @Test func `rows are written in the order that is asked for`() {
        var table = Table([.init("NAME"), .init("DAYS", isRightAligned: true)])
        for (name, days) in [("b", 20), ("longer", 3), ("a", 100)] {
            table.add(name)
            table.add(days)
        }
        var text: [UInt8] = []
        table.write(for: .none, in: [2, 0, 1]) { text += $0 }
        #expect(String(decoding: text, as: UTF8.self) == "NAME    DAYS\na        100\nb         20\nlonger     3\n")
    }

    @Test func `a column that may be shortened is, so that lines fit`() {
        let rows = [["web-1", "7", "CN=web-1,O=Example"], ["b", "8", "CN=日本語日本語日本語"]]
        #expect(
            text(rows, columns, on: terminal(24)) == """
                NAME   DAYS  SUBJECT
                web-1     7  CN=web-1,O…
                b         8  CN=日本語…

                """
        )
        #expect(text(rows, columns, on: terminal(34)) == text(rows, columns))
        #expect(text(rows, columns, on: terminal(33)) != text(rows, columns))
        // There is an end to it.
        #expect(text(rows, columns, on: terminal(3)) == text(rows, columns, on: terminal(21)))
    }

    @Test func `columns without text are left out, and on a narrow terminal the least important ones`() {
        let columns = [
            Table.Column("NAME"), .init("PROFILE", omission: 2), .init("NAMES", canBeShortened: true, omission: 1),
            .init("DAYS", isRightAligned: true),
        ]
        let rows = [["payment-gateway-1", "client", "DNS:pay.example.com", "7"]]
        func headings(_ width: Int) -> [Substring] {
            text(rows, columns, on: terminal(width)).split(separator: "\n")[0].split(separator: " ")
        }
        #expect(headings(60) == ["NAME", "PROFILE", "NAMES", "DAYS"])
        #expect(headings(42) == ["NAME", "PROFILE", "NAMES", "DAYS"])
        #expect(headings(40) == ["NAME", "PROFILE", "DAYS"])
        #expect(headings(30) == ["NAME", "DAYS"])
        #expect(headings(3) == ["NAME", "DAYS"])
        #expect(text([["a", "client", "", "7"]], columns) == "NAME  PROFILE  DAYS\na     client      7\n")
    }

    @Test func `C11: without UTF-8 the rest of a cell is shown by ASCII`() {
        var features = terminal(24)
        features.hasUnicode = false
        #expect(text([["web-1", "7", "CN=web-1,O=Example"]], columns, on: features).hasSuffix("CN=web-1,O~\n"))
    }

    @Test func `of several such columns the widest gives up first`() {
        let columns = ["A", "B", "C"].map { Table.Column($0, canBeShortened: true) }
        let rows = [[30, 20, 10].map { String(repeating: "x", count: $0) }]
        let widths = { (width: Int) in
            text(rows, columns, on: terminal(width)).split(separator: "\n")[1].split(separator: " ").map(\.count)
        }
        #expect(widths(64) == [30, 20, 10])
        #expect(widths(60) == [26, 20, 10])
        #expect(widths(54) == [20, 20, 10])
        #expect(widths(51) == [18, 19, 10])
        #expect(widths(30) == [8, 9, 9])
        #expect(widths(10) == [8, 8, 8])
    }

    @Test(arguments: [
        ("日本語", 6), ("e\u{301}", 1), ("한국", 4), ("\u{1112}\u{1161}\u{11ab}", 2), ("ｗｅｂ", 6), ("😀", 2), ("Grüße", 5),
        ("ﾊﾝｶｸ", 4), ("", 0), ("…", 1),
    ])
    func `the width of a character is what a terminal makes of it`(text: String, width: Int) {
        var bytes: [UInt8] = []
        #expect(bytes.append(showing: text) == width)
        #expect(bytes == Array(text.utf8))
    }

    @Test(arguments: [
        ("a\u{1b}[2Jb", "a\\u001b[2Jb"), ("a\nb\r", "a\\u000ab\\u000d"), ("\u{9b}31m", "\\u009b31m"),
        ("\u{202e}abc", "\\u202eabc"), ("\u{2028}", "\\u2028"), ("\u{e0001}", "\\udb40\\udc01"), ("\u{7f}", "\\u007f"),
        ("é\u{0}", "é\\u0000"),
    ])
    func `what could steer the terminal is escaped`(text: String, shown: String) {
        var bytes = Array("x".utf8)
        #expect(bytes.append(showing: text) == shown.unicodeScalars.count)
        #expect(String(decoding: bytes, as: UTF8.self) == "x" + shown)
    }

    @Test func `colours stand around text alone, and only where there are any`() {
        var table = Table([.init("NAME"), .init("DAYS", isRightAligned: true), .init("X")])
        for (name, days) in [("web-1", 3), ("b", 29), ("c", 30)] {
            table.add(name)
            table.add(days, .daysLeft(days))
            table.add("", .red)
        }
        #expect(
            String(decoding: table.encoded(for: terminal(80, colours: true)), as: UTF8.self) == """
                \u{1b}[1mNAME\u{1b}[0m   \u{1b}[1mDAYS\u{1b}[0m  \u{1b}[1mX\u{1b}[0m
                web-1     \u{1b}[31m3\u{1b}[0m
                b        \u{1b}[33m29\u{1b}[0m
                c        30

                """
        )
        for features in [terminal(80), .none] { #expect(!table.encoded(for: features).contains(0x1b)) }
    }
}

@Suite struct TerminalFeaturesTests {
    @Test(
        arguments: [
            (100, [:], 100), (0, [:], 80), (100, ["COLUMNS": "40"], 40), (100, ["COLUMNS": "x"], 100),
            (100, ["COLUMNS": "0"], 100), (100, ["COLUMNS": "-5"], 100), (60_000, ["COLUMNS": "99999999"], 80),
        ] as [(Int, [String: String], Int)]
    )
    func `the width is that of COLUMNS, of the window, or 80`(window: Int, environment: [String: String], width: Int) {
        #expect(TerminalFeatures(windowWidth: window, environment: environment).width == width)
    }

    @Test(
        arguments: [
            (["TERM": "xterm-256color"], true, true), (["TERM": "dumb"], false, false), ([:], false, false),
            (["TERM": "xterm", "NO_COLOR": "1"], false, true), (["TERM": "xterm", "NO_COLOR": ""], true, true),
        ] as [([String: String], Bool, Bool)]
    )
    func `colours are for terminals that have some, and people who want some`(
        environment: [String: String], hasStyles: Bool, canRedraw: Bool
    ) {
        let features = TerminalFeatures(windowWidth: 80, environment: environment)
        #expect(features.hasStyles == hasStyles)
        #expect(features.canRedraw == canRedraw)
    }

    @Test func `what is no terminal has no width and no colours`() {
        let features = TerminalFeatures(of: -1)
        #expect(features.width == nil)
        #expect(!features.hasStyles)
        #expect(!features.canRedraw)
    }

    @Test(
        arguments: [
            (["LANG": "de_DE.UTF-8"], true), (["LANG": "C.utf8"], true), ([:], false), (["LC_ALL": "C"], false),
            (["LC_ALL": "C", "LANG": "C.UTF-8"], false), (["LC_ALL": "", "LC_CTYPE": "en_GB.UTF-8"], true),
            (["LANG": "en_US.ISO-8859-1"], false),
        ] as [([String: String], Bool)]
    )
    func `C11: what is drawn depends on the locale`(environment: [String: String], hasUnicode: Bool) {
        let features = TerminalFeatures(windowWidth: 80, environment: environment)
        #expect(features.hasUnicode == hasUnicode)
        #expect(features.drawn("├─ ü…") == (hasUnicode ? "├─ ü…" : "|- ü..."))
    }

    @Test func `C11: a long line goes on below the text after its label`() {
        let text = "ok    profile   the profile is complete\nnext          pki issue-client --directory ca\nx"
        #expect(
            wrapping(text, to: 36) == """
                ok    profile   the profile is
                                complete
                next          pki issue-client --directory ca
                x
                """)
        #expect(wrapping(text, to: 80) == text)
        #expect(wrapping("aaaaaaaaaaaa bbbbbbbbbbbbb c", to: 10) == "aaaaaaaaaaaa\nbbbbbbbbbbbbb\nc")
    }
}

@Suite struct CSVWriterTests {
    @Test(arguments: [
        ("web-1", "web-1"), ("a,b", "\"a,b\""), ("say \"a\"", "\"say \"\"a\"\"\""), ("", ""), (" a", "\" a\""),
        ("=1+1", "'=1+1"), ("+49", "'+49"), ("-x", "'-x"), ("@a,b", "\"'@a,b\""), ("a=b", "a=b"), ("ü", "ü"),
        ("a\r\nb", "a\\u000d\\u000ab"), ("\t=1", "\\u0009=1"), ("\u{1b}[2J", "\\u001b[2J"),
    ])
    func `a field is quoted when it must be, and is no formula`(field: String, written: String) {
        var writer = CSVWriter(["a", "b"])
        writer.add(field)
        writer.add(-3)
        #expect(String(decoding: writer.encoded(), as: UTF8.self) == "a,b\n\(written),-3\n")
    }

    @Test func `a row of one empty field is no empty line`() {
        var writer = CSVWriter([""])
        writer.add("")
        writer.add("x")
        #expect(String(decoding: writer.encoded(), as: UTF8.self) == "\"\"\n\"\"\nx\n")
        #expect(String(decoding: CSVWriter(["name", "dns"]).encoded(), as: UTF8.self) == "name,dns\n")
    }
}

/// B6: what text looks like that has passed the console.
@Suite struct StyledTextTests {
    /// One of each kind that a terminal may obey: C0, DEL, C1, separators, bidirectional and other format characters, tags.
    private static let unruly =
        "\u{0}\u{7}\u{8}\t\u{b}\r\u{1b}\u{7f}\u{80}\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\u{2066}\u{200b}"
        + "\u{feff}\u{ad}\u{61c}\u{e0041}"

    @Test func `B6: styles are the only escape sequences`() {
        let text = StyledText("a\(Self.unruly)\nb", .red)
        let plain = String(decoding: text.encoded(hasStyles: false), as: UTF8.self)
        #expect(!plain.unicodeScalars.contains { $0.isControl && $0 != "\n" })
        #expect(plain.hasPrefix("a\\u0000\\u0007") && plain.hasSuffix("\\udb40\\udc41\nb"))
        let styled = String(decoding: text.encoded(hasStyles: true), as: UTF8.self)
        #expect(styled == "\u{1b}[31m\(plain)\u{1b}[0m")
        #expect(StyledText("a").encoded(hasStyles: true) == [0x61])
    }

    @Test func `B6: a cell shows the same`() {
        for scalar in Self.unruly.unicodeScalars {
            var bytes: [UInt8] = []
            let width = bytes.append(showing: "a\(scalar)é")
            #expect(String(decoding: bytes, as: UTF8.self) == "a\(scalar.escaped)é")
            #expect(width == 2 + scalar.escaped.utf8.count)
        }
    }

    @Test func `B6: every control and format character is one to a terminal`() {
        for value in UInt32(0)...0x10ffff {
            guard let scalar = Unicode.Scalar(value) else { continue }
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator:
                #expect(scalar.isControl, "U+\(String(value, radix: 16))")
            default: continue
            }
        }
    }
}
