// SPDX-License-Identifier: Apache-2.0

/// Who makes a request.
enum PolicyPrincipal: Sendable, Hashable {
    /// An AWS service, for example `rolesanywhere.amazonaws.com`.
    case service(String)

    /// A user, a role or an account.
    ///
    /// - `arn`: The ARN of the user or of the session.
    /// - `role`: The ARN of the role of a session: unlike the session's it has the role's path.
    /// - `account`: The twelve digits.
    case aws(arn: String, role: String?, account: String)

    /// An identity provider: an ARN, or a host name.
    case federated(String)

    /// How people call it.
    var description: String {
        switch self {
        case .service(let name): "the service \(name)"
        case .aws(let arn, _, _): arn
        case .federated(let provider): "the identity provider \(provider)"
        }
    }
}

/// How a statement's `Principal` came to name who makes a request.
///
/// Within one account a role that is named by its ARN needs no permission of its own to assume another; one that is
/// trusted with its whole account does (IAM User Guide, "Policy evaluation logic"). Ordered from the widest to the
/// narrowest.
enum PolicyPrincipalMatch: Int, Sendable, Hashable, Comparable {
    /// Through the account, by its number or its root's ARN.
    case account
    /// Through `*`.
    case everyone
    /// By the name or ARN of the service, the provider, the user, the role or the session.
    case direct

    static func < (left: PolicyPrincipalMatch, right: PolicyPrincipalMatch) -> Bool { left.rawValue < right.rawValue }
}
