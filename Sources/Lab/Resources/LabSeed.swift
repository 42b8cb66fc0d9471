// SPDX-License-Identifier: Apache-2.0

public import Certificates

/// One trust anchor, one role and one profile, as the lab has them from the start.
///
/// Their ARNs follow from the CA certificates, the region and the account: a script can keep them.
public struct LabSeed: Sendable {
    /// The CA certificates.
    public var trustAnchor: TrustAnchor

    /// The role that can be taken.
    public var role: Role

    /// The profile that has the role.
    public var profile: Profile

    /// Makes the resources.
    ///
    /// - Parameters:
    ///   - certificates: The CA certificates, one or two.
    ///   - environment: The region and the account.
    /// - Throws: ``LabError`` naming the rule of IAM Roles Anywhere that a certificate breaks.
    public init(certificates: [Certificate], in environment: LabEnvironment) throws(LabError) {
        trustAnchor = try TrustAnchor(name: "lab-trust-anchor", certificates: certificates, in: environment)
        role = Role(name: "lab-role", in: environment)
        profile = Profile(
            identifier: UniversalIdentifier.derived(from: [Array("profile".utf8), Array(trustAnchor.identifier.utf8)]),
            name: "lab-profile",
            roleARNs: [role.arn.description],
            in: environment
        )
    }
}
