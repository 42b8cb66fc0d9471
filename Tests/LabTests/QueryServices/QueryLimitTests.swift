// SPDX-License-Identifier: Apache-2.0

import AWSModel
import HTTPServer
import SystemSupport
import Testing

@testable import Lab

/// A parameter of the query protocol that is refused.
struct UnacceptableParameter: Sendable, CustomTestStringConvertible {
    var name: String
    var parameters: [String: String]
    var code = "ValidationError"
    /// AWS's own words.
    var words: String

    init(_ name: String, _ parameters: [String: String], code: String = "ValidationError", _ words: String) {
        (self.name, self.parameters, self.code, self.words) = (name, parameters, code, words)
    }

    init(_ member: String, _ value: String, code: String = "ValidationError", _ words: String) {
        self.init("\(member) \(value.prefix(20))", [member: value], code: code, words)
    }

    var testDescription: String { name }

    static func tags(_ count: Int) -> [String: String] {
        var tags: [String: String] = [:]
        for index in 1...count {
            (tags["Tags.member.\(index).Key"], tags["Tags.member.\(index).Value"]) = ("k\(index)", "")
        }
        return tags
    }
}

private func text(_ character: Character, _ count: Int) -> String { String(repeating: character, count: count) }

@Suite struct QueryLimitTests {
    private static let trust = policy(#""Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole""#)

    private static func policy(_ members: String) -> String {
        #"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",\#(members)}]}"#
    }

    private let desk: QueryDesk

    init() throws { desk = try QueryDesk() }

    private func expectRefusal(
        _ action: String, _ parameters: [String: String], of service: String, code: String, _ words: String
    ) throws -> String {
        let refusal = try #require(try desk.ask(action, parameters, service: service).refusal)
        #expect(refusal.code == .init(code, .badRequest))
        #expect(refusal.message.contains(words), "\(refusal.message)")
        return refusal.message
    }

    @Test(arguments: [
        UnacceptableParameter("RoleName", text("n", 65), "less than or equal to 64"),
        UnacceptableParameter("RoleName", "", "greater than or equal to 1"),
        UnacceptableParameter("RoleName", "a b", #"[\w+=,.@-]+"#),
        UnacceptableParameter("RoleName", "é", #"[\w+=,.@-]+"#),
        UnacceptableParameter("Path", "batch/", "regular expression pattern"),
        UnacceptableParameter("Path", "/batch", "regular expression pattern"),
        UnacceptableParameter("Path", "/a b/", "regular expression pattern"),
        UnacceptableParameter("Path", "/" + text("p", 511) + "/", "less than or equal to 512"),
        UnacceptableParameter("Description", text("d", 1_001), "less than or equal to 1000"),
        UnacceptableParameter("Description", "€", "regular expression pattern"),
        UnacceptableParameter("MaxSessionDuration", "3599", "greater than or equal to 3600"),
        UnacceptableParameter("MaxSessionDuration", "43201", "less than or equal to 43200"),
        UnacceptableParameter("AssumeRolePolicyDocument", "{€}", "regular expression pattern"),
        UnacceptableParameter(
            "a tag's key of 129", ["Tags.member.1.Key": text("k", 129), "Tags.member.1.Value": ""],
            "less than or equal to 128"),
        UnacceptableParameter(
            "a tag's value of 257", ["Tags.member.1.Key": "k", "Tags.member.1.Value": text("v", 257)],
            "less than or equal to 256"),
        UnacceptableParameter(
            "a tag's value with !", ["Tags.member.1.Key": "k", "Tags.member.1.Value": "!"],
            "regular expression pattern"),
        UnacceptableParameter("51 tags", UnacceptableParameter.tags(51), "less than or equal to 50"),
    ])
    func `the members of a role keep their limits`(_ unacceptable: UnacceptableParameter) throws {
        let role = ["RoleName": "web", "AssumeRolePolicyDocument": Self.trust]
        let message = try expectRefusal(
            "CreateRole", role.merging(unacceptable.parameters) { $1 }, of: "iam", code: unacceptable.code,
            unacceptable.words)
        #expect(message.hasPrefix("1 validation error detected: Value "))
        #expect(message.contains("failed to satisfy constraint: Member must "))
    }

    @Test(arguments: [
        ("{", "invalid Json"), ("{}", "Missing required field Statement"),
        (policy(#""Action":"sts:AssumeRole""#), "Missing required field Principal"),
        (
            policy(#""Principal":{"AWS":"nobody"},"Action":"sts:AssumeRole""#),
            #"Invalid principal in policy: "AWS":"nobody""#
        ),
        (
            policy(#""Principal":{"AWS":"arn:aws:iam::123456789012:role/nobody"},"Action":"sts:AssumeRole""#),
            "Invalid principal in policy"
        ),
        (
            policy(#""Principal":{"AWS":"*"},"Action":"s3:GetObject""#),
            "AssumeRole policy may only specify STS AssumeRole actions."
        ),
    ])
    func `a malformed trust policy is refused, of a new role and of an old one`(
        _ policy: String, _ words: String
    ) throws {
        try desk.role("old", trusting: "*")
        for (action, parameters) in [
            ("CreateRole", ["RoleName": "new", "AssumeRolePolicyDocument": policy]),
            ("UpdateAssumeRolePolicy", ["RoleName": "old", "PolicyDocument": policy]),
        ] {
            _ = try expectRefusal(action, parameters, of: "iam", code: "MalformedPolicyDocument", words)
        }
        #expect(desk.store.snapshot.roles["new"] == nil)
    }

    private static let readOnly = "arn:aws:iam::aws:policy/ReadOnlyAccess"

    @Test(arguments: [
        UnacceptableParameter("RoleSessionName", "x", "greater than or equal to 2"),
        UnacceptableParameter("RoleSessionName", text("x", 65), "less than or equal to 64"),
        UnacceptableParameter("RoleSessionName", "a b", "'roleSessionName'"),
        UnacceptableParameter("DurationSeconds", "899", "greater than or equal to 900"),
        UnacceptableParameter("DurationSeconds", "43201", "less than or equal to 43200"),
        UnacceptableParameter("DurationSeconds", "3601", "exceeds the MaxSessionDuration set for this role."),
        UnacceptableParameter("SourceIdentity", "x", "'sourceIdentity'"),
        UnacceptableParameter("ExternalId", "a b", "'externalId'"),
        UnacceptableParameter("RoleArn", "arn:aws:s3:::bucket-x", "is invalid"),
        UnacceptableParameter("RoleArn", "arn:aws:iam", "'roleArn'"),
        UnacceptableParameter("Policy", "{", code: "MalformedPolicyDocument", "Json"),
        UnacceptableParameter(
            "Policy", policy(#""Action":"*","Resource":"*""#) + text(" ", 2_048), code: "PackedPolicyTooLarge",
            "Packed size"),
        UnacceptableParameter(
            "11 policies",
            Dictionary(uniqueKeysWithValues: (1...11).map { ("PolicyArns.member.\($0).arn", readOnly) }),
            "'policyArns'"),
        UnacceptableParameter(
            "a transitive tag that is absent", ["TransitiveTagKeys.member.1": "absent"], code: "InvalidParameterValue",
            "transitive"),
        UnacceptableParameter("51 tags", UnacceptableParameter.tags(51), "'tags'"),
    ])
    func `the parameters of a session keep their limits`(_ unacceptable: UnacceptableParameter) throws {
        let role = try desk.role("web", trusting: "*")
        let base = ["RoleArn": role.arn.description, "RoleSessionName": "job"]
        _ = try expectRefusal(
            "AssumeRole", base.merging(unacceptable.parameters) { $1 }, of: "sts", code: unacceptable.code,
            unacceptable.words)
    }

    @Test(arguments: ["v1", "v2", "v10.a-B9", "1", "v", "v0", "v1.", "v1._", "V1"])
    func `the version of a policy has AWS's pattern`(_ version: String) throws {
        let parameters = ["PolicyArn": Self.readOnly, "VersionId": version]
        let isVersion = version.wholeMatch(of: /v[1-9][0-9]*(\.[A-Za-z0-9-]*)?/) != nil
        let refusal = try desk.ask("GetPolicyVersion", parameters, service: "iam").refusal
        #expect(refusal?.code.name == (version == "v1" ? nil : isVersion ? "NoSuchEntity" : "ValidationError"))
    }
}
