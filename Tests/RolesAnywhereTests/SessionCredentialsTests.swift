// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Testing

@testable import RolesAnywhere

struct SessionCredentialsTests {
    private func credentials(_ response: HTTPResponse = .credentials()) throws -> SessionCredentials {
        try SessionCredentials(answer: response.body, to: .example())
    }

    @Test(arguments: ["2026-01-02T04:04:05Z", "2026-01-02T04:04:05.000Z", "2026-01-02T04:04:05.123456Z"])
    func `a successful answer is read`(expiration: String) throws {
        let credentials = try credentials(.credentials(expiration: expiration))
        #expect(credentials.accessKeyID == "ASIAEXAMPLE")
        #expect(credentials.secretAccessKey == HTTPResponse.secretKey)
        #expect(credentials.sessionToken == HTTPResponse.token)
        #expect(credentials.expiration == TestAuthority.now.addingTimeInterval(3600))
        #expect(credentials.roleARN == SessionRequest.role)
        #expect(credentials.assumedRoleARN == "arn:aws:sts::123456789012:assumed-role/App/1a2b")
        #expect(credentials.subjectARN == "arn:aws:rolesanywhere:us-east-1:123456789012:subject/41a3")
        #expect(credentials.sourceIdentity == "CN=client.example")
        #expect(credentials.accountID == "123456789012")
    }

    @Test func `what is not about the keys may be missing`() throws {
        let body =
            #"{"credentialSet":[{"credentials":{"accessKeyId":"A","secretAccessKey":"B","sessionToken":"C","#
            + #""expiration":"2026-01-02T04:04:05Z","new":1}}]}"#
        let credentials = try SessionCredentials(answer: Array(body.utf8), to: .example())
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
        part: String,
        replacement: String,
        what: String
    ) throws {
        let body = String(decoding: HTTPResponse.credentials().body, as: UTF8.self)
        #expect(body.contains(part))
        let error = try #require(throws: RolesAnywhereError.self) {
            try SessionCredentials(answer: Array(body.replacing(part, with: replacement).utf8), to: .example())
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
            try SessionCredentials(answer: Array(body.utf8), to: .example())
        }
        #expect(error.code == .malformedAnswer)
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
