// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Testing

@testable import SystemSupport

@Suite struct JSONValueTests {
    @Test(arguments: [
        "null", "true", "[]", "{}", #"{"a":1,"b":[-0.5e+3,"x"],"c":{"d":null}}"#, #""\"\\\n\t""#, #""Straße 😀""#,
        "123456789012345678901234567890",
    ])
    func `what was read is written as it was`(_ text: String) throws {
        #expect(try JSONReader.value(of: Array(text.utf8)).text == text)
    }

    @Test func `what is written can be read by somebody else`() throws {
        let text = String(String.UnicodeScalarView((0..<0x300).compactMap(Unicode.Scalar.init))) + "\u{2028}😀"
        let value: JSONValue = ["text": .string(text), "number": 7, "none": nil, "list": [true, "x"]]
        struct Other: Decodable { var text: String; var number: Int; var none: Int?; var list: [Element] }
        enum Element: Decodable, Equatable {
            case boolean(Bool), text(String)
            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                if let boolean = try? container.decode(Bool.self) {
                    self = .boolean(boolean)
                } else {
                    self = .text(try container.decode(String.self))
                }
            }
        }
        let read = try JSONDecoder().decode(Other.self, from: Data(value.bytes))
        #expect(read.text == text)
        #expect(read.number == 7)
        #expect(read.none == nil)
        #expect(read.list == [.boolean(true), .text("x")])
    }

    @Test(arguments: [
        "", " ", "{", "[1,]", "{\"a\":1,}", "{\"a\":1,\"a\":2}", "01", "1.", "-", "+1", "nul", "\"\\x\"", "\"\\ud800\"",
        "\"", "1 2", "{a:1}", "'x'", "\u{feff}1",
    ])
    func `what is not JSON is refused with its place`(_ text: String) {
        let error = #expect(throws: JSONError.self) { try JSONReader.value(of: Array(text.utf8)) }
        #expect(error?.message.contains("line 1, column") == true)
    }

    @Test func `bytes that are not UTF-8 are refused in a string`() {
        #expect(throws: JSONError.self) { try JSONReader.value(of: [0x22, 0xff, 0x22]) }
    }

    @Test func `JSON is escaped, and members keep their order`() {
        let value: JSONValue = ["a\"b": "\\ \n \u{1} ü / \u{7f}", "n": -5]
        #expect(value.text == #"{"a\"b":"\\ \n \u0001 ü / \u007f","n":-5}"#)
        #expect(JSONValue(sorted: ["é": "2", "z": "1", "Z": "0"]).text == #"{"Z":"0","z":"1","é":"2"}"#)
    }

    @Test func `a faulty value in a sequence is skipped`() throws {
        var reader = JSONReader(Array(#"{"a":nul,"x":"}\""} {"b":1}"#.utf8))
        #expect(throws: JSONError.self) { try reader.value() }
        let isSkipped = reader.skipNested(from: 0)
        #expect(isSkipped)
        reader.skipBlanks()
        #expect(try reader.value() == ["b": 1])
    }
}
