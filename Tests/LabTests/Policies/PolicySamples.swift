// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Lab

/// What the suites ask policies with.
enum PolicySamples {
    static let service = PolicyPrincipal.service("rolesanywhere.amazonaws.com")

    static let session = PolicyPrincipal.aws(
        arn: "arn:aws:sts::111122223333:assumed-role/first/web-1", role: "arn:aws:iam::111122223333:role/path/first",
        account: "111122223333")

    /// As AWS's own example for IAM Roles Anywhere has it.
    static let trust = """
        {
          "Version": "2012-10-17",
          "Statement": [
            {
              "Sid": "RolesAnywhere",
              "Effect": "Allow",
              "Principal": {"Service": "rolesanywhere.amazonaws.com"},
              "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
              "Condition": {
                "StringEquals": {"aws:PrincipalTag/x509Subject/CN": "db-1"},
                "ArnEquals": {"aws:SourceArn": "arn:aws:rolesanywhere:eu-west-1:111122223333:trust-anchor/*"}
              }
            },
            {
              "Effect": "Allow",
              "Principal": {"AWS": ["111122223333", "arn:aws:iam::444455556666:role/other"]},
              "Action": "sts:AssumeRole"
            }
          ]
        }
        """

    static let context: PolicyContext = [
        "aws:PrincipalTag/x509Subject/CN": ["db-1"], "aws:PrincipalTag/x509Issuer/CN": ["Root"],
        "aws:SourceArn": ["arn:aws:rolesanywhere:eu-west-1:111122223333:trust-anchor/a-b"],
        "sts:RoleSessionName": ["db-1"], "aws:TagKeys": ["a", "b"],
    ]

    static func request(
        _ action: String = "sts:AssumeRole", _ principal: PolicyPrincipal = service, context: PolicyContext = context
    ) -> PolicyRequest {
        PolicyRequest(
            action: action, principal: principal, resource: "arn:aws:iam::111122223333:role/target", context: context)
    }

    /// A policy of one statement with a condition.
    static func conditional(_ condition: String, version: String = "2012-10-17") throws -> PolicyDocument {
        try PolicyDocument(
            """
            {"Version": "\(version)", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*",
            "Condition": \(condition)}}
            """,
            kind: .identity
        )
    }

    /// Whether a condition lets a request through.
    static func isMet(_ condition: String, _ context: PolicyContext, version: String = "2012-10-17") throws -> Bool {
        try conditional(condition, version: version).decision(for: request("s3:GetObject", context: context)).isAllowed
    }
}
