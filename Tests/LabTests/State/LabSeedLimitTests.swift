// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport
import Testing

@testable import Lab

/// What is wrong with a seed is said, with its place, before anything listens.
@Suite struct LabSeedLimitTests {
    private static let clients: JSONValue = [
        "Sid": "Clients", "Effect": "Allow", "Principal": ["Service": "rolesanywhere.amazonaws.com"],
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
    ]

    private static func policy(_ statements: JSONValue..., version: JSONValue = "2012-10-17") -> JSONValue {
        ["Version": version, "Statement": .array(statements)]
    }

    /// A policy of the clients' statement with changes; `null` takes a member away.
    private static func policy(_ changes: JSONValue) -> JSONValue {
        policy(clients.setting(changes), version: "2012-10-17")
    }

    private static let role: JSONValue = ["name": "web", "trustPolicy": policy([:])]
    private static let profile: JSONValue = ["name": "lab", "roles": ["web"]]

    /// A seed of one role with changes.
    private static func seed(role changes: JSONValue) -> JSONValue {
        let role = role.setting(changes)
        let profile = profile.setting("roles", [role["name"] ?? "web"])
        return ["trustAnchors": [["name": "lab"]], "roles": [role], "profiles": [profile]]
    }

    private func expectRefusal(_ text: String, naming words: [String]) {
        let error = #expect(throws: LabError.self) {
            try LabSeed(reading: Array(text.utf8), name: "seed.json", in: fixtureEnvironment()) { _ in
                try Certificate.certificates(in: Array(FixtureText.root.utf8))
            }
        }
        let said = "\(error?.message ?? "") \(error?.hint ?? "")"
        for word in words + ["seed.json"] { #expect(said.contains(word), "\(said)") }
    }

    private static let policies: [(JSONValue, [String])] = [
        (["Version": "2012-10-17", "Statement": []], ["Statement"]), (["Version": "2012-10-17"], ["Statement"]),
        (policy(clients, version: "2026-01-01"), ["Version", "2012-10-17"]),
        (policy(["Effect": "Permit"]), ["Effect"]), (policy(["Effect": nil]), ["Effect"]),
        (policy(["Principal": nil]), ["Principal"]), (policy(["Resource": "*"]), ["Resource"]),
        (policy(["Action": "sts:TagSessions"]), ["sts:TagSession"]), (policy(["Conditions": [:]]), ["Condition"]),
        (policy(["Condition": ["StringEqual": ["aws:PrincipalTag/x509Subject/CN": "a"]]]), ["StringEquals"]),
        (policy(["Condition": ["IpAddress": ["aws:SourceIp": "ten"]]]), ["ten"]),
        (policy(["Condition": ["Null": ["aws:PrincipalTag/x509Subject/CN": "maybe"]]]), ["maybe"]),
        (policy(clients, clients), ["Clients"]),
        (policy(["Condition": ["ArnEquals": ["aws:SourceArn": "${trustAnchor:other}"]]]), ["other"]),
    ]

    @Test(arguments: policies)
    func `a malformed trust policy is refused`(_ policy: JSONValue, _ words: [String]) {
        expectRefusal(Self.seed(role: ["trustPolicy": policy]).text, naming: ["web"] + words)
    }

    private static let seeds: [(JSONValue, [String])] = [
        (seed(role: [:]).setting("role", []), ["role"]), (seed(role: ["nmae": "x"]), ["nmae"]),
        (seed(role: ["name": nil]), ["name"]),
        (seed(role: [:]).setting("profiles", [profile.setting("roles", ["absent"])]), ["absent"]),
        (seed(role: [:]).setting("profiles", [profile, profile]), ["profiles", "lab"]),
        (seed(role: [:]).setting("roles", [role, role]), ["roles", "web"]),
        (seed(role: [:]).setting("profiles", [profile.setting("durationSeconds", 899)]), ["durationSeconds"]),
        (seed(role: ["maxSessionDuration": 43_201]), ["maxSessionDuration"]),
        (seed(role: ["trustPolicy": "text"]), ["trustPolicy"]), (seed(role: ["name": "two words"]), ["two words"]),
        (seed(role: ["name": .string(String(repeating: "n", count: 65))]), ["name", "64"]),
        (seed(role: ["path": "nowhere"]), ["nowhere"]), (seed(role: ["path": "/with blank/"]), ["with blank"]),
        // What the API refuses: names that differ in case alone, policies that there are not, ARNs of other things.
        (seed(role: [:]).setting("roles", [role, role.setting("name", "WEB")]), ["roles", "web"]),
        (seed(role: ["attachedPolicyArns": ["arn:aws:iam::123456789012:policy/own"]]), ["policy/own"]),
        (seed(role: ["attachedPolicyArns": ["ReadOnlyAccess-without-arn"]]), ["without-arn"]),
        (
            seed(role: [:]).setting("profiles", [profile.setting("roles", ["arn:aws:iam::123456789012:user/a"])]),
            ["user/a"]
        ),
    ]

    @Test(arguments: seeds)
    func `a member outside its limits is refused`(_ seed: JSONValue, _ words: [String]) {
        expectRefusal(seed.text, naming: words)
    }

    @Test(arguments: ["[]", "{", "\u{0}", #"{"roles":{}}"#])
    func `what is no seed is refused`(_ text: String) { expectRefusal(text, naming: []) }
}
