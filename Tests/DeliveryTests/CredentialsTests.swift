// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SystemSupport
import Testing

@testable import Delivery

extension Credentials {
    /// Credentials for tests: an hour from 2026-01-02T03:04:05Z.
    static func example(
        secret: String = "a-SECRET", token: String = "t-SECRET",
        issued: Date = Date(timeIntervalSince1970: 1_767_323_045), lifetime: Double = 3600
    ) -> Credentials {
        Credentials(
            accessKeyID: "ASIAEXAMPLE", secretAccessKey: secret, sessionToken: token, issued: issued,
            expiration: issued.addingTimeInterval(lifetime), accountID: "123456789012",
            roleARN: "arn:aws:iam::123456789012:role/path/App",
            assumedRoleARN: "arn:aws:sts::123456789012:assumed-role/App/1a2b")
    }
}

@Suite struct CredentialsTests {
    @Test func `credential_process gets one object of version 1`() throws {
        #expect(
            try Credentials.example().text(as: .process)
                == #"{"Version":1,"AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"a-SECRET","SessionToken":"t-SECRET","#
                + #""Expiration":"2026-01-02T04:04:05Z","AccountId":"123456789012"}"#)
    }

    @Test func `a POSIX shell gets quoted exports`() throws {
        #expect(
            try Credentials.example(secret: "it's $HOME", token: "`x`")
                .text(as: .env, region: [("AWS_REGION", "eu-west-1")]) == """
                    unset AWS_SECURITY_TOKEN
                    unset AWS_ACCESS_KEY
                    unset AWS_SECRET_KEY
                    unset AWS_PROFILE
                    unset AWS_DEFAULT_PROFILE
                    unset AWS_ROLE_ARN
                    unset AWS_ROLE_SESSION_NAME
                    unset AWS_WEB_IDENTITY_TOKEN_FILE
                    unset AWS_CREDENTIAL_FILE
                    unset AWS_BEARER_TOKEN_BEDROCK
                    export AWS_ACCESS_KEY_ID=ASIAEXAMPLE
                    export AWS_SECRET_ACCESS_KEY='it'\\''s $HOME'
                    export AWS_SESSION_TOKEN='`x`'
                    export AWS_CREDENTIAL_EXPIRATION=2026-01-02T04:04:05Z
                    export AWS_ACCOUNT_ID=123456789012
                    export AWS_REGION=eu-west-1
                    """
        )
    }

    @Test func `fish gets its own quotes`() throws {
        let text = try Credentials.example(secret: "it's \\ $HOME").text(as: .fish)
        #expect(text.contains("set -e AWS_SECURITY_TOKEN\n"))
        #expect(text.contains("set -gx AWS_SECRET_ACCESS_KEY 'it\\'s \\\\ $HOME'\n"))
    }

    @Test func `PowerShell gets its own quotes`() throws {
        let text = try Credentials.example(secret: "it's $HOME").text(as: .powershell)
        #expect(text.contains("$Env:AWS_SECURITY_TOKEN = $null\n"))
        #expect(text.contains("$Env:AWS_SECRET_ACCESS_KEY = 'it''s $HOME'\n"))
    }

    @Test func `a credentials file gets a section`() throws {
        #expect(
            try Credentials.example().text(as: .ini, section: "web") == """
                [web]
                aws_access_key_id = ASIAEXAMPLE
                aws_secret_access_key = a-SECRET
                aws_session_token = t-SECRET
                """
        )
    }

    @Test func `the fuller JSON has everything that the service said`() throws {
        let text = try Credentials.example().text(as: .json)
        let members = try JSONDecoder().decode([String: String].self, from: Data(text.utf8))
        #expect(
            members == [
                "accessKeyId": "ASIAEXAMPLE", "secretAccessKey": "a-SECRET", "sessionToken": "t-SECRET",
                "expiration": "2026-01-02T04:04:05Z", "accountId": "123456789012",
                "roleArn": "arn:aws:iam::123456789012:role/path/App",
                "assumedRoleArn": "arn:aws:sts::123456789012:assumed-role/App/1a2b",
            ]
        )
    }

    @Test(arguments: ["x\n[evil]", "x\ry", "x]\n[evil", "a]b", "", "x # y", "DEFAULT", "\u{1b}[2J", "x\u{2028}y"])
    func `W17: a name that no section can have is refused, and no secret is told`(name: String) throws {
        let error = #expect(throws: DeliveryError.self) { try Credentials.example().text(as: .ini, section: name) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains("SECRET") == false)
        #expect(error?.message.unicodeScalars.contains { $0.isControl } == false)
    }

    @Test(arguments: ["'\u{301}; touch PWNED; '\u{301}", "\r\n", "\u{2019}; x", "a'\u{200d}'b"])
    func `B4: quotation marks are found under whatever follows them`(secret: String) throws {
        let credentials = Credentials.example(secret: secret)
        for (format, name, quoted) in [
            (CredentialsFormat.env, "export AWS_SECRET_ACCESS_KEY=", Quoting.shell(secret)),
            (.fish, "set -gx AWS_SECRET_ACCESS_KEY ", Quoting.fish(secret)),
            (.powershell, "$Env:AWS_SECRET_ACCESS_KEY = ", Quoting.powerShell(secret)),
        ] { #expect(try Array(credentials.text(as: format).utf8).contains(Array("\n\(name)\(quoted)\n".utf8))) }
        #expect(throws: DeliveryError.self) {
            try Credentials.example(secret: "x\n[evil]").text(as: .ini)
        }
    }

    @Test func `no description shows a secret`() {
        let credentials = Credentials.example()
        var texts = ["\(credentials)", String(reflecting: credentials), "\([credentials])"]
        var dumped = ""
        dump(["key": credentials], to: &dumped)
        texts.append(dumped)
        for text in texts {
            #expect(!text.contains("SECRET"))
            #expect(text.contains("redacted"))
        }
    }

    @Test func `the role's name has no path`() {
        #expect(Credentials.example().roleName == "App")
    }
}
