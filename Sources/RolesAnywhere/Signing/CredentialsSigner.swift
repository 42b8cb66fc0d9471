// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// Signs requests with session credentials: Signature Version 4 as every service of AWS takes it.
///
/// It reads no clock: equal requests, credentials and dates make equal signatures.
struct CredentialsSigner {
    /// The region that the signature is for.
    let region: String

    /// The service that the signature is for.
    let service: Endpoint.Service

    private static let tokenField = "X-Amz-Security-Token"

    /// Signs a request.
    ///
    /// - Parameters:
    ///   - request: What to sign, with its `Content-Type`. The header fields `Host`, `X-Amz-Date`,
    ///     `X-Amz-Security-Token` and `Authorization` are added here; others stay and are not signed.
    ///   - credentials: Whose key signs.
    ///   - date: The time that the signature names. Services take it for five minutes.
    /// - Returns: The request to send, and the texts that led to its signature.
    /// - Throws: Nothing of its own; signing shares its path with keys that can fail.
    func sign(_ request: HTTPRequest, with credentials: SessionCredentials, at date: Date) throws -> SignedRequest {
        let signature = SignatureVersion4(
            algorithm: "AWS4-HMAC-SHA256",
            region: region,
            service: service.name,
            time: CivilTime(date)
        )
        return try signature.sign(
            request,
            adding: [Self.tokenField: credentials.sessionToken],
            hiding: [Self.tokenField],
            by: credentials.accessKeyID
        ) { text in
            let key = signature.scope.split(separator: "/")
                .reduce(Array("AWS4\(credentials.secretAccessKey)".utf8)) {
                    HMACSHA256.code($1.utf8, key: $0)
                }
            return HMACSHA256.code(text.utf8, key: key)
        }
    }
}
