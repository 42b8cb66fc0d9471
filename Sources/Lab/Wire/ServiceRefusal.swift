// SPDX-License-Identifier: Apache-2.0

import HTTPService

/// A request that the service does not grant: what the client is told, and what the lab's user is told.
///
/// The client gets the service's words, which say little. The detail and the remedy go into the trace.
struct ServiceRefusal: Error, Equatable {
    /// The code by which a client tells refusals apart, and the status that goes with it.
    struct Code: Hashable, Sendable {
        let name: String
        let status: HTTPStatus

        init(_ name: String, _ status: HTTPStatus) {
            self.name = name
            self.status = status
        }

        static let validation = Code("ValidationException", .badRequest)
        static let accessDenied = Code("AccessDeniedException", .forbidden)
        static let notFound = Code("ResourceNotFoundException", .notFound)
        static let unknownOperation = Code("UnknownOperationException", .notFound)
        static let throttling = Code("ThrottlingException", .tooManyRequests)
        static let tooManyTags = Code("TooManyTagsException", .badRequest)
    }

    var code: Code
    var message: String
    var detail: String
    var remedy: String?

    init(code: Code, message: String, detail: String? = nil, remedy: String? = nil) {
        self.code = code
        self.message = message
        self.detail = detail ?? message
        self.remedy = remedy
    }

    /// Something is malformed or outside its limits.
    static func validation(_ detail: String, remedy: String? = nil) -> ServiceRefusal {
        ServiceRefusal(code: .validation, message: detail.asSentence, detail: detail, remedy: remedy)
    }

    /// The anchor, profile or role is absent or disabled.
    static func notFound(_ detail: String, remedy: String? = nil) -> ServiceRefusal {
        ServiceRefusal(code: .notFound, message: detail.asSentence, detail: detail, remedy: remedy)
    }

    /// The certificate is not one that the trust anchor vouches for.
    static func untrusted(_ words: String, detail: String? = nil, remedy: String? = nil) -> ServiceRefusal {
        ServiceRefusal(
            code: .accessDenied,
            message: "Untrusted signing certificate. \(words.asSentence)",
            detail: detail ?? words,
            remedy: remedy
        )
    }

    /// The session is not allowed.
    static func denied(_ message: String, _ detail: String, remedy: String? = nil) -> ServiceRefusal {
        ServiceRefusal(code: .accessDenied, message: message, detail: detail, remedy: remedy)
    }
}

extension String {
    /// With a capital at its beginning, unless that is the name of a member, which is written as the service's model has it.
    var asSentence: String {
        let word = prefix { $0 != " " }
        let isName = word.contains { $0.isUppercase || "._[".contains($0) }
        return isName ? self : prefix(1).uppercased() + dropFirst()
    }
}
