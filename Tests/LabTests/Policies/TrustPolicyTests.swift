// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import HTTPServer
import SystemSupport
import Testing

@testable import Lab

/// A trust policy, the clients that it admits, and those that it refuses, with a word of the reason.
struct TrustCase: Sendable, CustomTestStringConvertible {
    var name: String
    var statements: [JSONValue]
    var admitted: [String]
    var refused: [String: String]

    init(
        _ name: String, _ statements: [JSONValue], admits admitted: [String] = [],
        refuses refused: [String: String] = [:]
    ) {
        (self.name, self.statements, self.admitted, self.refused) = (name, statements, admitted, refused)
    }

    var testDescription: String { name }

    private static let cn = "aws:PrincipalTag/x509Subject/CN"
    private static let ou = "aws:PrincipalTag/x509Subject/OU"
    private static let uri = "aws:PrincipalTag/x509SAN/URI"

    /// A statement that lets every client in, changed; `nil` takes an element away.
    private static func allow(_ changes: JSONValue = [:]) -> JSONValue {
        let statement: JSONValue = [
            "Sid": "Clients", "Effect": "Allow", "Principal": ["Service": "rolesanywhere.amazonaws.com"],
            "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
        ]
        return statement.setting(changes)
    }

    private static func deny(_ changes: JSONValue) -> JSONValue {
        allow(["Sid": "NotThese", "Effect": "Deny"]).setting(changes)
    }

    /// One statement with one condition.
    private static func only(
        _ name: String, _ test: String, _ key: String, _ value: JSONValue, admits admitted: [String] = [],
        refuses refused: [String: String] = [:]
    ) -> TrustCase {
        let wanted = JSONValue.object([JSONMember(name: key, value: value)])
        let condition = JSONValue.object([JSONMember(name: test, value: wanted)])
        return TrustCase(name, [allow(["Condition": condition])], admits: admitted, refuses: refused)
    }

    /// The certificate's own words.
    private static let names: [TrustCase] = [
        TrustCase("no-condition", [allow()], admits: ["db", "bare"]),
        only("cn", "StringEquals", cn, "db-1", admits: ["db"], refuses: ["web": "web-1", "comma": "x509Subject/CN"]),
        only(
            "cn-of-several", "StringEquals", cn, ["db-1", "web-1"], admits: ["db", "web"], refuses: ["bare": "bare"]),
        only("cn-like", "StringLike", cn, "db-*", admits: ["db"], refuses: ["web": "web-1"]),
        only("cn-with-a-star-that-is-none", "StringEquals", cn, "db-*", refuses: ["db": "StringLike"]),
        only("cn-in-another-case", "StringEquals", cn, "DB-1", refuses: ["db": "db-1"]),
        only("cn-whatever-the-case", "StringEqualsIgnoreCase", cn, "DB-1", admits: ["db"], refuses: ["web": "web-1"]),
        only(
            "key-in-another-case", "StringEquals", "AWS:principaltag/X509SUBJECT/cn", "db-1", admits: ["db"],
            refuses: ["web": "web-1"]),
        only(
            "ou", "StringEquals", ou, "databases", admits: ["db", "comma"],
            refuses: ["web": "frontends", "bare": "no such key"]),
        only("ou-twice", "StringEquals", ou, "outer/inner", admits: ["twin"], refuses: ["db": "databases"]),
        only(
            "uri", "StringEquals", uri, "spiffe://example.com/db", admits: ["db"],
            refuses: ["web": "spiffe://example.com/web", "bare": "no such key"]),
        only(
            "uri-like", "StringLike", uri, "spiffe://example.com/*", admits: ["db", "web"],
            refuses: ["bare": "no such key"]),
        only(
            "dns", "StringEquals", "aws:PrincipalTag/x509SAN/DNS", "web-1.example.com", admits: ["web"],
            refuses: ["db": "no such key"]),
        only("issuer", "StringEquals", "aws:PrincipalTag/x509Issuer/CN", "TEST ROOT", admits: ["db", "bare"]),
        only("another-issuer", "StringEquals", "aws:PrincipalTag/x509Issuer/CN", "OTHER", refuses: ["db": "TEST ROOT"]),
        only(
            "request-tag", "StringEquals", "aws:RequestTag/x509Subject/CN", "db-1", admits: ["db"],
            refuses: ["web": "web-1"]),
        only("not-equal", "StringNotEquals", cn, "db-1", admits: ["web", "comma"], refuses: ["db": "db-1"]),
        only(
            "not-equal-of-absent", "StringNotEquals", ou, "databases", admits: ["web", "bare"],
            refuses: ["db": "databases"]),
        only(
            "if-exists", "StringEqualsIfExists", ou, "databases", admits: ["db", "bare"], refuses: ["web": "frontends"]),
    ]

