// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Testing

@testable import RolesAnywhere

struct SessionCredentialsTests {
    private func credentials(_ response: HTTPResponse = .credentials()) throws -> SessionCredentials {
        try SessionCredentials(answer: response.body, to: .example(), at: TestAuthority.now)
    }

    @Test(arguments: ["2026-01-02T04:04:05Z", "2026-01-02T04:04:05.000Z", "2026-01-02T04:04:05.123456Z"])
    func `a successful answer is read`(expiration: String) throws {
        let credentials = try credentials(.credentials(expiration: expiration))
        #expect(credentials.accessKeyID == "ASIAEXAMPLE")
        #expect(credentials.secretAccessKey == HTTPResponse.secretKey)
        #expect(credentials.sessionToken == HTTPResponse.token)
        #expect(credentials.expiration == TestAuthority.now.addingTimeInterval(3600))
        #expect(credentials.roleARN == SessionRequest.role)
        #expect(credentials.assumedRoleARN == "arn:aws:sts::123456789012:assumed-role/App+Test@one=1/1a2b")
        #expect(credentials.subjectARN == "arn:aws:rolesanywhere:us-east-1:123456789012:subject/41a3")
        #expect(credentials.sourceIdentity == "CN=client.example")
        #expect(credentials.accountID == "123456789012")
    }

