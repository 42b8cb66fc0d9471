// SPDX-License-Identifier: Apache-2.0

import HTTPService

/// A request that the service does not grant: what the client is told, and what the lab's user is told.
///
/// The client gets the service's words, which say little. The detail and the hint go into the trace.
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
    var hint: String?

    init(code: Code, message: String, detail: String? = nil, hint: String? = nil) {
        self.code = code
        self.message = message
        self.detail = detail ?? message
        self.hint = hint
    }

    /// Something is malformed or outside its limits.
    static func validation(_ detail: String, hint: String? = nil) -> ServiceRefusal {
        ServiceRefusal(code: .validation, message: detail.asSentence, detail: detail, hint: hint)
    }

    /// The anchor, profile or role is absent or disabled.
    static func notFound(_ detail: String, hint: String? = nil) -> ServiceRefusal {
        ServiceRefusal(code: .notFound, message: detail.asSentence, detail: detail, hint: hint)
    }

    /// The certificate is not one that the trust anchor vouches for.
    static func untrusted(_ words: String, detail: String? = nil, hint: String? = nil) -> ServiceRefusal {
        ServiceRefusal(
            code: .accessDenied,
            message: "Untrusted signing certificate. \(words.asSentence)",
            detail: detail ?? words,
            hint: hint
        )
    }

    /// The session is not allowed.
    static func denied(_ message: String, _ detail: String, hint: String? = nil) -> ServiceRefusal {
        ServiceRefusal(code: .accessDenied, message: message, detail: detail, hint: hint)
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
