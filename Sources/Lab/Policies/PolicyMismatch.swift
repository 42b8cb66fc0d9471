// SPDX-License-Identifier: Apache-2.0

/// The first thing about a statement that a request does not match, for people.
struct PolicyMismatch: Sendable, Hashable {
    /// What the policy wants, and what the request has.
    var text: String

    /// What would mend it.
    var hint: String?
}
