// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPServer
import Synchronization
import Testing

@testable import Delivery

@Suite struct CredentialServerTests {
    private let clock = DrivenClock()
    private let service: ScriptedService
    private let backup: ScriptedService
    private let keepers: [CredentialRefresher]
    private let server: CredentialServer
    private static let token = "a-token-of-the-container-endpoint"
    private static let rolePath = "/latest/meta-data/iam/security-credentials/"

    init() {
        let clock = clock
        service = ScriptedService(clock)
        backup = ScriptedService(clock)
        keepers = [("web", service), ("backup 2", backup)].map { name, service in
            CredentialRefresher(name: name, source: service.source, dependencies: clock.dependencies())
        }
        var options = CredentialServer.Options()
        options.hosts = ["pki.internal"]
        options.servesMetadata = true
        options.region = "eu-central-1"
        server = CredentialServer(
            keepers: keepers,
            options: options,
            authorization: { Self.token },
            now: { clock.now },
            randomBytes: { count in (0..<count).map { UInt8($0) } }
        )
    }

    private func fill() throws { for keeper in keepers { try keeper.refresh() } }

    private func request(
        _ method: HTTPMethod, _ target: String, _ headers: [(String, String)] = [], host: String? = "127.0.0.1:9911",
        isLocal: Bool = true
    ) -> HTTPRequest {
        var all = HTTPHeaders()
        if let host { all.append("Host", host) }
        for (name, value) in headers { all.append(name, value) }
        return HTTPRequest(method: method, target: target, headers: all, isLocal: isLocal, arrival: .now)
    }

    /// The answer, which has to be there at once.
    private func ask(
        _ method: HTTPMethod, _ target: String, _ headers: [(String, String)] = [], host: String? = "127.0.0.1:9911",
        isLocal: Bool = true
    ) throws -> (status: Int, text: String, headers: HTTPHeaders) {
        let answer = server.answer(request(method, target, headers, host: host, isLocal: isLocal))
        let response = try #require(answer.immediateResponse)
        return (response.status.code, String(decoding: response.bodyBytes ?? [], as: UTF8.self), response.headers)
    }

    private func session(seconds: String = "21600") throws -> String {
        let answer = try ask(.put, "/latest/api/token", [("X-aws-ec2-metadata-token-ttl-seconds", seconds)])
        #expect(answer.status == 200)
        #expect(answer.headers["X-Aws-Ec2-Metadata-Token-Ttl-Seconds"] == seconds)
        #expect(answer.headers["Content-Type"] == "text/plain")
        return answer.text
    }

    private func read(_ path: String, _ token: String) throws -> (status: Int, text: String, headers: HTTPHeaders) {
        try ask(.get, path, [("x-aws-EC2-metadata-token", token)])
    }

    @Test func `a token leads to the role, and the role to its credentials`() throws {
        try fill()
        let token = try session(seconds: "60")
        for path in [Self.rolePath, String(Self.rolePath.dropLast())] {
            let role = try read(path, token)
            #expect(role.status == 200)
            #expect(role.text == "App")
            #expect(role.headers["X-Aws-Ec2-Metadata-Token-Ttl-Seconds"] == "60")
        }
        clock.advance(20)
        let answer = try read("\(Self.rolePath)App", token)
        #expect(answer.status == 200)
        #expect(answer.headers["Content-Type"] == "application/json")
        #expect(answer.headers["X-Aws-Ec2-Metadata-Token-Ttl-Seconds"] == "40")
        #expect(
            answer.text
                == #"{"Code":"Success","LastUpdated":"2026-01-02T03:04:05Z","Type":"AWS-HMAC","AccessKeyId":"ASIA1","#
                + #""SecretAccessKey":"a-SECRET","Token":"t-SECRET","Expiration":"2026-01-02T04:04:05Z"}"#)
    }

    @Test(arguments: ["", "0", "21601", "-1", "+60", "6e1", "60s", "6 0", "0x3c", "99999999999999999999", "1,2", "６０"])
    func `a time that is none makes no token`(seconds: String) throws {
        let answer = try ask(.put, "/latest/api/token", [("X-aws-ec2-metadata-token-ttl-seconds", seconds)])
        #expect(answer.status == 400)
        #expect(!answer.text.contains("=="))
    }

    @Test func `a time that is missing or given twice makes no token`() throws {
        #expect(try ask(.put, "/latest/api/token").status == 400)
        let twice = [("X-aws-ec2-metadata-token-ttl-seconds", "60"), ("x-aws-ec2-metadata-token-ttl-seconds", "60")]
        #expect(try ask(.put, "/latest/api/token", twice).status == 400)
    }

