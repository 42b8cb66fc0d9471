// SPDX-License-Identifier: Apache-2.0

import HTTPService

/// How a service words its refusal of a signature. The faults are the same everywhere, the codes are not.
enum SignatureDialect: Sendable {
    /// CreateSession, signed by a certificate's key.
    case certificate
    /// The control plane of IAM Roles Anywhere: REST with JSON.
    case rest
    /// IAM and STS: the query protocol with XML.
    case query

    /// What can be wrong with a signature.
    enum Fault: Sendable {
        /// There is none.
        case missing
        /// A part of it is missing or malformed.
        case incomplete
        /// Nobody has this access key, or the session token is not one of the service's or was altered.
        case unknownCredentials
        /// The session is over.
        case expiredCredentials
        /// It does not fit what was received, or was made for another time or place.
        case invalid
    }

    /// Makes a refusal.
    ///
    /// - Parameters:
    ///   - fault: What is wrong.
    ///   - detail: What is wrong, for the lab's user.
    ///   - hint: The way out.
    /// - Returns: The refusal in the service's words.
    func refusal(_ fault: Fault, _ detail: String, hint: String? = nil) -> ServiceRefusal {
        let (code, message) = words(fault, detail)
        return ServiceRefusal(code: code, message: message, detail: detail, hint: hint)
    }

    private func words(_ fault: Fault, _ detail: String) -> (ServiceRefusal.Code, String) {
        let mismatch =
            "The request signature we calculated does not match the signature you provided. "
            + "Check your AWS Secret Access Key and signing method."
        let unknown = "The security token included in the request is invalid."
        let expired = "The security token included in the request is expired"
        switch (self, fault) {
        case (.certificate, .missing), (.certificate, .incomplete):
            return (.accessDenied, "Missing or malformed Authorization header")
        case (.certificate, _): return (.accessDenied, "Invalid signature")
        case (.rest, .missing):
            return (.init("MissingAuthenticationTokenException", .forbidden), "Missing Authentication Token")
        case (.rest, .incomplete): return (.init("IncompleteSignatureException", .forbidden), detail)
        case (.rest, .unknownCredentials): return (.init("UnrecognizedClientException", .forbidden), unknown)
        case (.rest, .expiredCredentials): return (.init("ExpiredTokenException", .forbidden), expired)
        case (.rest, .invalid): return (.init("InvalidSignatureException", .forbidden), mismatch)
        case (.query, .missing):
            return (.init("MissingAuthenticationToken", .forbidden), "Request is missing Authentication Token")
        case (.query, .incomplete): return (.init("IncompleteSignature", .badRequest), detail)
        case (.query, .unknownCredentials): return (.init("InvalidClientTokenId", .forbidden), unknown)
        case (.query, .expiredCredentials): return (.init("ExpiredToken", .forbidden), expired)
        case (.query, .invalid): return (.init("SignatureDoesNotMatch", .forbidden), mismatch)
        }
    }
}
