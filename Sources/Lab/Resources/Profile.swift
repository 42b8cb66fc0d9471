// SPDX-License-Identifier: Apache-2.0

package import struct FoundationEssentials.Date

/// Which roles can be taken, and what a session with them is limited to.
package struct Profile: Codable, Hashable, Sendable {
    /// The UUID in the ARN.
    package let identifier: String

    /// The name, `[ a-zA-Z0-9-_]{1,255}`.
    package var name: String

    /// The ARN.
    package let arn: AmazonResourceName

    /// The roles that can be taken, at most 250.
    package var roleARNs: [String]

    /// Managed policies that sessions are limited to, at most 50.
    package var managedPolicyARNs: [String] = []

    /// A policy that sessions are limited to, at most 100,000 characters.
    package var sessionPolicy: String?

    /// The longest session in seconds, 900 to 43200.
    package var durationSeconds = 3_600

    /// Whether a request may name its session.
    package var acceptsRoleSessionName = false

    /// Kept and shown. AWS: "unused, saved for future use".
    package var requiresInstanceProperties = false

    /// Whether sessions can be created through it.
    package var isEnabled = true

    /// When it was made.
    package let createdAt: Date

    /// When it was last changed.
    package var updatedAt: Date

    var createdBy: String?
    var attributeMappings = AttributeMapping.defaults
    var aliasName: String?
    var tags: [Tag] = []

    /// Makes a profile.
    ///
    /// - Parameters:
    ///   - identifier: The UUID.
    ///   - name: The name.
    ///   - roleARNs: The roles that can be taken.
    ///   - environment: The region and the account.
    package init(identifier: String, name: String, roleARNs: [String], in environment: LabEnvironment) {
        self.identifier = identifier
        self.name = name
        self.roleARNs = roleARNs
        arn = AmazonResourceName(
            rolesAnywhere: "profile/\(identifier)",
            region: environment.region,
            account: environment.account
        )
        createdAt = environment.now()
        updatedAt = createdAt
    }
}

extension Profile: AnywhereResource {
    static let kind = "profile"
    static let noun = "profile"
    static let table: any WritableKeyPath<Account, Table<Profile>> & Sendable = \.profiles
}