    @Test func `without a token, with another's, an altered or an expired one there is nothing`() throws {
        try fill()
        let token = try session(seconds: "60")
        let path = "\(Self.rolePath)App"
        #expect(try ask(.get, path).status == 401)
        #expect(try read(path, "").status == 401)
        #expect(try read(path, "rubbish").status == 401)
        for index in token.indices {
            var altered = token
            altered.replaceSubrange(index...index, with: [token[index] == "A" ? "B" : "A"])
            #expect(try read(path, altered).status == 401)
        }
        let stranger = MetadataToken(randomBytes: { count in [UInt8](repeating: 7, count: count) })
        #expect(try read(path, stranger.make(seconds: 60, at: clock.now)).status == 401)
        #expect(
            try ask(.get, path, [("X-aws-ec2-metadata-token", token), ("X-aws-ec2-metadata-token", token)]).status
                == 401)
        #expect(try read(path, token).status == 200)
        clock.advance(60)
        #expect(try read(path, token).status == 401)
    }

    @Test(arguments: ["app", "App/", "App2", "", "App%20", "web", "%41pp", "../App"])
    func `another role is not there`(role: String) throws {
        try fill()
        let answer = try read("\(Self.rolePath)\(role)", try session())
        #expect(answer.status == (["", "App/"].contains(role) ? 200 : 404))
        if role == "App/" { return }
        #expect(!answer.text.contains("SECRET"))
    }

    @Test(arguments: ["/latest", "//latest", "////latest"], ["", "/"])
    func `F14: slashes that clients add at either end do not matter`(start: String, end: String) throws {
        try fill()
        let seconds = [("X-aws-ec2-metadata-token-ttl-seconds", "60")]
        let token = try ask(.put, "\(start)/api/token\(end)", seconds)
        #expect(token.status == 200)
        let role = "\(start)/meta-data/iam/security-credentials"
        #expect(try read(role + end, token.text).text == "App")
        #expect(try read("\(role)/App\(end)", token.text).text.contains("a-SECRET"))
        let container = try ask(.get, "//credentials/web\(end)", [("Authorization", Self.token)])
        #expect(container.status == 200)
        #expect(try ask(.get, "//healthz\(end)").status == 200)
    }

    @Test func `D6: the region is that of the first profile`() throws {
        let token = try session()
        #expect(try read("/latest/meta-data/placement/region", token).text == "eu-central-1")
        let document = try read("/latest/dynamic/instance-identity/document", token)
        #expect(document.text == #"{"region":"eu-central-1"}"#)
        #expect(document.headers["Content-Type"] == "application/json")
        #expect(try ask(.get, "/latest/meta-data/placement/region").status == 401)
    }

    @Test(arguments: [
        "/latest/", "/latest/meta-data/", "/latest/meta-data/iam/security-credentialsx", "/latest/user-data",
    ])
    func `the rest of the metadata service is not there`(path: String) throws {
        #expect(try read(path, try session()).status == 404)
    }

    @Test func `what came through a proxy is refused`() throws {
        try fill()
        let forwarded = [("X-Forwarded-For", "203.0.113.9"), ("X-aws-ec2-metadata-token-ttl-seconds", "60")]
        #expect(try ask(.put, "/latest/api/token", forwarded).status == 403)
        #expect(try ask(.get, "/healthz", forwarded).status == 403)
    }

    @Test(arguments: [
        ("127.0.0.1:9911", true), ("127.0.0.1", true), ("localhost", true), ("LOCALHOST:80", true),
        ("[::1]:9911", true),
        ("[fd00:ec2::254]", true), ("169.254.169.254", true), ("192.0.2.7:9911", true), ("pki.internal:9911", true),
        ("PKI.internal", true), ("evil.example", false), ("evil.example:9911", false),
        ("localhost.evil.example", false),
        ("127.0.0.1.evil.example", false), ("127.0.0.1:x", false), ("127.0.0.1:", false), ("1.2.3", false),
        ("1.2.3.256", false), ("[::1", false), ("[evil.example]", false), ("[::1]x", false), ("", false),
        (":80", false),
        ("localhost@evil.example", false), ("::1", false), ("[1:2]", false), ("127.0.0.1:65536", false),
    ])
    func `only requests for this machine are answered`(host: String, isAnswered: Bool) throws {
        try fill()
        #expect(try ask(.get, "/healthz", host: host).status == (isAnswered ? 200 : 403))
    }

    @Test func `a request that names no host is refused`() throws {
        #expect(try ask(.get, "/healthz", host: nil).status == 403)
    }

    @Test func `the container endpoint gives each profile's credentials to whoever has the token`() throws {
        try fill()
        let header = [("Authorization", Self.token)]
        let answer = try ask(.get, "/credentials/web", header)
        #expect(answer.status == 200)
        #expect(
            answer.text == #"{"AccessKeyId":"ASIA1","SecretAccessKey":"a-SECRET","Token":"t-SECRET","#
                + #""Expiration":"2026-01-02T04:04:05Z","AccountId":"123456789012","#
                + #""RoleArn":"arn:aws:iam::123456789012:role/path/App"}"#)
        #expect(try ask(.get, "/credentials/backup%202", header).status == 200)
        #expect(try ask(.get, "/credentials/other", header).status == 404)
        #expect(try ask(.get, "/credentials/", header).status == 404)
        #expect(try ask(.get, "/credentials/web/x", header).status == 404)
        #expect(try ask(.get, "/credentials/%zz", header).status == 404)
        #expect(try ask(.get, "/credentials/web", header, isLocal: false).status == 200)
        for wrong in ["", "Bearer \(Self.token)", "\(Self.token)x", String(Self.token.dropLast())] {
            let answer = try ask(.get, "/credentials/web", [("Authorization", wrong)])
            #expect(answer.status == 401)
            #expect(!answer.text.contains("SECRET") && !answer.text.contains(Self.token))
        }
        #expect(try ask(.get, "/credentials/web").status == 401)
        #expect(try ask(.get, "/credentials/web", header + header).status == 401)
        // Whether a name exists is not told to whoever has no token.
        #expect(try ask(.get, "/credentials/other").status == 401)
    }

    @Test func `the metadata service and the figures are for this machine`() throws {
        try fill()
        let seconds = [("X-aws-ec2-metadata-token-ttl-seconds", "60")]
        #expect(try ask(.put, "/latest/api/token", seconds, isLocal: false).status == 403)
        #expect(try ask(.get, "/metrics", isLocal: false).status == 401)
        #expect(try ask(.get, "/metrics", [("Authorization", Self.token)], isLocal: false).status == 200)
        #expect(try ask(.get, "/healthz", isLocal: false).status == 200)
    }

    @Test(arguments: [
        (HTTPMethod.get, "/latest/api/token", "PUT"), (.post, "/latest/api/token", "PUT"),
        (.put, "/latest/meta-data/iam/security-credentials/", "GET, HEAD"), (.post, "/credentials/web", "GET, HEAD"),
        (.delete, "/healthz", "GET, HEAD"), (.put, "/metrics", "GET, HEAD"),
    ])
    func `another method is refused, and the right one named`(method: HTTPMethod, path: String, allowed: String) throws
    {
        let answer = try ask(method, path)
        #expect(answer.status == 405)
        #expect(answer.headers["Allow"] == allowed)
    }

    @Test func `health ends with the credentials, and the reason is told`() throws {
        try fill()
        let token = try session()
        service.fail(true)
        clock.advance(3599)
        #expect(throws: ScriptedService.Failure.self) { try keepers[0].refresh() }
        #expect(try read("\(Self.rolePath)App", token).status == 200)
        #expect(try ask(.get, "/healthz").status == 200)
        clock.advance(1)
        let health = try ask(.get, "/healthz")
        #expect(health.status == 503)
        #expect(health.text.contains("web: no valid credentials: Failure()"))
        #expect(health.text.contains("backup 2: no valid credentials"))
    }

    @Test func `the figures are Prometheus's text`() throws {
        try fill()
        backup.fail(true)
        try? keepers[1].refresh()
        clock.advance(100)
        let answer = try ask(.get, "/metrics")
        #expect(answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8")
        for line in [
            "pki_refreshes_total{profile=\"web\"} 1", "pki_refresh_failures_total{profile=\"web\"} 0",
            "pki_refresh_failures_total{profile=\"backup 2\"} 1",
            "pki_credentials_expiry_seconds{profile=\"web\"} 3500",
            "pki_certificate_expiry_seconds{profile=\"web\"} 86400", "pki_requests_total 1",
        ] { #expect(answer.text.contains("\n\(line)\n")) }
        #expect(!answer.text.contains("SECRET"))
    }
}
