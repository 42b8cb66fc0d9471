// SPDX-License-Identifier: Apache-2.0

import SystemSupport
import Testing

@testable import Lab

@Suite struct TagLimitTests {
    private let lab: ControlPlaneLab
    private let arn: JSONValue

    init() throws {
        lab = try ControlPlaneLab()
        arn = try lab.makeProfile()["profileArn"] ?? .null
    }

    @Test(arguments: Unacceptable.tags)
    func `tags outside their limits are refused and change nothing`(_ unacceptable: Unacceptable) throws {
        let arguments: JSONValue = ["resourceArn": arn, "tags": unacceptable.value]
        try lab.expectRefusal("TagResource", arguments, naming: unacceptable.word)
        #expect(try lab.tags(of: arn) == [:])
    }

    @Test(arguments: [
        Unacceptable("201", "tagKeys", .array(Array(repeating: "k", count: 201))),
        Unacceptable("empty", "tagKeys", [""]),
        Unacceptable("129", "tagKeys", [.string(String(repeating: "k", count: 129))]),
        Unacceptable("umlaut", "tagKeys", ["ü"]), Unacceptable("5", "tagKeys", [5]),
    ])
    func `keys of tags outside their limits are refused`(_ unacceptable: Unacceptable) throws {
        let arguments: JSONValue = ["resourceArn": arn, "tagKeys": unacceptable.value]
        try lab.expectRefusal("UntagResource", arguments, naming: "tagKeys")
    }

    @Test(
        arguments: ["TagResource", "UntagResource", "ListTagsForResource"],
        ["profile", "arn:aws:iam::123456789012:role/r", String(repeating: "x", count: 1_012)])
    func `a resource that is none is refused`(_ operation: String, _ arn: String) throws {
        let members: [String: JSONValue] = ["TagResource": ["tags": []], "UntagResource": ["tagKeys": []]]
        let arguments = (members[operation] ?? [:]).setting("resourceArn", .string(arn))
        try lab.expectRefusal(operation, arguments, naming: "resourceArn")
    }

    private static let incomplete: [(String, JSONValue, String)] = [
        ("TagResource", ["tags": []], "resourceArn"), ("TagResource", [:], "tags"),
        ("UntagResource", ["tagKeys": []], "resourceArn"), ("UntagResource", [:], "tagKeys"),
        ("ListTagsForResource", [:], "resourceArn"),
    ]

    @Test(arguments: incomplete)
    func `what must be there is missed by name`(_ operation: String, _ members: JSONValue, _ missing: String) throws {
        let arguments = missing == "resourceArn" ? members : members.setting("resourceArn", arn)
        try lab.expectRefusal(operation, arguments, naming: missing)
    }
}

@Suite struct PageLimitTests {
    private static let operations = ["ListTrustAnchors", "ListProfiles", "ListCrls", "ListSubjects"]

    @Test(arguments: operations, ["0", "-1", "many", "1.5"])
    func `a page's size is a whole number from 1`(_ operation: String, _ size: String) throws {
        try ControlPlaneLab().expectRefusal(operation, ["pageSize": .string(size)], naming: "pageSize")
    }

    @Test(arguments: operations, ["", "garbage", String(repeating: "x", count: 10_001), "AAAA"])
    func `a token that the service did not give out is refused`(_ operation: String, _ token: String) throws {
        try ControlPlaneLab().expectRefusal(operation, ["nextToken": .string(token)], naming: "nextToken")
    }
}

@Suite struct AbsentResourceTests {
    private static let identifier = "00000000-0000-4000-8000-000000000000"

    private struct Kind: Sendable {
        var noun: String
        var parameter: String
        var name: String
    }

    private static let kinds = [
        Kind(noun: "TrustAnchor", parameter: "trustAnchorId", name: "trust-anchor"),
        Kind(noun: "Profile", parameter: "profileId", name: "profile"),
        Kind(noun: "Crl", parameter: "crlId", name: "crl"),
    ]

    private static func arn(_ resource: String, account: String = "123456789012") -> String {
        "arn:aws:rolesanywhere:us-east-1:\(account):\(resource)"
    }

    /// How a kind of resource can be named: by UUID, ARN, alias, and with the ARN of another account.
    private static func names(of kind: String) -> [String] {
        let resource = "\(kind)/\(identifier)"
        return [identifier, arn(resource), arn("alias/\(kind)/nobody"), arn(resource, account: "999999999999")]
    }

    @Test(arguments: kinds.indices, ["Get", "Update", "Enable", "Disable", "Delete"])
    func `an operation on what is not there names it`(_ index: Int, _ verb: String) throws {
        let (lab, kind) = (try ControlPlaneLab(), Self.kinds[index])
        for name in Self.names(of: kind.name) {
            let arguments = JSONValue.object([JSONMember(name: kind.parameter, value: .string(name))])
            try lab.expectRefusal(
                verb + kind.noun, arguments, naming: name, code: "ResourceNotFoundException", status: 404)
        }
    }

    private static let others: [(String, JSONValue)] = [
        ("GetSubject", ["subjectId": .string(identifier)]),
        (
            "PutAttributeMapping",
            [
                "profileId": .string(identifier), "certificateField": "x509Subject",
                "mappingRules": [["specifier": "CN"]],
            ]
        ),
        ("DeleteAttributeMapping", ["profileId": .string(identifier), "certificateField": "x509Subject"]),
        ("PutNotificationSettings", ["trustAnchorId": .string(identifier), "notificationSettings": []]),
        ("ResetNotificationSettings", ["trustAnchorId": .string(identifier), "notificationSettingKeys": []]),
    ]

    @Test(arguments: others)
    func `settings of what is not there are refused`(_ operation: String, _ arguments: JSONValue) throws {
        try ControlPlaneLab().expectRefusal(operation, arguments, code: "ResourceNotFoundException", status: 404)
    }

    private static let tagCalls: [(String, JSONValue)] = [
        ("TagResource", ["tags": [["key": "k", "value": "v"]]]), ("UntagResource", ["tagKeys": ["k"]]),
        ("ListTagsForResource", [:]),
    ]

    @Test(arguments: ["trust-anchor", "profile", "crl", "subject"], tagCalls)
    func `tags of what is not there are refused`(_ kind: String, _ call: (String, JSONValue)) throws {
        let arn = Self.arn("\(kind)/\(Self.identifier)")
        try ControlPlaneLab().expectRefusal(
            call.0, call.1.setting("resourceArn", .string(arn)), code: "ResourceNotFoundException", status: 404)
    }
}
