// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import Enrolment
import FoundationEssentials
import HTTPServer
import Synchronization
import SystemSupport

/// Reads who a client is: by a token's secret, or by the certificate of its TLS connection.
struct ProofReader: Sendable {
    let tokens: TokenVerifier
    let options: CurrentOptions

    /// The proof of a request. A token takes precedence over a certificate.
    ///
    /// - Throws: ``EnrolmentRefusal``.
    func proof(of request: HTTPRequest) throws -> EnrolmentRequest.Proof {
        if let authorization = request.headers["Authorization"] {
            guard let (name, password) = Self.basic(authorization) else { throw EnrolmentRefusal.token(nil) }
            guard try tokens.isSecret(password, of: name) else { throw EnrolmentRefusal.token(nil) }
            return .token(name)
        }
        if let certificate = try certificate(of: request) { return .certificate(certificate) }
        throw EnrolmentRefusal.noProof
    }

    /// The client's certificate: of its TLS connection, or as a listed proxy reports it; `nil` if there is none.
    func certificate(of request: HTTPRequest) throws -> Certificate? {
        if let encoded = request.clientCertificates.first { return try Certificate(derEncoded: encoded) }
        guard let field = request.headers["Client-Cert"], options.value.proxies.contains(Self.address(of: request))
        else {
            return nil
        }
        // A byte sequence of RFC 8941: base64 between colons.
        guard field.utf8.count <= 32_768, field.hasPrefix(":"), field.hasSuffix(":"), field.utf8.count > 2,
            let data = Data(base64Encoded: String(field.dropFirst().dropLast()))
        else { throw EnrolmentRefusal.certificate("the header Client-Cert is malformed") }
        return try Certificate(derEncoded: Array(data))
    }

    /// User name and password of HTTP's Basic scheme (RFC 7617).
    static func basic(_ authorization: String) -> (name: String, password: String)? {
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "basic", parts[1].utf8.count <= 1_024,
            let data = Data(base64Encoded: parts[1].trimmingPrefix { $0 == " " }.description),
            let text = String(validating: data, as: UTF8.self), let colon = text.firstIndex(of: ":")
        else { return nil }
        return (String(text[..<colon]), String(text[text.index(after: colon)...]))
    }

    /// The client's IP address without its port.
    static func address(of request: HTTPRequest) -> String {
        HTTPAuthority(request.remoteAddress)?.host ?? request.remoteAddress
    }
}

/// Verifies the secrets of tokens by the key of the CA's directory, which appears there with the first token.
final class TokenVerifier: Sendable {
    private let inventory: Inventory
    private let known = Mutex<TokenSecrets?>(nil)

    init(_ inventory: Inventory) { self.inventory = inventory }

    /// What derives the secrets; `nil` if no token was made yet.
    var secrets: TokenSecrets? {
        get throws {
            if let secrets = known.withLock(\.self) { return secrets }
            guard let key = try inventory.tokenKey() else { return nil }
            let secrets = TokenSecrets(key: key)
            known.withLock { $0 = secrets }
            return secrets
        }
    }

    /// Whether a text is the secret of a token in base64url. The token itself may be unknown or revoked.
    func isSecret(_ text: String, of identifier: String) throws -> Bool {
        try secrets?.isSecret(text: text, of: identifier) ?? false
    }
}
