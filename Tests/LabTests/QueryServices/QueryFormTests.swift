// SPDX-License-Identifier: Apache-2.0

import HTTPServer
import Testing

@testable import Lab

@Suite struct QueryFormLimitTests {
    @Test(arguments: [
        (TextForm.name, "aZ09_+=,.@-", true), (.name, "a b", false), (.name, "a/b", false), (.name, "é", false),
        (.externalIdentifier, "a:/b", true), (.externalIdentifier, "a b", false),
        (.path, "/", true), (.path, "/a/", true), (.path, "//", false), (.path, "/a", false), (.path, "a/", false),
        (.path, "/a b/", false), (.path, "/é/", false), (.path, "/a/b/", true),
        (.pathPrefix, "/a", true), (.pathPrefix, "a", false),
        (.description, "a\n\té ÿ", true), (.description, "\u{80}", false), (.description, "€", false),
        (.policy, "{\r\n\t\u{80}ÿ}", true), (.policy, "€", false), (.policy, "\u{1}", false),
        (.roleTag, "ä 7_.:/=+-@", true), (.roleTag, "a!", false), (.roleTag, "日本", true), (.roleTag, "a\tb", false),
    ])
    func `texts consist of what the service's model says`(_ form: TextForm, _ text: String, _ isRight: Bool) {
        #expect(form.admits(text) == isRight)
    }

    @Test func `a constraint that is broken is named as IAM does`() {
        let form = QueryForm(Array("RoleName=\(String(repeating: "n", count: 65))&MaxItems=x".utf8))
        let refusal = #expect(throws: ServiceRefusal.self) { try form.required("RoleName", 1...64, .name) }
        #expect(refusal?.code == .init("ValidationError", .badRequest))
        #expect(refusal?.message.hasPrefix("1 validation error detected: Value 'nnn") == true)
        #expect(
            refusal?.message.hasSuffix(
                "at 'roleName' failed to satisfy constraint: Member must have length less than or equal to 64") == true)
        let missing = #expect(throws: ServiceRefusal.self) { try form.required("PolicyName", 1...128) }
        #expect(
            missing?.message == "1 validation error detected: Value null at 'policyName' failed to satisfy constraint: "
                + "Member must not be null")
        let malformed = #expect(throws: ServiceRefusal.self) { try form.integer("MaxItems", 1...1_000) }
        #expect(malformed?.code.name == "MalformedInput")
    }
}

@Suite struct ManagedPolicyTests {
    @Test func `a policy of AWS's own has a path and a name`() throws {
        let plain = try #require(ManagedPolicy("arn:aws:iam::aws:policy/ReadOnlyAccess"))
        #expect((plain.path, plain.name) == ("/", "ReadOnlyAccess"))
        let deep = try #require(ManagedPolicy("arn:aws-cn:iam::aws:policy/a/b/C"))
        #expect((deep.path, deep.name) == ("/a/b/", "C"))
    }

    @Test(arguments: [
        "", "arn:aws:iam::123456789012:policy/x", "arn:aws:iam::aws:policy/", "arn:aws:iam::aws:policy/a//b",
        "arn:aws:iam::aws:role/x", "arn:aws:s3::aws:policy/x", "arn:aws:iam::aws:policy/a b", "arn:aws:iam::aws:policy",
    ])
    func `other ARNs are none`(_ arn: String) { #expect(ManagedPolicy(arn) == nil) }
}
