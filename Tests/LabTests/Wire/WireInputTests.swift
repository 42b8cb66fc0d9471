// SPDX-License-Identifier: Apache-2.0

import SystemSupport
import Testing

@testable import Lab

@Suite struct XMLElementTests {
    @Test func `B6: what a terminal would obey is written as a reference`() {
        let text = XMLElement("A", text: "\u{7f}\u{9b}\u{85}\u{202e}\u{200b}\u{2028}\u{e0041}é").document
        #expect(text.contains("<A>&#x7F;&#x9B;&#x85;&#x202E;&#x200B;&#x2028;&#xE0041;é</A>"))
    }

    @Test func `text is escaped, and what XML cannot hold is replaced`() {
        let element = XMLElement("Root", namespace: "urn:x", [XMLElement("A", text: "<&>\"' \u{0}\u{1b}\r\n\u{ffff}é")])
        #expect(
            element.document == "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Root xmlns=\"urn:x\">"
                + "<A>&lt;&amp;&gt;&quot;' \u{fffd}\u{fffd}&#xD;\n\u{fffd}é</A></Root>\n")
    }
}

@Suite struct QueryFormTests {
    @Test func `a form is decoded, lists and tags with it`() {
        let form = QueryForm(
            Array("Action=A&Name=a+b%2Bc&P.member.1=x&P.member.2=y&P.member.4=z&Tags.member.1.Key=k".utf8))
        #expect(form["Action"] == "A")
        #expect(form["Name"] == "a b+c")
        #expect(form["None"] == nil)
        #expect(form.list("P") == ["x", "y"])
        #expect(form.tags() == [Tag(key: "k", value: "")])
    }

    @Test(arguments: ["A=1&A=2", "A=%zz", "A=%ff"])
    func `a malformed form has no parameters`(_ text: String) {
        #expect(QueryForm(Array(text.utf8))["A"] == nil)
    }
}

@Suite struct InputMembersTests {
    private func members(_ text: String) throws -> InputMembers { try InputMembers(reading: Array(text.utf8)) }

    @Test func `an empty body has no members`() throws {
        #expect(try InputMembers(reading: []).string("a", 0...1) == nil)
    }

    @Test(arguments: ["[]", "1", "\"x\"", "{", "{\"a\":1,\"a\":1}"])
    func `a body that is no object is refused`(_ text: String) {
        let refusal = #expect(throws: ServiceRefusal.self) { try members(text) }
        #expect(refusal?.code == .validation)
    }

    @Test(arguments: [
        (#"{"a":"xyz"}"#, "a has 3 characters, not 1 to 2"), (#"{"a":""}"#, "a has 0 characters, not 1 to 2"),
        (#"{"a":7}"#, "a is a number, not a string"), (#"{}"#, "a is missing"), (#"{"a":null}"#, "a is missing"),
        (#"{"a":"!"}"#, "a is \"!\", not letters, digits, blanks, \"-\" and \"_\""),
    ])
    func `a text outside its limits is refused by name`(_ text: String, _ detail: String) throws {
        let members = try members(text)
        let refusal = #expect(throws: ServiceRefusal.self) { try members.required("a", 1...2, .resourceName) }
        #expect(refusal?.detail == detail)
    }

    @Test func `places are named down to the element`() throws {
        let members = try members(#"{"tags":[{"key":"a","value":"b"},{"key":"c"}],"n":5,"l":["x",1]}"#)
        #expect(throws: ServiceRefusal.validation("tags[1].value is missing")) { try members.tags() }
        #expect(throws: ServiceRefusal.validation("n is 5, not 1 to 4")) { try members.integer("n", 1...4) }
        #expect(throws: ServiceRefusal.validation("l[1] is a number, not a string")) {
            try members.strings("l", 0...9, 0...9)
        }
    }

    @Test(arguments: [
        ("alias-1_a/b", true), ("A", true), ("", true), ("1a", false), ("a/", false), ("a//b", false), ("a b", false),
    ])
    func `an alias has the service's form`(_ alias: String, _ isAlias: Bool) throws {
        let members = try InputMembers(reading: JSONValue.object([JSONMember(name: "a", value: .string(alias))]).bytes)
        let read = try? members.string("a", 0...256, .alias)
        #expect((read != nil) == isAlias)
    }
}
