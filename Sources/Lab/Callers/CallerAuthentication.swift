// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import HTTPServer
import SystemSupport

/// Finds out who signed a request with AWS Signature Version 4: the administrator, or a session that the lab gave out.
///
/// Source: AWS, *IAM User Guide*, "Create a signed AWS API request".
struct CallerAuthentication: Sendable {
    let environment: LabEnvironment
    let administrator: Administrator
    let store: ResourceStore

    func caller(
        of request: HTTPRequest, services: [String], dialect: SignatureDialect, _ trace: inout Trace
    ) throws -> Caller {
        let now = trace.date
        let rules = SignatureRules(
            dialect: dialect,
            services: services,
            // IAM and STS are one for all regions: their clients sign for the partition's first.
            regions: services == ["rolesanywhere"]
                ? [environment.region]
                : [environment.region, Partition(of: environment.region).firstRegion]
        )
        let signature = try rules.signature(of: request, &trace)
        let header = signature.header
        let (caller, secret) = try trace.run(.credentials) {
            try credentials(header.identifier, request.headers, dialect, at: now)
        }
        trace.caller = caller.arn
        let key = [header.date, header.region, header.service, header.terminator]
            .reduce(Array("AWS4\(secret)".utf8)) { HMACSHA256.code($1.utf8, key: $0) }
        let query = try QueryParameter.parameters(in: request.query)
        try rules.check(signature, of: request, query: query, &trace) { message in
            areEqual(HMACSHA256.code(message, key: key), header.signature)
        }
        return caller
    }

    private func credentials(
        _ accessKey: String, _ headers: HTTPHeaders, _ dialect: SignatureDialect, at now: Date
    ) throws -> ((Caller, String), String) {
        guard headers.count("X-Amz-Security-Token") <= 1 else {
            throw dialect.refusal(.incomplete, "X-Amz-Security-Token appears more than once")
        }
        guard let token = headers["X-Amz-Security-Token"] else {
            guard accessKey == administrator.accessKeyIdentifier else {
                let isSession = accessKey.hasPrefix("ASIA")
                throw dialect.refusal(
                    .unknownCredentials,
                    isSession
                        ? "the access key \(accessKey.prefix(24)) is a session's and came without its token"
                        : "there is no access key \(accessKey.prefix(24))",
                    hint: isSession ? "set AWS_SESSION_TOKEN too" : "the lab's is \(administrator.accessKeyIdentifier)")
            }
            let caller = Caller.administrator(administrator, in: environment)
            return ((caller, administrator.secretAccessKey), "the lab's administrator")
        }
        let opened = SessionCredentials.open(token, accessKeyIdentifier: accessKey, key: store.sessionKey)
        guard let (claims, secret) = opened else {
            throw dialect.refusal(
                .unknownCredentials,
                "the session token was not given out by this lab, was altered, or belongs to another access key",
                hint: store.isPersistent
                    ? "get new credentials: pki creds"
                    : "get new credentials: pki creds (a lab without --state forgets its sessions when it ends)")
        }
        let expiration = Date(timeIntervalSince1970: Double(claims.expiration))
        guard now < expiration else {
            throw dialect.refusal(
                .expiredCredentials, "the session ended at \(timestamp(expiration))",
                hint: "get new credentials: pki creds")
        }
        let caller = Caller.session(claims, in: environment)
        return ((caller, secret), "\(caller.arn), until \(timestamp(expiration))")
    }
}

/// Whose key signed a request.
struct Caller: Sendable {
    /// `arn:aws:iam::…:user/lab-admin` or `arn:aws:sts::…:assumed-role/ROLE/SESSION`.
    var arn: String
    /// `AIDA…` or `AROA…:SESSION`.
    var userIdentifier: String
    var account: String
    /// `nil` for the administrator.
    var session: SessionClaims?

    static func administrator(_ administrator: Administrator, in environment: LabEnvironment) -> Caller {
        let identifier = Base32.characters(derivedFrom: administrator.accessKeyIdentifier, count: 17)
        return Caller(
            arn: environment.globalARN("iam", "user/lab-admin").description, userIdentifier: "AIDA" + identifier,
            account: environment.account)
    }

    static func session(_ claims: SessionClaims, in environment: LabEnvironment) -> Caller {
        Caller(
            arn: claims.assumedRole(in: environment), userIdentifier: "\(claims.roleIdentifier):\(claims.sessionName)",
            account: environment.account, session: claims)
    }

    /// What policies know of the caller (IAM User Guide, "AWS global condition context keys").
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

    /// The caller as policies name it.
    var principal: PolicyPrincipal { .aws(arn: arn, role: session?.roleARN, account: account) }
}

/// The access key that may do everything in the lab: a published one, unless another is chosen.
package struct Administrator: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// The pair of AWS's own documentation, which secret scanners know to be no secret.
    package static let documented = Administrator(
        accessKeyIdentifier: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")

    /// Returns a random pair in the format of AWS's own.
    package static func random(_ randomBytes: (Int) -> [UInt8]) -> Administrator {
        Administrator(
            accessKeyIdentifier: "AKIA" + Base32.characters(randomBytes(16)),
            secretAccessKey: Data(randomBytes(30)).base64EncodedString())
    }

    package let accessKeyIdentifier: String
    package let secretAccessKey: String

    package init(accessKeyIdentifier: String, secretAccessKey: String) {
        self.accessKeyIdentifier = accessKeyIdentifier
        self.secretAccessKey = secretAccessKey
    }

    /// The access key alone.
    package var description: String { "Administrator(\(accessKeyIdentifier))" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["accessKeyIdentifier": accessKeyIdentifier]) }
}
