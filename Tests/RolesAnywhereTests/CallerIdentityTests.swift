// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import Synchronization
import Testing

@testable import RolesAnywhere

extension HTTPResponse {
    /// An answer of STS: XML as the service writes it.
    static func callerIdentity(
        _ result: String = """
        <Arn>arn:aws:sts::123456789012:assumed-role/App/1a2b</Arn>
            <UserId>AROAEXAMPLE:1a2b</UserId>
            <Account>123456789012</Account>
        """
    ) -> HTTPResponse {
        HTTPResponse(
            status: 200,
            headers: ["Content-Type": "text/xml", "Date": "Fri, 02 Jan 2026 03:04:05 GMT"],
            body: Array(
                """
                <GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
                  <GetCallerIdentityResult>
                    \(result)
                  </GetCallerIdentityResult>
                  <ResponseMetadata>
                    <RequestId>01234567-89ab-cdef</RequestId>
                  </ResponseMetadata>
                </GetCallerIdentityResponse>

                """.utf8
            )
        )
    }

    /// A refusal of STS.
    static func callerFailure(
        _ status: Int, _ code: String, _ text: String, headers: HTTPHeaders = [:]
    ) -> HTTPResponse {
        HTTPResponse(
            status: status,
            headers: headers,
            body: Array(
                """
                <ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
                  <Error>
                    <Type>Sender</Type>
                    <Code>\(code)</Code>
                    <Message>\(text)</Message>
                  </Error>
                  <RequestId>fedc-ba98</RequestId>
                </ErrorResponse>
                """.utf8
            )
        )
    }
}

struct CallerIdentityTests {
    private func credentials(_ vector: CallerIdentityVector = .virginia) throws -> SessionCredentials {
        SessionCredentials(
            accessKeyID: vector.accessKeyID, secretAccessKey: vector.secretAccessKey, sessionToken: vector.sessionToken,
            expiration: TestAuthority.now.addingTimeInterval(3600),
            role: try AmazonResourceName(parsing: SessionRequest.role))
    }

    private func client(
        _ transport: ScriptedTransport,
        _ dependencies: DrivenSurroundings = DrivenSurroundings(),
        attempts: Int = 4,
        observer: @escaping @Sendable (SessionEvent) -> Void = { _ in }
    ) throws -> CallerIdentityClient {
        CallerIdentityClient(
            endpoint: try Endpoint(region: "us-east-1", service: .securityTokenService), region: "us-east-1",
            transport: transport,
            retryPolicy: RetryPolicy(attempts: attempts, firstDelay: .seconds(1), longestDelay: .seconds(20)),
            dependencies: dependencies.dependencies, observer: observer)
    }

    // MARK: Requests

    @Test(arguments: CallerIdentityVector.all)
    func `a request is what botocore sends, signed as botocore signs it`(_ vector: CallerIdentityVector) throws {
        let endpoint =
            try vector.endpoint.map { try Endpoint($0) }
            ?? Endpoint(region: vector.region, service: .securityTokenService)
        let client = CallerIdentityClient(
            endpoint: endpoint, region: vector.region, transport: ScriptedTransport(),
            dependencies: DrivenSurroundings().dependencies)
        let signed = try client.signedRequest(with: credentials(vector))
        #expect(signed.request.method == "POST")
        #expect(signed.request.url.description + (signed.request.url.path.isEmpty ? "/" : "") == vector.url)
        #expect(signed.request.headers["Content-Type"] == vector.contentType)
        #expect(signed.request.headers["X-Amz-Security-Token"] == vector.sessionToken)
        #expect(String(decoding: signed.request.body, as: UTF8.self) == vector.body)
        #expect(signed.canonicalRequest == vector.canonicalRequest)
        #expect(signed.stringToSign == vector.stringToSign)
        #expect(signed.request.headers["Authorization"] == vector.authorization)
    }

