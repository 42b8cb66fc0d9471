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
    /// The keys of those tags that a session keeps which is made with this one.
    var transitiveTagKeys: [String] = []
    /// The policy that limits the session, as JSON: the profile's, or that of the request to AssumeRole. What the profile says
    /// later makes no difference.
    var sessionPolicy: String?
    /// The managed policies that limit the session, from the same place.
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
