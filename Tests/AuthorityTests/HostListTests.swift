// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Testing

@testable import Authority
import SystemSupport

@Suite struct HostListTests {
    private static let now = Date(timeIntervalSince1970: 1_800_000_000)

    private func read(_ text: String) throws -> [HostList.Host] { try read(Array(text.utf8)) }

    private func read(_ bytes: [UInt8]) throws -> [HostList.Host] {
        try HostList(bytes, name: "hosts.csv", now: Self.now).hosts
    }

    private func refusal(_ text: String) -> AuthorityError? { refusal(Array(text.utf8)) }

    private func refusal(_ bytes: [UInt8]) -> AuthorityError? {
        do {
            _ = try read(bytes)
            return nil
        } catch {
            return error as? AuthorityError
        }
    }

    // MARK: - What is read

    @Test func `every column becomes a value of its type`() throws {
        let hosts = try read(
            """
            # The fleet of the north.
            name,dns,ip,uri,email,subject,days,not_after,key_type,profile,csr
            web-1,"web-1.example.com www.example.com;a.example.com",10.0.0.1 ::1,spiffe://example.org/web,ops@example.com,"CN=web-1,O=Example",30,,ec-p384,server,
            web-2,,,,,,,2030-12-31,,,requests/web 2.csr

            """
        )
        #expect(hosts.map(\.name) == ["web-1", "web-2"])
        #expect(hosts.map(\.line) == [3, 4])
        #expect(
            hosts[0].subjectAlternativeNames.map(\.description) == [
                "DNS:web-1.example.com", "DNS:www.example.com", "DNS:a.example.com", "IP:10.0.0.1", "IP:::1",
                "URI:spiffe://example.org/web", "email:ops@example.com",
            ]
        )
        #expect(hosts[0].subject == (try DistinguishedName("CN=web-1,O=Example")))
        #expect(hosts[0].lifetime == .days(30))
        #expect(hosts[0].keyType == .ecP384)
        #expect(hosts[0].profile == "server")
        #expect(hosts[0].certificateRequestPath == nil)
        #expect(hosts[1].subjectAlternativeNames.isEmpty)
        #expect(hosts[1].lifetime == Lifetime(notAfter: "2030-12-31T23:59:59Z"))
        #expect(hosts[1].certificateRequestPath == "requests/web 2.csr")
    }

    private static let forms: [String] = [
        "name\nweb-1\nweb-2\n", "web-1\nweb-2", "web-1\r\nweb-2\r\n", "web-1\rweb-2\r", "\u{feff}name\nweb-1\nweb-2",
        "\u{feff}web-1\nweb-2\n", "\"name\"\n\"web-1\"\n\"web-2\"", "\n\n  \n# x\nweb-1\n# y, z\n\nweb-2\n\n",
        "# a \"comment\nname,dns\nweb-1,\n,\n\"web-2\",\"\"\n", "Name,DNS,\nweb-1,,\nweb-2,,\n",
        " name , key-type \n web-1 , ec-p256 \n web-2 ,\n", "dns,name\nweb-1.example.com,web-1\n,web-2\n",
        "name,subject\nweb-1,\"CN=a\"\nweb-2,\"CN=\"\"b\"\"\"\n", "\n \nname\n\nweb-1\n  \nweb-2\n",
        #"[{"name":"web-1"},{"name":"web-2"}]"#, "{\"name\":\"web-1\"}\n{\"name\":\"web-2\"}\n",
        " \n[\n  {\n    \"name\": \"web-1\",\n    \"dns\": []\n  },\n  {\"name\": \"web-2\", \"days\": null}\n]\n",
        #"{"name":"web-1","subject":"CN={[\"}"}{"name":"\u0077eb-2"}"#,
        "\u{feff}[{\"name\":\"web-1\",\"days\":3},{\"name\":\"web-2\",\"days\":\"3\",\"key-type\":\"rsa-2048\"}]",
    ]

    @Test(arguments: forms)
    func `the same hosts are read from every form`(text: String) throws {
        #expect(try read(text).map(\.name) == ["web-1", "web-2"])
    }

    @Test func `values in JSON are strings, arrays and numbers`() throws {
        let hosts = try read(
            """
            [
              {"name": "web-1", "dns": ["web-1.example.com", "www.example.com"], "ip": "10.0.0.1 ::1", "days": 30},
              {"name": "web-2", "uri": ["https://example.com/a;b"], "not_after": "2030-12-31T12:00:00Z"}
            ]
            """
        )
        #expect(
            hosts[0].subjectAlternativeNames == [
                .dns("web-1.example.com"), .dns("www.example.com"), .ip([10, 0, 0, 1]),
                .ip([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            ]
        )
        #expect(hosts[0].lifetime == .days(30))
        #expect(hosts[1].subjectAlternativeNames == [.uri("https://example.com/a;b")])
        #expect(hosts[1].line == 3)
    }

    @Test func `a quoted field holds commas, quotation marks and ends of lines, which count`() throws {
        let hosts = try read(
            "name,dns,subject\r\nweb-1,\"a.example.com\r\nb.example.com\",\"CN=a\\, \"\"b\"\"\"\r\nweb-2,,\r\n")
        #expect(hosts[0].subjectAlternativeNames == [.dns("a.example.com"), .dns("b.example.com")])
        #expect(hosts[0].subject?.commonName == "a, \"b\"")
        #expect(hosts[1].line == 4)
    }

    // MARK: - What is refused

    private static let faults: [(text: String, words: String)] = [
        ("", "hosts.csv contains no host"), ("\u{feff}", "contains no host"), ("# nobody\n", "contains no host"),
        ("name,dns\n", "contains no host"), ("[]", "contains no host"), (" \r\n\t\n", "contains no host"),
        ("name,color,size\nweb-1,,\n", "hosts.csv:1: unknown columns \"color\", \"size\""),
        ("dns,ip\na.example.com,\n", "hosts.csv:1: there is no column \"name\""),
        ("name,Name\nweb-1,web-1\n", "hosts.csv:1: the column name appears twice"),
        ("name;dns\nweb-1;a.example.com\n", "hosts.csv:1: the headings \"name;dns\" are not separated by commas"),
        ("name\tdns\nweb-1\ta.example.com\n", "are not separated by commas"),
        ("hostname\nweb-1\n", "hosts.csv:1: \"hostname\" looks like a heading"),
        ("web-1\nweb-2,b.example.com\n", "hosts.csv:2: it has 2 fields, but the file has no headings"),
        ("name,dns\nweb-1\n", "hosts.csv:2: it has 1 field, but there are 2 headings"),
        ("name,dns\nweb-1,a.example.com,b.example.com\n", "hosts.csv:2: it has 3 fields, but there are 2 headings"),
        ("name,\nweb-1,x\n", "hosts.csv:2: field 2 has no heading"),
        ("name,dns\nweb-1,\"a.example.com\nweb-2,\n", "hosts.csv:2: a quotation mark is not closed"),
        ("name,dns\nweb-1,\"a\"b\n", "hosts.csv:2: there is text between a closing quotation mark and the next comma"),
        ("name,dns\nweb-1,a\"b\"\n", "hosts.csv:2: a quotation mark is inside a field"),
        ("\"name\nweb-1\n", "hosts.csv:1: a quotation mark is not closed"),
        ("name,dns\n# web-1,\n", "hosts.csv:2: the name \"# web-1\" is not allowed"),
        ("name,dns\n,a.example.com\n", "hosts.csv:2: the name is missing"),
        ("web-1\nweb/2\n", "hosts.csv:2: the name \"web/2\" is not allowed"), ("root\n", "of the CA itself"),
        ("web-1\nweb-2\nweb-1\n", "hosts.csv:3: the name web-1 is already on line 1"),
        ("name,dns\nweb-1,under_score.example.com\n", "hosts.csv:2: \"under_score.example.com\" is not a DNS name"),
        ("name,dns\nweb-1,bücher.example\n", "it is not ASCII"),
        ("name,ip\nweb-1,10.0.0.256\n", "hosts.csv:2: \"10.0.0.256\" is not an IPv4 or IPv6 address"),
        ("name,ip\nweb-1,10.0.0.1\0x\n", "is not an IPv4 or IPv6 address"),
        ("name,uri\nweb-1,example.com\n", "is not an absolute URI"), ("name,email\nweb-1,ops\n", "an email address"),
        ("name,subject\nweb-1,web-1\n", "is not a distinguished name"), ("name,subject\nweb-1,/\n", "is empty"),
        ("name,subject\nweb-1,\"CN=a\nb\"\n", "holds a control character"),
        ("name,days\nweb-1,0\n", "the lifetime of 0 days is too short"),
        ("name,days\nweb-1,1e3\n", "days must be a whole number, not \"1e3\""),
        ("name,days\nweb-1,99999999999999999999\n", "days must be a whole number"),
        ("name,days\nweb-1,9223372036854775807\n", "after 9999-12-31"),
        ("name,not_after\nweb-1,tomorrow\n", "not_after must be a time such as"),
        ("name,not_after\nweb-1,2020-01-01\n", "in the past"),
        ("name,days,not_after\nweb-1,1,2030-01-01\n", "only one of days and not_after can be given"),
        ("name,key_type\nweb-1,dsa\n", "\"dsa\" is not a kind of key"),
        ("name,key_type,csr\nweb-1,ec-p256,a.csr\n", "only one of key_type and csr"),
        ("name,csr\nweb-1,a\u{1b}[2Jb\n", "the csr contains control characters"),
        ("[{\"name\":\"web-1\"},\n{\"name\":\"web-2\"", "hosts.csv:2: the object is not closed"),
        ("[{\"name\":\"web-1\"}\n{\"name\":\"web-2\"}]", "hosts.csv:2: a comma or the end of the array is expected"),
        ("[{\"name\":\"web-1\"},\n]", "hosts.csv:2: an object is expected"),
        ("[{\"name\":\"web-1\"}", "hosts.csv:1: the array is not closed"),
        ("[{\"name\":\"web-1\"}]\n]", "hosts.csv:2: there is text after the end of the array"),
        ("[\"web-1\"]", "hosts.csv:1: an object is expected"), ("{\"name\":\"web-1\"},", "an object is expected"),
        ("{\"name\":\"web-1\"", "hosts.csv:1: the object is not closed"), ("{", "the object is not closed"),
        ("{\"name\":\"web-1\\", "the object is not closed"), ("{]", "the object is not well-formed JSON"),
        ("{\"name\":\"web-1\" \"dns\":\"\"}", "the object is not well-formed JSON"),
        ("{\"hosts\":[{\"name\":\"web-1\"}]}", "hosts.csv:1: unknown key \"hosts\""),
        (
            "{\"name\":\"web-1\",\"name\":\"web-2\"}",
            "hosts.csv:1: the object is not well-formed JSON: the name \"name\" appears twice"
        ),
        ("{\"name\":\"web-1\",\"n\\u0061me\":\"web-2\"}", "the name \"name\" appears twice"),
        ("{\"name\":\"web-1\",\"key_type\":\"ec-p256\",\"key-type\":\"ec-p256\"}", "the key key_type appears twice"),
        ("{\"name\":1}", "the value of name is not a string"), ("{\"name\":[\"a\"]}", "name is not a string"),
        ("{\"name\":\"a\",\"dns\":[1]}", "the value of dns is not a string or an array of strings"),
        ("{\"name\":\"a\",\"dns\":[\"\"]}", "the array dns contains an empty string"),
        ("{\"name\":\"a\",\"dns\":[\"a.example.com b.example.com\"]}", "is not a DNS name"),
        ("{\"name\":\"a\",\"days\":1.5}", "the value of days is not a whole number"),
        ("{\"name\":\"a\",\"days\":true}", "the value of days is not a whole number"),
        ("{\"name\":\"a\",\"ip\":\"10.0.0.1\\u0000\"}", "is not an IPv4 or IPv6 address"),
    ]

    @Test(arguments: faults)
    func `what cannot be used is refused, with its line`(text: String, words: String) throws {
        let error = try #require(refusal(text))
        #expect(error.message.contains(words))
        #expect(!error.message.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" })
    }

    private static let notText: [(bytes: [UInt8], words: String)] = [
        ([0xff, 0xfe, 0x61, 0x00], "hosts.csv:1: the file is UTF-16"),
        ([0x61, 0x00], "hosts.csv:1: the file is UTF-16"),
        (Array("name\n-----BEGIN PRIVATE KEY-----\nMIGH".utf8), "hosts.csv:1: the file contains PEM objects"),
        ([0xfe, 0xff, 0x00, 0x61], "is UTF-16"),
        ([0x61, 0x0a, 0x62, 0x0a, 0x63, 0xfc, 0x0a], "hosts.csv:3: the line is not UTF-8"),
        ([0x23, 0xfc, 0x0a, 0x61, 0x0a], "hosts.csv:1: the line is not UTF-8"),
        ([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x7d], "hosts.csv:1: the line is not UTF-8"),
    ]

    @Test(arguments: notText)
    func `what is not UTF-8 is refused`(bytes: [UInt8], words: String) throws {
        #expect(try #require(refusal(bytes)).message.contains(words))
    }

    @Test func `every faulty line is told at once, up to a number of them`() throws {
        let rows = (2...41).map { "web-\($0),\($0 % 2 == 0 ? "-" : "a.example.com")\n" }.joined()
        let error = try #require(refusal("name,dns\n\(rows)web-3,\nweb-50,\"\n"))
        let lines = error.message.split(separator: "\n")
        #expect(lines.first == "22 lines of hosts.csv are not valid")
        #expect(lines.count == 22)
        #expect(lines[1].hasPrefix("hosts.csv:2: \"-\" is not a DNS name"))
        #expect(lines[20].hasPrefix("hosts.csv:40: "))
        #expect(lines.last == "… and 2 more")
        #expect(error.code == .invalidRequest)
    }

    @Test func `objects behind a faulty one are read too`() throws {
        let error = try #require(
            refusal("{\"name\":}\n{\"nome\":\"web-2\"}\n{\"name\":\"web-3\"}\n{\"name\":\"web 4\"}\n"))
        #expect(
            error.message.hasPrefix("3 lines of hosts.csv are not valid\nhosts.csv:1: the object is not well-formed"))
        #expect(error.message.contains("\nhosts.csv:2: unknown key \"nome\"\nhosts.csv:4: the name \"web 4\""))
    }

    @Test func `a file is named as it was given, and made fit for a terminal`() throws {
        let directory = try TemporaryDirectory()
        try directory.write("name\nweb-1\n", to: "hosts")
        #expect(try HostList(of: "\(directory.path)/hosts", now: Self.now).hosts.count == 1)
        #expect { try HostList(of: "\(directory.path)/none", now: Self.now) } throws: { error in
            (error as? AuthorityError)?.code == .missing
        }
        #expect {
            try HostList(Array("web 1".utf8), name: "a\u{1b}[2J", now: Self.now)
        } throws: { error in
            (error as? AuthorityError)?.message.hasPrefix("a [2J:1: ") == true
        }
    }

    @Test func `a damaged file is read or refused, whatever the damage`() throws {
        var generator = RepeatedChance(state: 7)
        var refused = 0
        for round in 0..<3000 {
            var bytes = Array(Self.forms[round % Self.forms.count].utf8)
            for _ in 0...Int.random(in: 0...3, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0...2, using: &generator) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.insert(Array("\",\n\r[]{}:;#\\\0".utf8).randomElement(using: &generator) ?? 0, at: place)
                default: bytes.removeSubrange(place..<max(place, min(place + 3, bytes.count - 1)))
                }
                if bytes.isEmpty { break }
            }
            do {
                let hosts = try read(bytes)
                #expect(!hosts.isEmpty)
            } catch {
                refused += 1
                #expect(error is AuthorityError)
            }
        }
        #expect(refused > 100)
    }

    @Test(arguments: [true, false])
    func `ten thousand hosts are read`(isTable: Bool) throws {
        var bytes = Array((isTable ? "name,dns,ip,subject,days\n" : "[").utf8)
        for number in 1...10_000 {
            let name = "web-\(number)"
            let row = "\(name),\(name).example.com,10.1.2.3,\"CN=\(name),O=Example\",30\n"
            let object = "{\"name\":\"\(name)\",\"dns\":[\"\(name).example.com\"],\"days\":30}"
            bytes += (isTable ? row : number == 1 ? object : ",\n" + object).utf8
        }
        if !isTable { bytes.append(UInt8(ascii: "]")) }
        let hosts = try read(bytes)
        #expect(hosts.count == 10_000)
        #expect(hosts.last?.line == (isTable ? 10_001 : 10_000))
    }

    @Test func `a hundred thousand names are read`() throws {
        let hosts = try read((1...100_000).map { "web-\($0)" }.joined(separator: "\n"))
        #expect(hosts.count == 100_000)
        #expect(hosts.last?.line == 100_000)
    }
}

/// Numbers that are the same in every run.
private struct RepeatedChance: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ (state >> 29)
    }
}