    @Test func `no description of a request, and nothing the observer sees, shows a secret`() throws {
        let seen = Mutex("")
        let transport = ScriptedTransport(.callerFailure(503, "ServiceUnavailable", "busy"), .callerIdentity())
        let client = try client(transport) { event in
            var text = "\(event) \(String(reflecting: event))"
            dump(event, to: &text)
            seen.withLock { $0 += text }
        }
        let credentials = try credentials()
        _ = try client.callerIdentity(of: credentials)
        let text = seen.withLock { $0 }
        #expect(text.contains("<redacted>"))
        #expect(!text.contains(credentials.sessionToken))
        #expect(!text.contains(credentials.secretAccessKey))
        #expect(!text.contains("Signature="))
    }

    // MARK: Answers

    @Test func `the caller is read`() throws {
        let caller = try client(ScriptedTransport(.callerIdentity())).callerIdentity(of: credentials())
        #expect(
            caller
                == CallerIdentity(
                    account: "123456789012", arn: "arn:aws:sts::123456789012:assumed-role/App/1a2b",
                    userID: "AROAEXAMPLE:1a2b"))
    }

    private static let arn = "<Arn>arn:aws:iam::123456789012:root</Arn>"

    @Test(arguments: [
        ("", "Account"),
        ("\(arn)<UserId>A</UserId>", "Account"),
        ("\(arn)<UserId>A</UserId><Account>12345678901</Account>", "Account"),
        ("\(arn)<UserId>A</UserId><Account>12345678901x</Account>", "Account"),
        ("\(arn)<UserId>A</UserId><Account>123456789012</Account><Account>123456789012</Account>", "Account"),
        ("<Arn>role</Arn><UserId>A</UserId><Account>123456789012</Account>", "Arn"),
        ("<Arn>arn:&#27;[2J</Arn><UserId>A</UserId><Account>123456789012</Account>", "Arn"),
        ("<Arn><b>arn:x</b></Arn><UserId>A</UserId><Account>123456789012</Account>", "Arn"),
        ("\(arn)<UserId/><Account>123456789012</Account>", "UserId"),
    ])
    func `an answer that lacks a part is refused`(_ result: String, _ part: String) throws {
        let transport = ScriptedTransport(.callerIdentity(result), .callerIdentity())
        let error = try #require(throws: RolesAnywhereError.self) {
            try client(transport).callerIdentity(of: credentials())
        }
        #expect(error.code == .malformedAnswer)
        #expect(error.message == "the service's answer has no usable \(part)")
        #expect(transport.requests.count == 1)
    }

    @Test(arguments: [
        "", "{}", "<html><body>hello</body></html>", "<GetCallerIdentityResponse/>",
        "<GetCallerIdentityResponse><GetCallerIdentityResult>",
        "<AssumeRoleResponse><GetCallerIdentityResult/></AssumeRoleResponse>",
    ])
    func `what is not the answer is refused`(_ text: String) throws {
        let transport = ScriptedTransport(HTTPResponse(status: 200, body: Array(text.utf8)))
        let error = try #require(throws: RolesAnywhereError.self) {
            try client(transport).callerIdentity(of: credentials())
        }
        #expect(error.code == .malformedAnswer)
        #expect(error.message == "the service's answer is not the answer to GetCallerIdentity that it should be")
    }

    // MARK: Errors

    @Test(arguments: [
        (403, "ExpiredToken", "The security token included in the request is expired", "the credentials have ended"),
        (403, "InvalidClientTokenId", "The security token is invalid.", "does not know the credentials"),
        (403, "SignatureDoesNotMatch", "The request signature does not match", "do not belong together"),
        (403, "RegionDisabledException", "STS is not activated", "activate it in IAM"),
    ])
    func `a refusal has the service's words and is not tried again`(
        status: Int, code: String, text: String, cause: String
    ) throws {
        let transport = ScriptedTransport(.callerFailure(status, code, text), .callerIdentity())
        let error = try #require(throws: RolesAnywhereError.self) {
            try client(transport).callerIdentity(of: credentials())
        }
        #expect(error.code == .denied)
        #expect(error.isTransient == false)
        #expect(error.message == "the service refused: \(code): \(text) (HTTP \(status), request fedc-ba98)")
        #expect(error.hint?.contains(cause) == true)
        #expect(error.service?.code == code)
        #expect(error.service?.text == text)
        #expect(transport.requests.count == 1)
    }

    @Test func `what may pass is tried again, signed afresh, with waits that grow`() throws {
        let transport = ScriptedTransport([
            .success(.callerFailure(400, "Throttling", "Rate exceeded")),
            .success(.callerFailure(500, "InternalFailure", "oops")),
            .failure(RolesAnywhereError(.unreachable, "no connection", isTransient: true)),
            .success(.callerIdentity()),
        ])
        let dependencies = DrivenSurroundings()
        _ = try client(transport, dependencies).callerIdentity(of: credentials())
        #expect(dependencies.slept == [.seconds(0.5), .seconds(1), .seconds(2)])
        #expect(transport.requests.last?.headers["X-Amz-Date"] == "20260102T030408Z")
        #expect(Set(transport.requests.map { $0.headers["Authorization"] }).count >= 3)
    }

    @Test(arguments: [(400, "Throttling"), (429, "TooManyRequests"), (503, "ServiceUnavailable")])
    func `after the last attempt the last failure is thrown`(status: Int, code: String) throws {
        let failure = HTTPResponse.callerFailure(status, code, "slow down")
        let transport = ScriptedTransport(failure, failure, .callerIdentity())
        let error = try #require(throws: RolesAnywhereError.self) {
            try client(transport, attempts: 2).callerIdentity(of: credentials())
        }
        #expect(error.code == .unavailable)
        #expect(error.isTransient)
        #expect(error.message.contains("2 times: \(code): slow down"))
        #expect(transport.requests.count == 2)
    }

    @Test func `a clock that is too far off is put right once`() throws {
        let refusal = HTTPResponse.callerFailure(
            403, "SignatureDoesNotMatch", "Signature expired", headers: ["Date": "Fri, 02 Jan 2026 03:44:05 GMT"])
        let transport = ScriptedTransport(refusal, .callerIdentity())
        let client = try client(transport, attempts: 1)
        _ = try client.callerIdentity(of: credentials())
        #expect(client.clockCorrection == 2400)
        #expect(transport.requests.map { $0.headers["X-Amz-Date"] } == ["20260102T030405Z", "20260102T034405Z"])
        let stubborn = ScriptedTransport(refusal, refusal, .callerIdentity())
        #expect(throws: RolesAnywhereError.self) { try self.client(stubborn).callerIdentity(of: credentials()) }
        #expect(stubborn.requests.count == 2)
    }

    // MARK: XML

    @Test(arguments: [
        ("<a/>", ""), ("<a></a>", ""), ("<a  b='1' c=\"2>\" />", ""), ("<a>x</a>", "x"), ("<a>x</a >\n", "x"),
        ("<?xml version=\"1.0\"?>\n<a>x</a>", "x"), ("<a>&lt;&amp;&gt;&quot;&apos;</a>", "<&>\"'"),
        ("<a>&#65;&#x1F600;</a>", "A\u{1f600}"), ("<n:a>é</n:a>", "é"),
    ])
    func `an element is read`(_ document: String, _ text: String) throws {
        let element = try #require(XMLElement(Array(document.utf8)))
        #expect(element.text == text)
        #expect(element.children.isEmpty)
    }

    @Test(arguments: [
        "", " ", "x", "<", "<a", "<a>", "<a/><b/>", "<a></b>", "<a>x<b/></a>", "<a/>x", "<1/>", "<a b/>", "<a b=c/>",
        "<a b='x/>", "<a b='1'c='2'/>", "<a b='<'/>", "<a>&</a>", "<a>&x;</a>", "<a>&#;</a>", "<a>&#xD800;</a>",
        "<a>&#0;</a>", "<a>&#-1;</a>", "<a><!-- c --></a>", "<a><![CDATA[x]]></a>", "<a><?p x?></a>",
        "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", String(repeating: "<a>", count: 100_000),
        "<a>" + String(repeating: "x", count: 70_000) + "</a>",
        String(repeating: "<a>", count: 17) + String(repeating: "</a>", count: 17),
    ])
    func `what is more than elements and text is refused`(_ document: String) {
        #expect(XMLElement(Array(document.utf8)) == nil)
    }

    @Test func `what is not UTF-8 is refused`() {
        #expect(XMLElement(Array("<a>".utf8) + [0xff] + Array("</a>".utf8)) == nil)
    }
}