    /// Where it comes from.
    private static let origins: [TrustCase] = [
        only("source-arn", "ArnEquals", "aws:SourceArn", "${trustAnchor:lab}", admits: ["db", "web"]),
        only(
            "source-arn-like", "ArnLike", "aws:SourceArn", "arn:aws:rolesanywhere:*:123456789012:trust-anchor/*",
            admits: ["db"]),
        only(
            "another-source-arn", "ArnEquals", "aws:SourceArn", "${trustAnchor:lab}f", refuses: ["db": "trust-anchor/"]),
        only("source-account", "StringEquals", "aws:SourceAccount", "123456789012", admits: ["db"]),
        only(
            "another-source-account", "StringEquals", "aws:SourceAccount", "999999999999",
            refuses: ["db": "123456789012"]),
        only("address", "IpAddress", "aws:SourceIp", "127.0.0.0/8", admits: ["db"]),
        only(
            "another-address", "IpAddress", "aws:SourceIp", ["192.0.2.0/24", "2001:db8::/32"],
            refuses: ["db": "127.0.0.1"]),
        only("not-this-address", "NotIpAddress", "aws:SourceIp", "127.0.0.1", refuses: ["db": "127.0.0.1"]),
        only("region", "StringEquals", "aws:RequestedRegion", "us-east-1", admits: ["db"]),
        only("tls", "Bool", "aws:SecureTransport", "true", admits: ["db"]),
        TrustCase(
            "no-plain-text", [allow(), deny(["Condition": ["Bool": ["aws:SecureTransport": "false"]]])], admits: ["db"]),
    ]

    /// When.
    private static let times: [TrustCase] = [
        only(
            "until-long-ago", "DateLessThan", "aws:CurrentTime", "2020-01-01T00:00:00Z", refuses: ["db": "2020-01-01"]),
        only("until-late", "DateLessThan", "aws:CurrentTime", "2999-01-01T00:00:00Z", admits: ["db"]),
        only("since-long-ago", "DateGreaterThan", "aws:CurrentTime", "2020-01-01T00:00:00Z", admits: ["db"]),
        only("since-late", "DateGreaterThanEquals", "aws:EpochTime", "32503680000", refuses: ["db": "aws:EpochTime"]),
    ]

    /// What is asked for, and whether it is there.
    private static let requests: [TrustCase] = [
        only("short", "NumericLessThanEquals", "sts:DurationSeconds", "3600", admits: ["db"]),
        only("shorter", "NumericLessThan", "sts:DurationSeconds", "901", refuses: ["db": "3600"]),
        only(
            "source-identity", "StringEquals", "sts:SourceIdentity", "CN=db-1", admits: ["db"],
            refuses: ["web": "CN=web-1"]),
        only("session-name", "StringLike", "sts:RoleSessionName", "build-*", refuses: ["db": "sts:RoleSessionName"]),
        only("must-have-ou", "Null", ou, "false", admits: ["db", "twin"], refuses: ["bare": "no such key"]),
        only("must-not-have-ou", "Null", ou, "true", admits: ["bare"], refuses: ["db": "databases"]),
        only("must-have-cn", "Null", cn, "false", admits: ["db"], refuses: ["comma": "no such key"]),
    ]

