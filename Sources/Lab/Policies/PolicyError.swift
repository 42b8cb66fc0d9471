// SPDX-License-Identifier: Apache-2.0

/// Why IAM would not store a policy.
///
/// The client gets the message, which is the service's own and says little. Detail and remedy are for the lab's user.
struct PolicyError: Error, Equatable, CustomStringConvertible {
    /// What the service answers with `MalformedPolicyDocument`.
    let message: String

    /// What is wrong, and where.
    let detail: String

    /// What would mend it.
    let remedy: String?

    var description: String { "\(message) (\(detail))" }

    /// The text is not JSON.
    static func notJSON(_ detail: String, remedy: String? = nil) -> PolicyError {
        PolicyError(message: "This policy contains invalid Json", detail: detail, remedy: remedy)
    }

    /// The JSON is not a policy.
    static func syntax(_ detail: String, remedy: String? = nil) -> PolicyError {
        PolicyError(message: "Syntax errors in policy.", detail: detail, remedy: remedy)
    }

    /// An element is needed.
    static func missing(_ field: String, at place: String, remedy: String? = nil) -> PolicyError {
        PolicyError(
            message: "Missing required field \(field)",
            detail: "\(place) has no \(field)",
            remedy: remedy
        )
    }

    /// An element does not belong into this kind of policy.
    static func prohibited(_ field: String, at place: String, remedy: String) -> PolicyError {
        PolicyError(
            message: "Has prohibited field \(field)",
            detail: "\(place) has the element \(field)",
            remedy: remedy
        )
    }

    /// Nobody goes by this name.
    static func invalidPrincipal(
        _ kind: String,
        _ name: String,
        _ detail: String,
        remedy: String? = nil
    ) -> PolicyError {
        PolicyError(
            message: "Invalid principal in policy: \"\(kind)\":\"\(name)\"",
            detail: detail,
            remedy: remedy
        )
    }
}
