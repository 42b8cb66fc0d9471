// SPDX-License-Identifier: Apache-2.0

import AWSModel
import FoundationEssentials
import Testing

@testable import RolesAnywhere

struct RevocationListClientTests {
    private static let anchor = "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/a"
    private static let other = "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/b"

    /// A page of ListCrls.
    private static func page(
        _ lists: [(identifier: String, name: String, anchor: String)], next: String? = nil
    ) -> HTTPResponse {
        let lists = lists.map {
            #"{"crlId":"\#($0.identifier)","name":"\#($0.name)","trustAnchorArn":"\#($0.anchor)","enabled":true}"#
        }
        let next = next.map { #","nextToken":"\#($0)""# } ?? ""
        return HTTPResponse(status: 200, body: Array(#"{"crls":[\#(lists.joined(separator: ","))]\#(next)}"#.utf8))
    }

    private static let done = HTTPResponse(status: 200, body: Array("{}".utf8))

    private func publish(_ transport: ScriptedTransport) throws {
        let client = RevocationListClient(
            endpoint: try Endpoint(region: "us-east-1"), region: "us-east-1", transport: transport,
            dependencies: DrivenSurroundings().dependencies)
        let credentials = SessionCredentials(
            accessKeyID: "ASIAEXAMPLE", secretAccessKey: HTTPResponse.secretKey, sessionToken: HTTPResponse.token,
            expiration: TestAuthority.now.addingTimeInterval(3600),
            role: try AmazonResourceName(parsing: SessionRequest.role))
        try client.publish(
            Array("CRL".utf8), named: "root-crl", for: AmazonResourceName(parsing: Self.anchor), with: credentials)
    }

    private func told(_ transport: ScriptedTransport) -> [String] {
        transport.requests.map { "\($0.method) \($0.url.path)?\($0.url.encodedQuery)" }
    }

    @Test func `a new list is imported and enabled`() throws {
        let transport = ScriptedTransport(Self.page([("c-1", "root-crl", Self.other)]), Self.done)
        try publish(transport)
        #expect(told(transport) == ["GET /crls?pageSize=2", "POST /crls?"])
        let body = String(decoding: transport.requests[1].body, as: UTF8.self)
        #expect(
            body == #"{"crlData":"Q1JM","enabled":true,"name":"root-crl","trustAnchorArn":"\#(Self.anchor)"}"#)
        #expect(transport.requests.allSatisfy { $0.headers["X-Amz-Security-Token"] == HTTPResponse.token })
        #expect(
            transport.requests.allSatisfy {
                $0.headers["Authorization"]?.contains("/us-east-1/rolesanywhere/aws4_request") == true
            })
    }

    @Test func `the list of the name is replaced, on whatever page it is`() throws {
        let transport = ScriptedTransport(
            Self.page([("c-1", "another", Self.anchor)], next: "a b"), Self.page([("c-2", "root-crl", Self.anchor)]),
            Self.done)
        try publish(transport)
        #expect(
            told(transport) == ["GET /crls?pageSize=2", "GET /crls?nextToken=a%20b&pageSize=2", "PATCH /crl/c-2?"])
        #expect(String(decoding: transport.requests[2].body, as: UTF8.self) == #"{"crlData":"Q1JM"}"#)
    }

    @Test(arguments: ["", "../crls", "a/b", "a%2f", "A", "ü", String(repeating: "a", count: 65)])
    func `an identifier that is not one leads nowhere`(identifier: String) throws {
        let transport = ScriptedTransport(Self.page([(identifier, "root-crl", Self.anchor)]), Self.done)
        let error = #expect(throws: RolesAnywhereError.self) { try publish(transport) }
        #expect(error?.code == .malformedAnswer)
        #expect(transport.requests.count == 1)
    }

    @Test func `pages without an end are given up`() throws {
        let transport = ScriptedTransport(
            [Result<HTTPResponse, RolesAnywhereError>](repeating: .success(Self.page([], next: "x")), count: 200))
        let error = #expect(throws: RolesAnywhereError.self) { try publish(transport) }
        #expect(error?.code == .malformedAnswer)
        #expect(transport.requests.count == 100)
    }

    @Test func `a refusal names the service's reason and is not tried again`() throws {
        let transport = ScriptedTransport(.failure(403, "AccessDeniedException", "not allowed"))
        let error = #expect(throws: RolesAnywhereError.self) { try publish(transport) }
        #expect(error?.code == .denied)
        #expect(transport.requests.count == 1)
    }

    @Test func `throttling is waited for`() throws {
        let transport = ScriptedTransport(
            .failure(429, "ThrottlingException", "slower"), Self.page([]), Self.done)
        try publish(transport)
        #expect(transport.requests.count == 3)
    }
}
