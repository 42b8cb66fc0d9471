// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import HTTPService
import SystemSupport

/// Finds out who signed a request with AWS Signature Version 4: the administrator, or a session that the lab gave out.
///
/// Source: AWS, *IAM User Guide*, "Create a signed AWS API request".
struct CallerAuthentication: Sendable {
    let environment: LabEnvironment
    let administrator: Administrator
    let store: ResourceStore

    /// Finds out who signed a request.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - services: The services that the scope may name.
    ///   - dialect: How the service words a refusal.
    ///   - now: The current time.
    ///   - trace: Takes the checks.
    /// - Returns: Who it was.
    /// - Throws: ``ServiceRefusal``.
    func caller(
        of request: HTTPRequest,
        services: [String],
        dialect: SignatureDialect,
        at now: Date,
        _ trace: inout Trace
    ) throws -> Caller {
        let rules = SignatureRules(
            dialect: dialect,
            requiredHeaders: ["host", "x-amz-date"],
            optionalHeaders: ["x-amz-security-token"],
            services: services,
            // IAM and STS are one for all regions: their clients sign for the partition's first.
            regions: services == ["rolesanywhere"]
                ? [environment.region]
                : [environment.region, AmazonResourceName.firstRegion(ofPartitionWith: environment.region)]
        )
        let authorization = try trace.run(.authorization) {
            let header = try AuthorizationHeader(request.headers, in: dialect)
            guard header.algorithm == "AWS4-HMAC-SHA256" else {
                throw dialect.refusal(
                    .incomplete,
                    "the algorithm is \"\(header.algorithm.prefix(40))\"",
                    hint: "sign with AWS4-HMAC-SHA256"
                )
            }
            return (header, header.identifier)
        }
        try trace.run(.signedHeaders) { try rules.checkSignedHeaders(authorization.signedHeaders, request.headers) }
        let moment = try trace.run(.date) { try rules.checkDate(request.headers["X-Amz-Date"], at: now) }
        try trace.run(.scope) { try rules.checkScope(authorization, moment) }
        let (caller, secret) = try trace.run(.credentials) {
            try credentials(authorization.identifier, request.headers, dialect, at: now)
        }
        trace.caller = caller.arn
        let key = Self.signingKey(secret, authorization)
        try rules.checkSignature(
            of: request,
            query: try QueryParameter.parameters(in: request.query),
            authorization,
            moment,
            form: .encodedAgain,
            signer: (name: "access key's", hint: "check the secret access key"),
            &trace
        ) { message in
            areEqual(HMACSHA256.code(message, key: key), authorization.signature)
        }
        return caller
    }

    private func credentials(
        _ accessKey: String,
        _ headers: HTTPHeaders,
        _ dialect: SignatureDialect,
        at now: Date
    ) throws -> ((Caller, String), String) {
        guard headers.count("X-Amz-Security-Token") <= 1 else {
            throw dialect.refusal(.incomplete, "X-Amz-Security-Token stands more than once")
        }
        guard let token = headers["X-Amz-Security-Token"] else {
            guard accessKey == administrator.accessKeyIdentifier else {
                throw dialect.refusal(
                    .unknownCredentials,
                    accessKey.hasPrefix("ASIA")
                        ? "the access key \(accessKey.prefix(24)) is a session's and came without its token"
                        : "nobody has the access key \(accessKey.prefix(24))",
                    hint: accessKey.hasPrefix("ASIA")
                        ? "set AWS_SESSION_TOKEN too" : "the lab's is \(administrator.accessKeyIdentifier)"
                )
            }
            let caller = Caller.administrator(administrator, in: environment)
            return ((caller, administrator.secretAccessKey), "the lab's administrator")
        }
        guard
            let (claims, secret) = SessionCredentials.open(
                token,
                accessKeyIdentifier: accessKey,
                key: store.sessionKey
            )
        else {
            throw dialect.refusal(
                .unknownCredentials,
                "the session token was not given out by this lab, was altered, or belongs to another access key",
                hint: store.isPersistent
                    ? "get new credentials: pki creds"
                    : "get new credentials: pki creds (a lab without --state forgets its sessions when it ends)"
            )
        }
        let expiration = Date(timeIntervalSince1970: Double(claims.expiration))
        guard now < expiration else {
            throw dialect.refusal(
                .expiredCredentials,
                "the session ended at \(timestamp(expiration))",
                hint: "get new credentials: pki creds"
            )
        }
        let caller = Caller.session(claims, in: environment)
        return ((caller, secret), "\(caller.arn), until \(timestamp(expiration))")
    }

    private static func signingKey(_ secret: String, _ authorization: AuthorizationHeader) -> [UInt8] {
        [authorization.date, authorization.region, authorization.service, authorization.terminator]
            .reduce(Array("AWS4\(secret)".utf8)) { HMACSHA256.code($1.utf8, key: $0) }
    }
}
