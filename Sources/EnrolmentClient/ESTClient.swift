// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import Enrolment
import FoundationEssentials
package import RolesAnywhere
import SystemSupport

/// A client of Enrolment over Secure Transport (RFC 7030): the CA's certificates, and certificates for requests.
///
/// The server is asked directly, without a proxy, and must have a certificate of the CA's root: no other root is trusted.
package struct ESTClient: Sendable {
    /// What the server answers to a request for a certificate.
    package enum Reply: Sendable {
        /// The certificate, and others on its path, in no order.
        case certificates([Certificate])
        /// A person decides; ask again after this time.
        case waiting(Duration)
    }

    /// Who asks.
    package enum Proof: Sendable {
        case token(TokenText)
        /// The certificate with its chain, and its key.
        case certificate([Certificate], PrivateKey)
    }

    private let url: HTTPURL
    /// What every answer is verified by.
    package let roots: [Certificate]
    private let transport: CurlTransport

    /// The most octets of an answer; a hundred certificates have fewer.
    private static let answerLimit = 256 << 10

    /// A client of a server whose certificate leads to one of these roots.
    package init(_ url: HTTPURL, roots: [Certificate]) throws(RolesAnywhereError) {
        try Self.requireTLS(url)
        (self.url, self.roots) = (url, roots)
        transport = CurlTransport(trust: .only(roots), bodyLimit: Self.answerLimit, proxy: .none)
    }

    /// A client of a server of which the SHA-256 of the root is known. The root is asked of the server, which is not believed:
    /// what it sends counts only if it has the fingerprint. Every later connection is verified by that root.
    package init(_ url: HTTPURL, fingerprint: [UInt8]) throws(RolesAnywhereError) {
        try Self.requireTLS(url)
        let stranger = CurlTransport(trust: .unverified, bodyLimit: Self.answerLimit, proxy: .none)
        let offered = try Self.authorities(of: url, by: stranger)
        guard let root = offered.first(where: { Digest.sha256.hash($0.derEncoded) == fingerprint }) else {
            throw RolesAnywhereError(
                .untrustedServer,
                "\(url.authority) does not have the root of the token, \(hexadecimal(fingerprint))",
                hint: "check --server and the token: it may be of another CA, or somebody is in between")
        }
        try self.init(url, roots: [root])
    }

    /// The first root; the only one of a client with a fingerprint.
    package var root: Certificate { roots[0] }

    private static func requireTLS(_ url: HTTPURL) throws(RolesAnywhereError) {
        guard url.scheme == .https else {
            throw RolesAnywhereError(.invalidArgument, "\(url) is not encrypted", hint: "write https://")
        }
    }

    // MARK: - Asking

    /// The CA's certificates.
    package func authorities() throws(RolesAnywhereError) -> [Certificate] {
        try Self.authorities(of: url, by: transport)
    }

    /// Asks for a certificate, once.
    package func ask(for request: CertificateRequest, as proof: Proof) throws -> Reply {
        var transport = transport
        var headers: HTTPHeaders = [
            "Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64",
            "Accept": "application/pkcs7-mime",
        ]
        let operation: String
        switch proof {
        case .token(let token):
            operation = "simpleenroll"
            let words = "\(token.identifier):\(Base64URL.encode(token.secret))"
            headers.add("Authorization", "Basic \(Data(words.utf8).base64EncodedString())")
        case .certificate(let chain, let key):
            operation = "simplereenroll"
            transport.identity = (chain.map(\.pemEncoded).joined(), try key.pemEncoded())
        }
        let response = try Self.send(
            HTTPRequest(
                method: "POST", url: Self.address(of: operation, at: url), headers: headers,
                body: Array(Data(request.derEncoded).base64EncodedString().utf8)), by: transport)
        switch response.status {
        case 200: return .certificates(try Self.certificates(in: response, of: url))
        case 202:
            let seconds = response.headers["Retry-After"].flatMap { Int($0) } ?? 60
            return .waiting(.seconds(min(max(seconds, 1), 3600)))
        default: throw Self.refusal(response, of: url)
        }
    }

    private static func authorities(of url: HTTPURL, by transport: CurlTransport) throws(RolesAnywhereError)
        -> [Certificate]
    {
        let request = HTTPRequest(
            method: "GET", url: address(of: "cacerts", at: url), headers: ["Accept": "application/pkcs7-mime"])
        let response = try send(request, by: transport)
        guard response.status == 200 else { throw refusal(response, of: url) }
        return try certificates(in: response, of: url)
    }

    private static func address(of operation: String, at url: HTTPURL) -> HTTPURL {
        url.appending(path: "/.well-known/est/\(operation)", query: [])
    }

    private static func send(
        _ request: HTTPRequest, by transport: CurlTransport
    ) throws(RolesAnywhereError) -> HTTPResponse {
        do {
            return try transport.send(request)
        } catch let error as RolesAnywhereError {
            let hint =
                switch error.code {
                case .unreachable: "check --server, and that pki serve-ca runs there"
                case .untrustedServer:
                    "the server must have a certificate of the CA's root, for the host in --server: pki serve-ca --host HOST"
                default: error.hint
                }
            throw RolesAnywhereError(error.code, error.message, hint: hint, isTransient: error.isTransient)
        } catch {
            throw RolesAnywhereError(.unreachable, "the request to \(request.url.authority) failed: \(error)")
        }
    }

    // MARK: - Answers

    /// The certificates of an answer: PKCS#7 in base64, with line ends or without.
    private static func certificates(
        in response: HTTPResponse, of url: HTTPURL
    ) throws(RolesAnywhereError) -> [Certificate] {
        let text = response.body.filter { ![0x0a, 0x0d, 0x20, 0x09].contains($0) }
        guard let data = Data(base64Encoded: Data(text)), let certificates = CertificateBundle.decode(Array(data))
        else {
            throw RolesAnywhereError(
                .malformedAnswer, "what \(url.authority) answers is not a message with certificates (PKCS#7)",
                hint: "check --server: is it EST that is served there?")
        }
        return certificates
    }

    /// Why a server does not answer with what was asked for, in its own words.
    private static func refusal(_ response: HTTPResponse, of url: HTTPURL) -> RolesAnywhereError {
        let body = String(decoding: response.body.prefix(1024), as: UTF8.self)
        let reason = printable(String(body.prefix { !$0.isNewline }), limit: 200)
        let said = reason.isEmpty ? "status \(response.status)" : "\(reason) (status \(response.status))"
        let host = url.authority
        switch response.status {
        case 400, 401, 403: return RolesAnywhereError(.denied, "\(host) refuses: \(said)")
        case 429, 500...599:
            let wait = response.headers["Retry-After"].flatMap { Int($0) }.map { " in \($0) s" } ?? " later"
            return RolesAnywhereError(
                .unavailable, "\(host) cannot answer: \(said)", hint: "run the same command again\(wait)",
                isTransient: true)
        case 300..<400:
            return RolesAnywhereError(
                .malformedAnswer, "\(host) answers with a redirect, which is not followed (status \(response.status))",
                hint: "name the server itself with --server")
        default:
            return RolesAnywhereError(
                .malformedAnswer, "\(host) answers what EST does not: \(said)", hint: "check --server")
        }
    }
}
