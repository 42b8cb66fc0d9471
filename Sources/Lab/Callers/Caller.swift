// SPDX-License-Identifier: Apache-2.0

import Certificates

/// Whose key signed a request.
struct Caller: Sendable {
    /// `arn:aws:iam::…:user/lab-admin` or `arn:aws:sts::…:assumed-role/ROLE/SESSION`.
    var arn: String

    /// `AIDA…` or `AROA…:SESSION`.
    var userIdentifier: String

    var account: String

    /// The session, unless this is the administrator.
    var session: SessionClaims?

    /// The lab's administrator.
    static func administrator(_ administrator: Administrator, in environment: LabEnvironment) -> Caller {
        let arn = AmazonResourceName(
            global: "iam",
            "user/lab-admin",
            region: environment.region,
            account: environment.account
        )
        return Caller(
            arn: arn.description,
            userIdentifier: "AIDA" + Base32.text(of: Array(administrator.accessKeyIdentifier.utf8), count: 17),
            account: environment.account
        )
    }

    /// A role that was taken.
    static func session(_ claims: SessionClaims, in environment: LabEnvironment) -> Caller {
        let arn = claims.assumedRole(in: environment)
        return Caller(
            arn: arn.description,
            userIdentifier: "\(claims.roleIdentifier):\(claims.sessionName)",
            account: arn.account,
            session: claims
        )
    }

    /// What policies know of whose request it is (IAM User Guide, "AWS global condition context keys").
    var context: PolicyContext {
        var context = PolicyContext()
        context["aws:PrincipalArn"] = [session?.roleARN ?? arn]
        context["aws:PrincipalAccount"] = [account]
        context["aws:PrincipalType"] = [session == nil ? "User" : "AssumedRole"]
        context["aws:userid"] = [userIdentifier]
        context.set(session == nil ? String(arn.split(separator: "/").last ?? "") : nil, for: "aws:username")
        context.set(session?.sourceIdentity, for: "aws:SourceIdentity")
        for (key, value) in session?.tags ?? [:] { context["aws:PrincipalTag/\(key)"] = [value] }
        return context
    }

    /// As policies name who it is.
    var principal: PolicyPrincipal { .aws(arn: arn, role: session?.roleARN, account: account) }
}
