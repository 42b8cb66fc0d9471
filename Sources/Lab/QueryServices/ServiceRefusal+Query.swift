// SPDX-License-Identifier: Apache-2.0

import HTTPService

extension ServiceRefusal {
    /// A parameter of the query protocol is missing or outside its limits.
    static func invalidInput(_ detail: String, hint: String? = nil) -> ServiceRefusal {
        query("ValidationError", detail, hint: hint)
    }

    /// A parameter breaks a constraint of the service's model.
    ///
    /// - Parameters:
    ///   - value: What was sent; nothing when it is missing.
    ///   - member: The member's name, as the model has it with a small first letter.
    ///   - constraint: `have length less than or equal to 64`.
    /// - Returns: The refusal in the service's words.
    static func constraint(_ value: String?, _ member: String, _ constraint: String) -> ServiceRefusal {
        let shown = value.map { "'\($0.prefix(400))'" } ?? "null"
        return ServiceRefusal(
            code: .init("ValidationError", .badRequest),
            message: "1 validation error detected: Value \(shown) at '\(member)' failed to satisfy constraint: "
                + "Member must \(constraint)",
            detail: "\(member) is \(shown): it must \(constraint)"
        )
    }

    /// Something that IAM should know does not exist.
    static func noSuchEntity(_ detail: String, hint: String? = nil) -> ServiceRefusal {
        ServiceRefusal(
            code: .init("NoSuchEntity", .notFound),
            message: detail.asSentence,
            detail: detail,
            hint: hint
        )
    }

    /// The account's quota is used up.
    static func limitExceeded(_ message: String, hint: String? = nil) -> ServiceRefusal {
        ServiceRefusal(code: .init("LimitExceeded", .conflict), message: message, hint: hint)
    }

    /// A parameter is well formed and not acceptable all the same.
    static func unacceptable(_ message: String, hint: String? = nil) -> ServiceRefusal {
        ServiceRefusal(code: .init("InvalidInput", .badRequest), message: message, hint: hint)
    }

    /// A policy that IAM would not store.
    static func malformedPolicy(_ error: PolicyError) -> ServiceRefusal {
        ServiceRefusal(
            code: .init("MalformedPolicyDocument", .badRequest),
            message: error.message,
            detail: error.detail,
            hint: error.hint
        )
    }

    private static func query(_ code: String, _ detail: String, hint: String?) -> ServiceRefusal {
        ServiceRefusal(code: .init(code, .badRequest), message: detail.asSentence, detail: detail, hint: hint)
    }
}
