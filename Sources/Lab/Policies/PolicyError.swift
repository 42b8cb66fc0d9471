// SPDX-License-Identifier: Apache-2.0

/// Why IAM would not store a policy.
///
/// The client gets the message, which is the service's own and says little. Detail and hint are for the lab's user.
struct PolicyError: Error, Equatable, CustomStringConvertible {
    /// What the service answers with `MalformedPolicyDocument`.
    let message: String

    /// What is wrong, and where.
    let detail: String

    /// What would mend it.
    let hint: String?

    var description: String { "\(message) (\(detail))" }

    /// The text is not JSON.
    static func notJSON(_ detail: String, hint: String? = nil) -> PolicyError {
        PolicyError(message: "This policy contains invalid Json", detail: detail, hint: hint)
    }

    /// The JSON is not a policy.
    static func syntax(_ detail: String, hint: String? = nil) -> PolicyError {
        PolicyError(message: "Syntax errors in policy.", detail: detail, hint: hint)
    }

    /// An element is needed.
    static func missing(_ field: String, at place: String, hint: String? = nil) -> PolicyError {
        PolicyError(
            message: "Missing required field \(field)",
            detail: "\(place) has no \(field)",
            hint: hint
        )
    }

    /// An element does not belong into this kind of policy.
    static func prohibited(_ field: String, at place: String, hint: String) -> PolicyError {
        PolicyError(
            message: "Has prohibited field \(field)",
            detail: "\(place) has the element \(field)",
            hint: hint
        )
    }

    /// Nobody goes by this name.
    static func invalidPrincipal(
        _ kind: String,
        _ name: String,
        _ detail: String,
        hint: String? = nil
    ) -> PolicyError {
        PolicyError(
            message: "Invalid principal in policy: \"\(kind)\":\"\(name)\"",
            detail: detail,
            hint: hint
        )
    }
}
