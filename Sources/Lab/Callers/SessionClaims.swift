// SPDX-License-Identifier: Apache-2.0

/// What a session token says of its session. The token carries it, so that the lab can forget it.
struct SessionClaims: Hashable, Sendable {
    var roleARN: String
    var roleName: String
    var roleIdentifier: String
    var sessionName: String
    /// Seconds since 1970.
    var issuedAt: Int
    /// Seconds since 1970.
    var expiration: Int
    var sourceIdentity: String?
    /// The session's tags, which policies know as `aws:PrincipalTag/…`.
    var tags: [String: String]
    /// The profile whose policies limit the session.
    var profileIdentifier: String?
    /// The keys of those tags that a session keeps which is made with this one.
    var transitiveTagKeys: [String] = []
    /// The policy that was given with the request for the session, as JSON: it limits the session.
    var sessionPolicy: String?
    /// The managed policies that were given with the request for the session.
    var sessionPolicyARNs: [String] = []

    /// The session's own name.
    func assumedRole(in environment: LabEnvironment) -> AmazonResourceName {
        AmazonResourceName(
            global: "sts",
            "assumed-role/\(roleName)/\(sessionName)",
            region: environment.region,
            account: environment.account
        )
    }
}
