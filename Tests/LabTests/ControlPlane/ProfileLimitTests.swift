// SPDX-License-Identifier: Apache-2.0

import SystemSupport
import Testing

@testable import Lab

@Suite struct ProfileLimitTests {
    private static let base: JSONValue = ["name": "limits", "roleArns": Unacceptable.roles(1)]

    private let lab: ControlPlaneLab

    init() throws { lab = try ControlPlaneLab() }

    /// A profile, and the member that names it.
    private func profile() throws -> (profile: JSONValue, named: JSONValue) {
        let profile = try lab.makeProfile()
        return (profile, ["profileId": profile["profileId"] ?? .null])
    }

    @Test(arguments: Unacceptable.profiles)
    func `a profile outside its limits is not created`(_ unacceptable: Unacceptable) throws {
        let arguments = Self.base.setting(unacceptable.member, unacceptable.value)
        try lab.expectRefusal("CreateProfile", arguments, naming: unacceptable.word)
    }

    @Test(arguments: Unacceptable.profiles)
    func `an update outside the limits is refused and changes nothing`(_ unacceptable: Unacceptable) throws {
        let (profile, named) = try profile()
        let arguments = named.setting(unacceptable.member, unacceptable.value)
        try lab.expectRefusal("UpdateProfile", arguments, naming: unacceptable.word)
        #expect(try lab.make("GetProfile", named, "profile") == profile)
    }

    @Test(arguments: Unacceptable.tags)
    func `tags outside their limits are refused`(_ unacceptable: Unacceptable) throws {
        let arguments = Self.base.setting(unacceptable.member, unacceptable.value)
        try lab.expectRefusal("CreateProfile", arguments, naming: unacceptable.word)
    }

    @Test(arguments: ["name", "roleArns"])
    func `what must be there is missed by name`(_ member: String) throws {
        try lab.expectRefusal("CreateProfile", Self.base.setting(member, .null), naming: member)
    }

    @Test(arguments: ["enabled", "requireInstanceProperties"])
    func `a number is no flag`(_ flag: String) throws {
        try lab.expectRefusal("CreateProfile", Self.base.setting(flag, 1), naming: flag)
    }

    @Test func `an update may not empty the session policy`() throws {
        try lab.expectRefusal(
            "UpdateProfile", try profile().named.setting("sessionPolicy", ""), naming: "sessionPolicy")
    }

    @Test func `a profile may have no role`() throws {
        #expect(try lab.makeProfile(["roleArns": []])["roleArns"] == [])
    }

    @Test func `an alias belongs to one profile`() throws {
        try lab.make("UpdateProfile", try profile().named.setting("aliasName", "own"))
        try lab.expectRefusal("CreateProfile", Self.base.setting("aliasName", "own"), naming: "aliasName")
    }

    @Test func `an account has 250 profiles and no more`() throws {
        for number in 0..<250 { _ = try lab.makeProfile(["name": .string("n\(number)")]) }
        try lab.expectRefusal("CreateProfile", Self.base, naming: "250")
        #expect(try lab.make("ListProfiles", ["pageSize": 1_000], "profiles").array?.count == 250)
    }

    @Test(arguments: [
        Unacceptable("no field", "certificateField", .null),
        Unacceptable("an unknown field", "certificateField", "x509Issue"),
        Unacceptable("no rules", "mappingRules", .null),
        Unacceptable("a rule without specifier", "mappingRules", [[:]], naming: "specifier"),
        Unacceptable(
            "a specifier of 61", "mappingRules", [["specifier": .string(String(repeating: "s", count: 61))]],
            naming: "specifier"),
    ])
    func `an attribute mapping outside its limits is refused`(_ unacceptable: Unacceptable) throws {
        let arguments = try profile().named.setting([
            "certificateField": "x509Subject", "mappingRules": [["specifier": "CN"]],
        ])
        try lab.expectRefusal(
            "PutAttributeMapping", arguments.setting(unacceptable.member, unacceptable.value), naming: unacceptable.word
        )
    }

    @Test func `a mapping that is not there cannot be deleted`() throws {
        let subject = try profile().named.setting("certificateField", "x509Subject")
        func expectAbsence(_ arguments: JSONValue) throws {
            try lab.expectRefusal(
                "DeleteAttributeMapping", arguments, code: "ResourceNotFoundException", status: 404)
        }
        try lab.expectRefusal(
            "DeleteAttributeMapping", subject.setting("certificateField", "x509Issue"), naming: "certificateField")
        try expectAbsence(subject.setting("specifiers", ["OU"]))
        try lab.make("DeleteAttributeMapping", subject)
        try expectAbsence(subject)
    }

    @Test(arguments: [
        "[]", "null", #""text""#, "{", #"{"name":"n","roleArns":"arn:aws:iam::123456789012:role/r"}"#,
        #"{"name":["n"],"roleArns":[]}"#, #"{"name":"n","roleArns":{}}"#, #"{"name":"n","roleArns":[null]}"#,
        #"{"name":"n","roleArns":[],"tags":{"k":"v"}}"#, #"{"name":"n","roleArns":[],"tags":["k"]}"#,
        #"{"name":"n","roleArns":[],"durationSeconds":1e99}"#,
        #"{"name":"n","roleArns":[],"durationSeconds":99999999999999999999999}"#, #"{"name":"\ud800","roleArns":[]}"#,
    ])
    func `JSON that no client of AWS would send is refused`(_ body: String) throws { try refuse(Array(body.utf8)) }

    @Test func `bytes that are not UTF-8, and JSON that is too deep, are refused`() throws {
        try refuse(Array(#"{"name":""#.utf8) + [0xff, 0xfe] + Array(#"","roleArns":[]}"#.utf8))
        func nested(_ open: String, _ middle: String, _ close: String, _ depth: Int) -> String {
            String(repeating: open, count: depth) + middle + String(repeating: close, count: depth)
        }
        try refuse(Array((#"{"name":"n","roleArns":[],"sessionPolicy":"# + nested("[", "", "]", 5_000) + "}").utf8))
        try refuse(Array(nested(#"{"a":"#, "1", "}", 20_000).utf8))
    }

    private func refuse(_ body: [UInt8]) throws {
        let answer = try lab.ask("CreateProfile", body: body)
        #expect(answer.code == "ValidationException")
        #expect(answer.status == 400)
    }
}
