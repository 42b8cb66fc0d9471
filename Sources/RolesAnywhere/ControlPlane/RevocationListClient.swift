// SPDX-License-Identifier: Apache-2.0

package import AWSModel
import FoundationEssentials
import SystemSupport

/// Gives trust anchors of IAM Roles Anywhere their CRLs: ListCrls, UpdateCrl and ImportCrl, with retries and a corrected
/// clock. Calls block until there is an answer or an error.
package final class RevocationListClient: Sendable {
    private let endpoint: Endpoint
    private let region: String
    private let exchange: SignedExchange

    /// - Parameters:
    ///   - endpoint: Where the service listens.
    ///   - region: The region that signatures name.
    ///   - transport: What carries the requests.
    ///   - dependencies: The clock, sleep function and random source.
    package init(
        endpoint: Endpoint, region: String, transport: any HTTPTransport, dependencies: SessionClient.Dependencies
    ) {
        self.endpoint = endpoint
        self.region = region
        exchange = SignedExchange(
            with: .rolesAnywhere, transport: transport, retryPolicy: RetryPolicy(), dependencies: dependencies,
            observer: { _ in })
    }

    /// Replaces the CRL that a trust anchor has under a name, or imports it if there is none.
    ///
    /// - Parameters:
    ///   - list: The CRL in PEM.
    ///   - name: The CRL's name in AWS.
    ///   - anchor: The trust anchor, which must have the CRL's issuer.
    ///   - credentials: Whose permissions count: `rolesanywhere:ListCrls`, `UpdateCrl` and `ImportCrl`.
    package func publish(
        _ list: [UInt8], named name: String, for anchor: AmazonResourceName, with credentials: SessionCredentials
    ) throws {
        let data = JSONValue.string(Data(list).base64EncodedString())
        if let known = try identifier(of: name, in: anchor, credentials) {
            let body = JSONValue.compact(["crlData": data]).bytes
            return try send("PATCH", "/crl/\(known)", body: body, credentials) { _ in }
        }
        let body = JSONValue.compact([
            "crlData": data, "enabled": .boolean(true), "name": .string(name),
            "trustAnchorArn": .string(anchor.description),
        ]).bytes
        try send("POST", "/crls", body: body, credentials) { _ in }
    }

    /// The CRLs of a page, by their names on the wire.
    private struct Page: Decodable {
        struct List: Decodable {
            var crlId: String
            var name: String
            var trustAnchorArn: String
        }
        var crls: [List]?
        var nextToken: String?
    }

    /// More than an account can have.
    private static let mostPages = 100

    /// The CRL that a trust anchor has under a name; `nil` if there is none.
    private func identifier(
        of name: String, in anchor: AmazonResourceName, _ credentials: SessionCredentials
    ) throws -> String? {
        var token: String?
        for _ in 0..<Self.mostPages {
            // Each comes with its contents, and an answer may have 1 MiB.
            let size = HTTPURL.Parameter("pageSize", "2")
            let query = [size] + (token.map { [HTTPURL.Parameter("nextToken", $0)] } ?? [])
            let page = try send("GET", "/crls", query: query, credentials) { response in
                guard let page = try? JSONDecoder().decode(Page.self, from: Data(response.body)) else {
                    throw Self.malformed("to ListCrls is not a list of CRLs")
                }
                return page
            }
            let found = page.crls?.first { $0.name == name && $0.trustAnchorArn == anchor.description }
            if let identifier = found?.crlId {
                // It becomes part of a path.
                guard (1...64).contains(identifier.utf8.count),
                    identifier.utf8.allSatisfy({
                        $0 == 0x2d || (0x30...0x39).contains($0) || (0x61...0x7a).contains($0)
                    })
                else { throw Self.malformed("to ListCrls has a CRL without a usable crlId") }
                return identifier
            }
            token = page.nextToken
            if token == nil { return nil }
        }
        throw Self.malformed("to ListCrls goes on after \(Self.mostPages) pages")
    }

    private func send<Answer>(
        _ method: String, _ path: String, query: [HTTPURL.Parameter] = [], body: [UInt8] = [],
        _ credentials: SessionCredentials, reading read: (HTTPResponse) throws -> Answer
    ) throws -> Answer {
        try exchange.send(while: { $0 <= credentials.expiration }) {
            let unsigned = HTTPRequest(
                method: method, url: endpoint.url(for: path, query: query),
                headers: body.isEmpty ? [:] : ["Content-Type": "application/json"], body: body)
            return try CredentialsSigner(region: region, service: .rolesAnywhere)
                .sign(unsigned, with: credentials, at: exchange.correctedNow)
        } reading: {
            try read($0)
        }
    }

    private static func malformed(_ what: String) -> RolesAnywhereError {
        RolesAnywhereError(
            .malformedAnswer, "the service's answer \(what)",
            hint: "check that the endpoint is that of IAM Roles Anywhere and that no proxy answers in its place")
    }
}
