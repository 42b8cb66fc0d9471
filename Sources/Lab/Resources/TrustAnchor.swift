// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import struct FoundationEssentials.Date

/// What the account trusts: the CA certificates to which a client's certificate must lead.
package struct TrustAnchor: Codable, Hashable, Sendable {
    /// The UUID in the ARN.
    package let identifier: String

    /// The name, `[ a-zA-Z0-9-_]{1,255}`.
    package var name: String

    /// The ARN.
    package let arn: AmazonResourceName

    /// The CA certificates.
    package var bundle: CertificateBundle

    /// Whether sessions can be created through it.
    package var isEnabled = true

    /// When it was made.
    package let createdAt: Date

    /// When it was last changed.
    package var updatedAt: Date

    /// Whether the service is to look for revoked certificates where they say. The lab keeps the wish and fetches nothing.
    package var checksDistributionPoints: Bool?

    var notifications: [NotificationSetting] = []
    var aliasName: String?
    var tags: [Tag] = []

    /// Makes a trust anchor.
    ///
    /// - Parameters:
    ///   - identifier: The UUID; nothing derives it from the certificates, so that the same CA has the same ARN again.
    ///   - name: The name.
    ///   - bundle: The CA certificates.
    ///   - environment: The region and the account.
    package init(identifier: String? = nil, name: String, bundle: CertificateBundle, in environment: LabEnvironment) {
        let identifier =
            identifier
            ?? UniversalIdentifier.derived(
                from: [Array("trust-anchor".utf8)] + bundle.certificates.map(\.derEncoded)
            )
        self.identifier = identifier
        self.name = name
        self.bundle = bundle
        arn = AmazonResourceName(
            rolesAnywhere: "trust-anchor/\(identifier)",
            region: environment.region,
            account: environment.account
        )
        createdAt = environment.now()
        updatedAt = createdAt
    }

    /// The CA certificates.
    package var certificates: [Certificate] { bundle.certificates }
}

extension TrustAnchor: AnywhereResource {
    static let kind = "trust-anchor"
    static let noun = "trust anchor"
    static let table: any WritableKeyPath<Account, Table<TrustAnchor>> & Sendable = \.trustAnchors
}
