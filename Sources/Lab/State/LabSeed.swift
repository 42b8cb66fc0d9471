// SPDX-License-Identifier: Apache-2.0

package import Certificates
import FoundationEssentials

/// What the lab has from the start: trust anchors, roles and profiles.
///
/// Their ARNs follow from the CA certificates, the names, the region and the account: a script can keep them.
package struct LabSeed: Sendable {
    /// The CA certificates that are trusted.
    package var trustAnchors: [TrustAnchor]

    /// The roles that can be taken.
    package var roles: [Role]

    /// The profiles that have the roles.
    package var profiles: [Profile]

    /// Makes one trust anchor, one role and one profile.
    ///
    /// - Parameters:
    ///   - certificates: The CA certificates, one or two.
    ///   - environment: The region and the account.
    /// - Throws: ``LabError`` naming the rule of IAM Roles Anywhere that a certificate breaks.
    package init(certificates: [Certificate], in environment: LabEnvironment) throws(LabError) {
        let anchor = TrustAnchor(
            name: "lab-trust-anchor",
            bundle: try CertificateBundle(certificates),
            in: environment
        )
        let role = try Role(name: "lab-role", in: environment)
        trustAnchors = [anchor]
        roles = [role]
        profiles = [
            Profile(
                identifier: UniversalIdentifier.derived(from: [Array("profile".utf8), Array(anchor.identifier.utf8)]),
                name: "lab-profile",
                roleARNs: [role.arn.description],
                in: environment
            )
        ]
    }

    init(trustAnchors: [TrustAnchor], roles: [Role], profiles: [Profile]) {
        self.trustAnchors = trustAnchors
        self.roles = roles
        self.profiles = profiles
    }
}