    @Test func `what is not about the keys may be missing`() throws {
        let body =
            #"{"credentialSet":[{"credentials":{"accessKeyId":"A","secretAccessKey":"B","sessionToken":"C","#
            + #""expiration":"2026-01-02T04:04:05Z","new":1},"roleArn":"\#(SessionRequest.role)"}]}"#
        let nameless = body.replacing("roleArn", with: "other")
        #expect(throws: RolesAnywhereError.self) {
            try SessionCredentials(answer: Array(nameless.utf8), to: .example(), at: TestAuthority.now)
        }
        let credentials = try SessionCredentials(answer: Array(body.utf8), to: .example(), at: TestAuthority.now)
        #expect(credentials.roleARN == SessionRequest.role)
        #expect(credentials.accountID == "123456789012")
        #expect(credentials.assumedRoleARN == nil)
        #expect(credentials.subjectARN == nil)
    }

    @Test(arguments: [
        ("\"credentialSet\":", "\"other\":", "lacks credentialSet"),
        ("\"accessKeyId\":", "\"other\":", "lacks credentialSet[0].credentials.accessKeyId"),
        ("\"secretAccessKey\":", "\"other\":", "lacks credentialSet[0].credentials.secretAccessKey"),
        ("\"sessionToken\":", "\"other\":", "lacks credentialSet[0].credentials.sessionToken"),
        ("\"expiration\":", "\"other\":", "lacks credentialSet[0].credentials.expiration"),
        ("\"credentials\":", "\"other\":", "lacks credentialSet[0].credentials"),
        ("\"ASIAEXAMPLE\"", "\"\"", "no usable accessKeyId"),
        ("\"ASIAEXAMPLE\"", "\"a\\nb\"", "no usable accessKeyId"),
        ("\"ASIAEXAMPLE\"", "17", "wrong kind of value for credentialSet[0].credentials.accessKeyId"),
        ("\"ASIAEXAMPLE\"", "null", "accessKeyId"),
        ("2026-01-02T04:04:05Z", "tomorrow", "expiration"),
        ("2026-01-02T04:04:05Z", "", "expiration"),
        ("{\"credentialSet\"", "<html>{\"credentialSet\"", "not the JSON object"),
        ("}]", "}", "not the JSON object"),
    ])
    func `an answer that lacks something is refused with the member named, and no secret`(
        part: String, replacement: String, what: String
    ) throws {
        let body = String(decoding: HTTPResponse.credentials().body, as: UTF8.self)
        #expect(body.contains(part))
        let error = try #require(throws: RolesAnywhereError.self) {
            let answer = Array(body.replacing(part, with: replacement).utf8)
            _ = try SessionCredentials(answer: answer, to: .example(), at: TestAuthority.now)
        }
        #expect(error.code == .malformedAnswer)
        #expect(error.message.contains(what))
        var dumped = ""
        dump(error, to: &dumped)
        #expect(!dumped.contains("SECRET"))
    }

    @Test(arguments: ["", "[]", "null", "7", "{}", #"{"credentialSet":[]}"#, #"{"credentialSet":{}}"#])
    func `an answer of another shape is refused`(body: String) throws {
        let error = try #require(throws: RolesAnywhereError.self) {
            try SessionCredentials(answer: Array(body.utf8), to: .example(), at: TestAuthority.now)
        }
        #expect(error.code == .malformedAnswer)
    }

    @Test(arguments: [
        "arn:aws:iam::999999999999:role/service/App+Test@one=1", "arn:aws:iam::123456789012:role/Admin",
        "arn:aws:iam::123456789012:role/App+Test@one=1", "arn:aws:iam::123456789012:role/other/App+Test@one=1",
        "arn:aws-cn:iam::123456789012:role/service/App+Test@one=1", "App+Test@one=1", "",
        "arn:aws:iam::123456789012:role/service/App+Test@one=1\\n",
    ])
    func `W8: the session of another role is refused`(role: String) throws {
        let error = #expect(throws: RolesAnywhereError.self) { try credentials(.credentials(role: role)) }
        #expect(error?.code == .malformedAnswer)
        #expect(error?.message.contains(SessionRequest.role) == true)
        #expect(error?.message.contains("SECRET") == false)
    }

    @Test(arguments: [
        "arn:aws:sts::999999999999:assumed-role/App+Test@one=1/1a2b",
        "arn:aws:sts::123456789012:assumed-role/Admin/1a2b",
        "arn:aws:sts::123456789012:assumed-role/service/App+Test@one=1/1a2b",
        "arn:aws:sts::123456789012:assumed-role/App+Test@one=1/",
        "arn:aws:sts::123456789012:assumed-role/App+Test@one=1",
        "arn:aws:sts::123456789012:assumed-role/App+Test@one=1/a/b", "arn:aws:iam::123456789012:user/alice", "",
        "arn:aws:sts::123456789012:assumed-role/App+Test@one=1/a\\u001b[2J",
    ])
    func `W8: a session of another account or name is refused`(session: String) throws {
        let error = #expect(throws: RolesAnywhereError.self) { try credentials(.credentials(session: session)) }
        #expect(error?.code == .malformedAnswer)
    }

    @Test(arguments: [
        "arn:aws:rolesanywhere:us-east-1:999999999999:subject/41a3",
        "arn:aws:rolesanywhere:eu-west-1:123456789012:subject/41a3",
        "arn:aws:rolesanywhere:us-east-1:123456789012:profile/41a3", "41a3",
    ])
    func `W8: the subject of another account is refused`(subject: String) throws {
        let error = #expect(throws: RolesAnywhereError.self) { try credentials(.credentials(subject: subject)) }
        #expect(error?.code == .malformedAnswer)
    }

    @Test(arguments: [
        ("2026-01-02T03:04:06Z", true), ("2026-01-02T15:04:05Z", true), ("2026-01-02T15:09:05Z", true),
        ("2026-01-02T03:04:05Z", false), ("2026-01-02T15:09:06Z", false), ("2020-01-01T00:00:00Z", false),
        ("9999-12-31T23:59:59Z", false), ("0000-01-01T00:00:00Z", false),
    ])
    func `W8: a session expires between now and 12 hours and five minutes`(expiration: String, isGood: Bool) throws {
        let outcome = Result { try credentials(.credentials(expiration: expiration)) }
        switch outcome {
        case .success: #expect(isGood)
        case .failure(let error):
            #expect(!isGood)
            let error = try #require(error as? RolesAnywhereError)
            #expect(error.code == .malformedAnswer)
            #expect(error.message.contains(expiration) && error.message.contains("2026-01-02T03:04:05Z"))
        }
    }

    @Test func `no description shows a secret`() throws {
        let credentials = try credentials()
        var texts = [
            "\(credentials)", String(reflecting: credentials), "\([credentials])", "\(Optional(credentials) as Any)",
        ]
        for value in [credentials as Any, [credentials], ["key": credentials], HTTPResponse.credentials()] {
            var dumped = ""
            dump(value, to: &dumped)
            texts += [dumped, "\(value)", String(reflecting: value)]
        }
        for text in texts {
            #expect(!text.contains("SECRET"))
            #expect(text.contains("redacted") || text.contains("bytes>"))
        }
    }
}
