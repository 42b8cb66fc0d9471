// SPDX-License-Identifier: Apache-2.0

import AWSModel
import FoundationEssentials
import HTTPServer
import Testing

@testable import Lab

@Suite struct AssumeRoleTests {
    private static func parameters(_ role: String, _ more: [String: String] = [:]) -> [String: String] {
        ["RoleArn": "arn:aws:iam::123456789012:role/\(role)", "RoleSessionName": "next"].merging(more) { $1 }
    }

    @Test func `the trace says which statement let the role be taken`() throws {
        let desk = try QueryDesk()
        let first = try desk.role("first", trusting: "*")
        try desk.role("second", trusting: first.arn.description)
        let taken = try desk.ask("AssumeRole", Self.parameters("second"), as: desk.session(of: first))
        #expect(taken.refusal == nil)
        #expect(taken.trace.assumedRole == "arn:aws:sts::123456789012:assumed-role/second/next")
        let checks = taken.trace.entries.suffix(5)
        #expect(checks.map(\.check) == [.role, .trustPolicy, .permission, .roleDuration, .outcome])
        #expect(
            checks.first { $0.check == .trustPolicy }?.detail == "Statement \"Trust\" of second allows sts:AssumeRole"
        )
    }

    @Test func `the trace says why the trust policy refused, and the client does not hear it`() throws {
        let desk = try QueryDesk()
        let first = try desk.role("first", trusting: "*")
        try desk.role("second", trusting: "111122223333")
        let refused = try desk.ask("AssumeRole", Self.parameters("second"), as: desk.session(of: first))
        #expect(
            refused.refusal?.message == "User: arn:aws:sts::123456789012:assumed-role/first/job is not authorized to "
                + "perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/second")
        let failure = try #require(refused.trace.failure)
        #expect(failure.check == .trustPolicy)
        #expect(failure.detail.contains("Statement \"Trust\" does not apply"))
        #expect(failure.detail.contains("111122223333"))
        #expect(failure.hint != nil)
    }

    @Test func `a role trusted through the account needs a policy of its own`() throws {
        let desk = try QueryDesk()
        let first = try desk.role("first", trusting: "*")
        try desk.role("second", trusting: "123456789012")
        let keys = desk.session(of: first)
        let refused = try desk.ask("AssumeRole", Self.parameters("second"), as: keys)
        #expect(refused.trace.failure?.check == .permission)
        #expect(
            refused.refusal?.message.hasSuffix("because no identity-based policy allows the sts:AssumeRole action")
                == true)
        try desk.role("first", trusting: "*") {
            $0.attachedPolicyARNs = ["arn:aws:iam::aws:policy/AdministratorAccess"]
        }
        #expect(try desk.ask("AssumeRole", Self.parameters("second"), as: keys).refusal == nil)
    }

    @Test func `an absent role is refused like one that does not trust`() throws {
        let desk = try QueryDesk()
        let refused = try desk.ask("AssumeRole", Self.parameters("absent"))
        #expect(refused.refusal?.code == .init("AccessDenied", .forbidden))
        #expect(refused.trace.failure?.check == .role)
    }

    @Test(arguments: [(3_600, true), (3_601, false)])
    func `a session that is taken by a session lasts an hour at most`(_ seconds: Int, _ isGranted: Bool) throws {
        let desk = try QueryDesk()
        let first = try desk.role("first", trusting: "*")
        try desk.role("second", trusting: "*") { $0.maximumSessionDuration = 43_200 }
        let parameters = Self.parameters("second", ["DurationSeconds": "\(seconds)"])
        let chained = try desk.ask("AssumeRole", parameters, as: desk.session(of: first))
        #expect((chained.refusal == nil) == isGranted)
        #expect(try desk.ask("AssumeRole", parameters).refusal == nil)
    }

    @Test func `tags that go on need permission to tag`() throws {
        let desk = try QueryDesk()
        let first = try desk.role("first", trusting: "*")
        let policy = try PolicyDocument(
            """
            {"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}
            """,
            kind: .trust
        )
        try desk.role("second", trusting: "*") { $0.trustPolicy = policy }
        let plain = desk.session(of: first) { $0.tags = ["team": "a"] }
        #expect(try desk.ask("AssumeRole", Self.parameters("second"), as: plain).refusal == nil)
        let tagged = desk.session(of: first) { claims in
            claims.tags = ["team": "a"]
            claims.transitiveTagKeys = ["team"]
        }
        let refused = try desk.ask("AssumeRole", Self.parameters("second"), as: tagged)
        #expect(refused.refusal?.message.contains("to perform: sts:TagSession on") == true)
    }
}

@Suite struct SessionCredentialsClaimsTests {
    @Test func `a token carries all that limits its session`() throws {
        let desk = try QueryDesk()
        let role = try desk.role("web", trusting: "*")
        let keys = desk.session(of: role) { claims in
            claims.tags = ["k": "v \"é"]
            claims.transitiveTagKeys = ["k"]
            claims.sessionPolicy = "{ \"a\" :\n1}"
            claims.sessionPolicyARNs = ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
        }
        let opened = SessionCredentials.open(
            try #require(keys.token), accessKeyIdentifier: keys.identifier, key: desk.store.sessionKey)
        let claims = try #require(opened).claims
        #expect(claims.tags == ["k": "v \"é"])
        #expect(claims.transitiveTagKeys == ["k"])
        #expect(claims.sessionPolicy == "{ \"a\" :\n1}")
        #expect(claims.sessionPolicyARNs == ["arn:aws:iam::aws:policy/ReadOnlyAccess"])
    }

    @Test(arguments: [
        (#"{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*"}"#, nil),
        (#"{"Effect":"Allow","Action":"iam:GetRole","Resource":"*"}"#, "because no session policy allows"),
        (
            #"[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"iam:*","Resource":"*"}]"#,
            "with an explicit deny in a session policy"
        ),
    ])
    func `a session's policy limits it`(_ statement: String, _ reason: String?) throws {
        let desk = try QueryDesk()
        let role = try desk.role("web", trusting: "*") { role in
            role.attachedPolicyARNs = ["arn:aws:iam::aws:policy/AdministratorAccess"]
        }
        let keys = desk.session(of: role) {
            $0.sessionPolicy = #"{"Version":"2012-10-17","Statement":\#(statement)}"#
        }
        let answer = try desk.ask("ListRoles", as: keys, service: "iam")
        #expect((answer.refusal == nil) == (reason == nil))
        if let reason { #expect(answer.refusal?.message.contains(reason) == true) }
    }
}