    /// Several values, and variables.
    private static let several: [TrustCase] = [
        only(
            "any-tag-key", "ForAnyValue:StringEquals", "aws:TagKeys", ["x509SAN/URI", "x509SAN/DNS"],
            admits: ["db", "web"], refuses: ["bare": "aws:TagKeys"]),
        only(
            "all-tag-keys", "ForAllValues:StringLike", "aws:TagKeys",
            ["x509Subject/*", "x509Issuer/*", "x509SAN/Name/*"], admits: ["bare", "twin"], refuses: ["web": "x509SAN"]),
        only(
            "variable", "StringLike", uri, "spiffe://example.com/${aws:PrincipalTag/x509Subject/OU}*",
            refuses: ["db": "databases"]),
        only(
            "variable-that-fits", "StringEquals", "sts:SourceIdentity", "CN=${aws:PrincipalTag/x509Subject/CN}",
            admits: ["db", "web"], refuses: ["comma": "x509Subject/CN"]),
        only(
            "variable-default", "StringEquals", ou, "${aws:PrincipalTag/absent, 'databases'}", admits: ["db"],
            refuses: ["web": "frontends"]),
        only("variable-star", "StringLike", cn, "db${*}", refuses: ["db": "db-1"]),
    ]

    /// Several conditions, several statements.
    private static let statementsTogether: [TrustCase] = [
        TrustCase(
            "both",
            [
                allow([
                    "Condition": [
                        "StringEquals": [cn: "db-1", ou: "databases"],
                        "ArnEquals": ["aws:SourceArn": "${trustAnchor:lab}"],
                    ]
                ])
            ], admits: ["db"], refuses: ["web": "web-1", "comma": "x509Subject/CN"]),
        TrustCase(
            "either",
            [
                allow(["Condition": ["StringEquals": [cn: "db-1"]]]),
                allow(["Sid": "Others", "Condition": ["StringEquals": [cn: "web-1"]]]),
            ], admits: ["db", "web"], refuses: ["bare": "Others"]),
        TrustCase(
            "deny-wins", [allow(), deny(["Condition": ["StringEquals": [ou: "databases"]]])], admits: ["web", "bare"],
            refuses: ["db": "NotThese", "comma": "NotThese"]),
        TrustCase(
            "deny-first", [deny(["Action": "sts:AssumeRole", "Condition": ["StringEquals": [cn: "db-1"]]]), allow()],
            admits: ["web"], refuses: ["db": "NotThese"]),
        TrustCase(
            "deny-unless", [allow(), deny(["Condition": ["StringNotEquals": [ou: "databases"]]])], admits: ["db"],
            refuses: ["bare": "NotThese"]),
    ]

    /// Each of the three actions, and who it is for.
    private static let actions: [TrustCase] = [
        TrustCase(
            "no-tag-session", [allow(["Action": ["sts:AssumeRole", "sts:SetSourceIdentity"]])],
            refuses: ["db": "sts:TagSession"]),
        TrustCase(
            "no-assume-role", [allow(["Action": ["sts:TagSession", "sts:SetSourceIdentity"]])],
            refuses: ["db": "sts:AssumeRole"]),
        TrustCase(
            "no-source-identity", [allow(["Action": ["sts:AssumeRole", "sts:TagSession"]])],
            refuses: ["db": "sts:SetSourceIdentity"]),
        TrustCase(
            "actions-in-another-case",
            [allow(["Action": ["STS:assumerole", "sts:tagsession", "sts:setsourceIDENTITY"]])], admits: ["db"]),
        TrustCase("all-actions", [allow(["Action": "sts:*"])], admits: ["db"]),
        TrustCase(
            "actions-apart",
            [
                allow(["Sid": "Part0", "Action": "sts:AssumeRole"]),
                allow(["Sid": "Part1", "Action": "sts:TagSession"]),
                allow(["Sid": "Part2", "Action": "sts:SetSourceIdentity"]),
            ], admits: ["db"]),
        TrustCase("not-action", [allow(["NotAction": "sts:AssumeRoleWithSAML", "Action": nil])], admits: ["db"]),
        TrustCase(
            "another-service", [allow(["Principal": ["Service": "ec2.amazonaws.com"]])],
            refuses: ["db": "rolesanywhere.amazonaws.com"]),
        TrustCase(
            "two-services", [allow(["Principal": ["Service": ["ec2.amazonaws.com", "rolesanywhere.amazonaws.com"]]])],
            admits: ["db"]),
        TrustCase(
            "an-account", [allow(["Principal": ["AWS": "arn:aws:iam::123456789012:root"]])], refuses: ["db": "Clients"]),
    ]

