// SPDX-License-Identifier: Apache-2.0

import HTTPService

/// A request that the service does not grant: what the client is told, and what the lab's user is told.
///
/// The client gets the service's words, which say little. The detail and the remedy go into the trace.
struct ServiceRefusal: Error, Equatable {
    /// The code in `X-Amzn-ErrorType`.
    enum Code: String, Sendable {
        case validation = "ValidationException"
        case accessDenied = "AccessDeniedException"
        case notFound = "ResourceNotFoundException"
        case unknownOperation = "UnknownOperationException"

        var status: HTTPStatus {
            switch self {
            case .validation: .badRequest
            case .accessDenied: .forbidden
            case .notFound, .unknownOperation: .notFound
            }
        }
    }

    var code: Code
    var message: String
    var detail: String
    var remedy: String?

    /// Something is malformed or outside its limits.
    static func validation(_ detail: String, remedy: String? = nil) -> ServiceRefusal {
        ServiceRefusal(code: .validation, message: sentence(detail), detail: detail, remedy: remedy)
    }

    /// The anchor, profile or role is absent or disabled.
    static func notFound(_ detail: String, remedy: String? = nil) -> ServiceRefusal {
        ServiceRefusal(code: .notFound, message: sentence(detail), detail: detail, remedy: remedy)
    }

    /// The certificate is not one that the trust anchor vouches for.
    static func untrusted(_ detail: String, remedy: String? = nil) -> ServiceRefusal {
        ServiceRefusal(
            code: .accessDenied,
            message: "Untrusted signing certificate. \(sentence(detail))",
            detail: detail,
            remedy: remedy
        )
    }

    /// The request is not signed by the certificate's key in the way of the service.
    static func invalidSignature(_ detail: String, remedy: String? = nil) -> ServiceRefusal {
        ServiceRefusal(code: .accessDenied, message: "Invalid signature", detail: detail, remedy: remedy)
    }

    /// The session is not allowed.
    static func denied(_ message: String, _ detail: String, remedy: String? = nil) -> ServiceRefusal {
        ServiceRefusal(code: .accessDenied, message: message, detail: detail, remedy: remedy)
    }

    private static func sentence(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }
}
