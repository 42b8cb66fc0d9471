// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Lab

@Suite struct PolicyVariableTests {
    private let context: PolicyContext = [
        "aws:PrincipalTag/Team": ["red"], "lab:Star": ["*"], "lab:Many": ["a", "b"], "lab:Account": ["111122223333"],
    ]

    @Test(arguments: [
        ("StringEquals", "${aws:PrincipalTag/Team}", "red", true),
        ("StringEquals", "${AWS:principaltag/team}-1", "red-1", true),
        ("StringEquals", "${aws:PrincipalTag/Team}", "blue", false),
        ("StringEquals", "x-${aws:PrincipalTag/Team}-${lab:Account}", "x-red-111122223333", true),
        ("StringEqualsIgnoreCase", "${aws:PrincipalTag/Team}-A", "RED-a", true),
        ("StringEqualsIgnoreCase", "${lab:None, 'Blue'}", "BLUE", true),
        ("StringLike", "${aws:PrincipalTag/Team}/*", "red/x", true),
        ("StringLike", "${aws:PrincipalTag/Team}/${*}", "red/*", true),
        ("StringLike", "${aws:PrincipalTag/Team}/${*}", "red/x", false),
        ("StringLike", "a${?}b*", "a?bc", true), ("StringLike", "a${?}b*", "axbc", false),
        ("StringLike", "${$}x", "$x", true), ("StringEquals", "${$}{lab:Star}", "${lab:Star}", true),
        ("StringLike", "${lab:Star}", "anything", false), ("StringLike", "${lab:Star}", "*", true),
        ("StringEquals", "${lab:None, 'blue'}", "blue", true), ("StringEquals", "${lab:None,''}", "", true),
        ("StringEquals", "${aws:PrincipalTag/Team, 'blue'}", "red", true),
        ("StringEquals", "${lab:None}", "", false), ("StringEquals", "${lab:None}", "${lab:None}", false),
        ("StringNotEquals", "${lab:None}", "x", true), ("StringEquals", "${lab:Many}", "a", false),
        ("StringEquals", "${lab:Many, 'a'}", "a", false), ("StringEquals", "$x{}", "$x{}", true),
        (
            "ArnLike", "arn:aws:sqs:*:${lab:Account}:${aws:PrincipalTag/Team}-*", "arn:aws:sqs:a:111122223333:red-1",
            true
        ),
        ("ArnLike", "arn:aws:sqs:*:${lab:Account}:x", "arn:aws:sqs:a:444455556666:x", false),
    ])
    func `a variable stands for the request's value`(
        _ comparison: String, _ wanted: String, _ actual: String, _ isMet: Bool
    ) throws {
        var context = context
        context.set(actual, for: "lab:Key")
        let condition = "{\"\(comparison)\": {\"lab:Key\": \"\(wanted)\"}}"
        #expect(try PolicySamples.isMet(condition, context) == isMet)
    }

    @Test(arguments: ["${aws:PrincipalTag/Team}", "${$}", "${", "${a, b}"])
    func `the older language has no variables`(_ text: String) throws {
        let condition = "{\"StringEquals\": {\"lab:Key\": \"\(text)\"}}"
        #expect(try PolicySamples.isMet(condition, ["lab:Key": [text]], version: "2008-10-17"))
    }

    @Test(arguments: ["${", "${}", "x${aws:a", "${ }", "${lab:a, b}", "${lab:a, 'b}", "${, 'b'}", "${lab:a,'}"])
    func `a malformed variable is refused`(_ text: String) throws {
        let error = #expect(throws: PolicyError.self) {
            try PolicySamples.conditional("{\"StringEquals\": {\"lab:Key\": \"\(text)\"}}")
        }
        #expect(error?.detail.contains("Statement[0].Condition.StringEquals.lab:Key") == true)
    }

    @Test(arguments: [
        ("arn:aws:s3:::home/${aws:PrincipalTag/Team}/*", "arn:aws:s3:::home/red/x", true),
        ("arn:aws:s3:::home/${aws:PrincipalTag/Team}/*", "arn:aws:s3:::home/blue/x", false),
        ("arn:aws:s3:::home/${lab:None}*", "arn:aws:s3:::home/", false),
        ("arn:aws:s3:::home/${lab:None, 'all'}", "arn:aws:s3:::home/all", true),
        ("*", "anything", true), ("arn:aws:s3:::b?cket", "arn:aws:s3:::bucket", true),
        ("arn:aws:s3:*", "arn:aws:s3:::bucket/a:b", true), ("arn:aws:s3:::Bucket", "arn:aws:s3:::bucket", false),
    ])
    func `resources have wildcards and variables`(_ wanted: String, _ actual: String, _ isMet: Bool) throws {
        for (element, expected) in [("Resource", isMet), ("NotResource", !isMet)] {
            let text = """
                {"Version": "2012-10-17",
                 "Statement": [{"Effect": "Allow", "Action": "*", "\(element)": ["arn:aws:x:::no", "\(wanted)"]}]}
                """
            let policy = try PolicyDocument(text, kind: .identity)
            let request = PolicyRequest(
                action: "s3:GetObject", principal: PolicySamples.session, resource: actual, context: context)
            #expect(policy.decision(for: request).isAllowed == expected)
        }
    }
}
