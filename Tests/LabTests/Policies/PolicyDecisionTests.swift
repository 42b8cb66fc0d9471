// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Lab

@Suite struct PolicyDecisionTests {
    private func trust() throws -> PolicyDocument { try PolicyDocument(PolicySamples.trust, kind: .trust) }

    @Test(arguments: ["sts:AssumeRole", "STS:ASSUMEROLE", "sts:TagSession", "sts:SetSourceIdentity"])
    func `the service is allowed what the policy names`(_ action: String) throws {
        let decision = try trust().decision(for: PolicySamples.request(action))
        #expect(decision.outcome == .allowed(by: 0))
        #expect(decision.statement == "Statement \"RolesAnywhere\"")
        #expect(decision.principalMatch == .direct)
    }

    @Test func `a refusal names the policy's value and the request's`() throws {
        var context = PolicySamples.context
        context.set("web-1", for: "aws:principaltag/X509Subject/CN")
        let decision = try trust().decision(for: PolicySamples.request(context: context))
        #expect(decision.outcome == .notAllowed)
        #expect(decision.statement == nil)
        #expect(
            decision.explanation.map(\.text) == [
                "Statement \"RolesAnywhere\" does not apply: StringEquals aws:PrincipalTag/x509Subject/CN wants \"db-1\", "
                    + "the request has \"web-1\"",
                "Statement[1] does not apply: Principal wants one of \"111122223333\", "
                    + "\"arn:aws:iam::444455556666:role/other\", the request has \"the service rolesanywhere.amazonaws.com\"",
            ]
        )
    }

    @Test(arguments: [
        (
            "{\"StringEquals\": {\"aws:PrincipalTag/x509Subject/OU\": \"x\"}}", "the request has no such key",
            "the request has aws:PrincipalTag/x509Subject/CN"
        ),
        (
            "{\"StringEquals\": {\"aws:PrincipalTag/x509SAN/URI\": \"x\"}}", "the request has no such key",
            "the request has aws:PrincipalTag/x509Issuer/CN, aws:PrincipalTag/x509Subject/CN"
        ),
        ("{\"StringEquals\": {\"s3:prefix\": \"x\"}}", "no such key", "have the request carry s3:prefix"),
        (
            "{\"StringEquals\": {\"sts:RoleSessionName\": \"DB-1\"}}", "wants \"DB-1\", the request has \"db-1\"",
            "StringEqualsIgnoreCase"
        ),
        ("{\"StringEquals\": {\"sts:RoleSessionName\": \"db-*\"}}", "wants \"db-*\"", "wildcards in StringLike only"),
        (
            "{\"StringLike\": {\"sts:RoleSessionName\": [\"a*\", \"b*\"]}}",
            "wants something like one of \"a*\", \"b*\", the request has \"db-1\"", nil
        ),
        ("{\"StringNotLike\": {\"sts:RoleSessionName\": \"db*\"}}", "wants anything but \"db*\"", nil),
        (
            "{\"StringEquals\": {\"sts:RoleSessionName\": \"${aws:PrincipalTag/x509Issuer/CN}\"}}",
            "\"${aws:PrincipalTag/x509Issuer/CN}\", which is \"Root\" here, the request has \"db-1\"", nil
        ),
        ("{\"StringEquals\": {\"sts:RoleSessionName\": \"${aws:PrincipalTag/none}\"}}", "has no value here", nil),
        (
            "{\"ForAllValues:StringEquals\": {\"aws:TagKeys\": \"a\"}}",
            "wants every value to be \"a\", the request has \"a\", \"b\"", nil
        ),
        ("{\"Null\": {\"aws:TagKeys\": \"true\"}}", "wants no such key, the request has \"a\", \"b\"", nil),
        (
            "{\"Null\": {\"sts:None\": \"false\"}}", "wants the key to be there, the request has no such key",
            "sts:RoleSessionName"
        ),
        ("{\"NumericLessThan\": {\"sts:RoleSessionName\": 3}}", "wants less than \"3\"", nil),
        ("{\"ArnLike\": {\"aws:SourceArn\": \"*\"}}", "wants something like \"*\"", "six parts"),
    ])
    func `a condition's explanation can be acted on`(_ condition: String, _ text: String, _ hint: String?) throws {
        let decision = try PolicySamples.conditional(condition).decision(for: PolicySamples.request("s3:Get"))
        let finding = try #require(decision.explanation.first)
        #expect(!finding.applies)
        #expect(finding.text.hasPrefix("Statement[0] does not apply: "))
        #expect(finding.text.contains(text), "\(finding.text)")
        if let hint { #expect(finding.hint?.contains(hint) == true, "\(finding.hint ?? "")") }
    }

    @Test(arguments: [
        ("sts:AssumeRole", nil),
        ("sts:TagSession", "Action wants \"sts:AssumeRole\", the request has \"sts:TagSession\""),
    ])
    func `an action that is not named is told`(_ action: String, _ text: String?) throws {
        let decision = try trust().decision(for: PolicySamples.request(action, PolicySamples.session))
        #expect(decision.isAllowed == (text == nil))
        if let text {
            #expect(decision.explanation.last?.text.contains(text) == true)
            #expect(decision.explanation.last?.hint == "add \"\(action)\" to the Action")
        }
    }

    @Test(arguments: [
        ("{\"AWS\": \"111122223333\"}", PolicyPrincipalMatch.account),
        ("{\"AWS\": \"arn:aws:iam::111122223333:root\"}", .account), ("\"*\"", .everyone),
        ("{\"AWS\": \"*\"}", .everyone),
        ("{\"AWS\": \"arn:aws:iam::111122223333:role/path/first\"}", .direct),
        ("{\"AWS\": \"arn:aws:sts::111122223333:assumed-role/first/web-1\"}", .direct),
        ("{\"AWS\": [\"*\", \"111122223333\"]}", .everyone),
        ("{\"AWS\": [\"111122223333\", \"*\", \"arn:aws:iam::111122223333:role/path/first\"]}", .direct),
        ("{\"AWS\": \"444455556666\"}", nil), ("{\"AWS\": \"arn:aws:iam::111122223333:role/first\"}", nil),
        ("{\"AWS\": \"arn:aws:sts::111122223333:assumed-role/first/web-2\"}", nil),
        ("{\"Service\": \"rolesanywhere.amazonaws.com\"}", nil), ("{\"Federated\": \"example.com\"}", nil),
    ])
    func `it is told how a session is named`(_ principal: String, _ match: PolicyPrincipalMatch?) throws {
        let text = """
            {"Statement": {"Effect": "Allow", "Principal": \(principal), "Action": "sts:AssumeRole"}}
            """
        let decision = try PolicyDocument(text, kind: .trust)
            .decision(for: PolicySamples.request("sts:AssumeRole", PolicySamples.session))
        #expect(decision.principalMatch == match)
        #expect(decision.isAllowed == (match != nil))
    }

    @Test func `of two statements that allow the more direct one counts`() throws {
        func statement(_ name: String) -> String {
            "{\"Effect\": \"Allow\", \"Principal\": {\"AWS\": \"\(name)\"}, \"Action\": \"sts:AssumeRole\"}"
        }
        let direct = statement("arn:aws:iam::111122223333:role/path/first")
        for (statements, index) in [([statement("111122223333"), direct], 1), ([direct, statement("*")], 0)] {
            let policy = try PolicyDocument("{\"Statement\": [\(statements.joined(separator: ","))]}", kind: .trust)
            let decision = policy.decision(for: PolicySamples.request("sts:AssumeRole", PolicySamples.session))
            #expect(decision.outcome == .allowed(by: index))
            #expect(decision.principalMatch == .direct)
        }
    }

    @Test(arguments: [
        ("\"Principal\": \"*\"", true), ("\"Principal\": {\"AWS\": \"444455556666\"}", false),
        ("\"NotPrincipal\": {\"AWS\": \"111122223333\"}", false),
        ("\"NotPrincipal\": {\"AWS\": \"444455556666\"}", true),
    ])
    func `a statement that denies outweighs one that allows`(_ principal: String, _ isDenied: Bool) throws {
        let text = """
            {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"},
                           {"Sid": "No", "Effect": "Deny", \(principal), "Action": "sts:*"}]}
            """
        let decision = try PolicyDocument(text, kind: .trust)
            .decision(for: PolicySamples.request("sts:AssumeRole", PolicySamples.session))
        #expect(decision.outcome == (isDenied ? .explicitlyDenied(by: 1) : .allowed(by: 0)))
        #expect(decision.explanation.map(\.applies) == [true, isDenied])
        if isDenied { #expect(decision.explanation.last?.text == "Statement \"No\" denies sts:AssumeRole") }
    }

    @Test(arguments: [
        ("Action", "s3:*", true), ("Action", "S3:get*", true), ("Action", "s3:Get?bject", true),
        ("Action", "s3:Put*", false),
        ("Action", "*", true), ("Action", "s?:GetObject", true), ("NotAction", "s3:Get*", false),
        ("NotAction", "ec2:*", true),
    ])
    func `actions have wildcards and no case`(_ element: String, _ pattern: String, _ isAllowed: Bool) throws {
        let text = "{\"Statement\": {\"Effect\": \"Allow\", \"\(element)\": \"\(pattern)\", \"Resource\": \"*\"}}"
        let decision = try PolicyDocument(text, kind: .identity).decision(for: PolicySamples.request("s3:GetObject"))
        #expect(decision.isAllowed == isAllowed)
        #expect(decision.principalMatch == nil)
    }

    @Test func `a pattern of many stars costs no more than its length`() {
        let pattern = PolicyPattern(wildcards: String(repeating: "a*", count: 2_000) + "b")
        #expect(!pattern.matches(String(repeating: "a", count: 20_000)))
        #expect(pattern.matches(String(repeating: "a", count: 20_000) + "b"))
    }
}
