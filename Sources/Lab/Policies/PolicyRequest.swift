// SPDX-License-Identifier: Apache-2.0

/// What a policy is asked about: may this principal do this to that, in these circumstances.
struct PolicyRequest: Sendable, Hashable {
    /// The action, for example `sts:AssumeRole`.
    var action: String

    /// Who asks. An identity's policy does not look at it.
    var principal: PolicyPrincipal

    /// The ARN of what the action is done to. A trust policy does not look at it.
    var resource: String

    /// What else is known.
    var context = PolicyContext()
}
