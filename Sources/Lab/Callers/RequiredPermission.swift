// SPDX-License-Identifier: Apache-2.0

/// Something that a caller must be allowed to do for a request to be answered.
struct RequiredPermission {
    /// How a resource's own policy stands to the request.
    enum ResourcePolicy: Sendable {
        /// There is none, or it leaves the decision to the caller's account.
        case silent
        /// It names the caller, who then needs no policy of their own within the account. What denies still denies, and
        /// limits still limit (IAM User Guide, "Policy evaluation logic").
        case namesCaller
    }

    /// `rolesanywhere:GetProfile`
    var action: String

    /// The ARN of what it is done on; `*` where policies cannot name one.
    var resource: String

    /// What is known of the request besides who makes it, when, and where from.
    var context = PolicyContext()

    var resourcePolicy = ResourcePolicy.silent
}