    static let all = names + origins + times + requests + several + statementsTogether + actions
}

/// A role's trust policy decides who gets a session, and the trace says why not.
@Suite struct TrustPolicyTests {
    /// What a certificate says of itself.
    private static let clients: [String: (subject: String, names: String)] = [
        "db": ("CN=db-1,OU=databases,O=Example", "URI:spiffe://example.com/db"),
        "web": ("CN=web-1,OU=frontends,O=Example", "DNS:web-1.example.com,URI:spiffe://example.com/web"),
        "twin": ("CN=twin,OU=inner,OU=outer,O=Example", ""), "bare": ("CN=bare", ""),
        "comma": (#"CN=db\,1,OU=databases"#, ""),
    ]

    private static let authority = Result { try TestAuthority("CN=TEST ROOT") }
    private static let identities = Result {
        let authority = try Self.authority.get()
        return try clients.mapValues { try authority.client($0.subject, names: $0.names) }
    }

    @Test(arguments: TrustCase.all)
    func `a trust policy decides by the certificate and the request`(_ trustCase: TrustCase) throws {
        let policy: JSONValue = ["Version": "2012-10-17", "Statement": .array(trustCase.statements)]
        let seed: JSONValue = [
            "trustAnchors": [["name": "lab"]], "roles": [["name": "target", "trustPolicy": policy]],
            "profiles": [["name": "lab", "roles": ["target"]]],
        ]
        let authority = try Self.authority.get()
        let planted = try LabSeed(reading: seed.bytes, name: "seed.json", in: fixtureEnvironment()) { _ in
            [authority.certificate]
        }
        let service = try LabService(environment: fixtureEnvironment())
        try service.plant(planted)
        let arns = [
            "trustAnchorArn": try #require(planted.trustAnchors.first).arn.description,
            "profileArn": try #require(planted.profiles.first).arn.description,
            "roleArn": "arn:aws:iam::123456789012:role/target",
        ]
        for name in trustCase.admitted + trustCase.refused.keys.sorted() {
            let client = try #require(try Self.identities.get()[name])
            let response = try #require(service.answer(try client.sessionRequest(arns)).immediateResponse)
            let trace = try #require(service.traces.last)
            guard let word = trustCase.refused[name] else {
                #expect(response.status == .created, "\(name): \(trace.failure?.detail ?? "")")
                #expect(trace.assumedRole?.contains(":assumed-role/target/") == true)
                continue
            }
            #expect(response.status == .forbidden, "\(name)")
            #expect(response.headers["X-Amzn-ErrorType"] == "AccessDeniedException")
            #expect(try message(response).contains("Unable to assume role for arn: \(arns["roleArn"] ?? "")"))
            let decision = try #require(trace.failure)
            #expect(decision.check == .trustPolicy, "\(name)")
            #expect(decision.detail.contains("target"))
            #expect("\(decision.detail) \(decision.hint ?? "")".contains(word), "\(name): \(decision.detail)")
            #expect(decision.hint != nil)
        }
    }

    @Test func `there is a case for each`() {
        #expect(TrustCase.all.count == 62)
        #expect(TrustCase.all.reduce(0) { $0 + $1.admitted.count + $1.refused.count } == 109)
    }
}
