// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import SystemSupport

/// What a new root CA is to be. What is left out comes from the template.
public struct RootRequest: Sendable {
    /// Where everything else comes from.
    public var template: CertificateTemplate

    /// The CA's name.
    public var subject: DistinguishedName?

    /// The kind of key. An external key must be of this kind.
    public var keyType: KeyType?

    /// How long the CA is good for.
    public var lifetime: Lifetime?

    /// How many intermediate CAs may stand between the root and a client.
    public var pathLength: Int?

    /// Which names the CA may certify.
    public var nameConstraints = NameConstraints()

    /// Whether the name may be such that a reader takes it for another.
    public var allowsInsecureNames = false

    /// A key that stays where it is, in a token or an agent, and is used instead of a new one.
    public var externalKey: ExternalKey?

    /// Encrypts the key file.
    public var passphrase: SecretBytes?

    /// Whether files of the same names go to the archive. Otherwise they are in the way.
    public var archivesExisting = false

    /// Makes a request that takes everything from a template.
    ///
    /// - Parameter template: The template.
    public init(template: CertificateTemplate) { self.template = template }
}
