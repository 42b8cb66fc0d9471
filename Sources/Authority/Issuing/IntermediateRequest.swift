// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import SystemSupport

/// What a new intermediate CA is to be. What is left out comes from the template.
public struct IntermediateRequest: Sendable {
    /// Whose key is certified.
    public enum Subject: Sendable {
        /// A new one, whose file stands in the directory.
        case newKey(KeyType?)
        /// One that stays in a token or an agent.
        case externalKey(ExternalKey, KeyType?)
        /// That of a request. Of what it asks for, only the key is taken, and the subject where that is accepted.
        case request(CertificateRequest)
        /// That of another CA, which keeps its name byte for byte: a cross-certificate.
        case crossCertificate(Certificate)

        /// Whether a key comes under the CA's name.
        var bringsKey: Bool {
            switch self {
            case .newKey, .externalKey: true
            case .request, .crossCertificate: false
            }
        }
    }

    /// Where everything else comes from.
    public var template: CertificateTemplate

    /// What the files are called: `NAME-cert.pem` and `NAME-key.pem`.
    public var name: String

    /// Whose key is certified.
    public var key: Subject = .newKey(nil)

    /// The CA's name in certificates; without one, `CN=NAME`.
    public var subject: DistinguishedName?

    /// Whether the subject of a certificate request is taken.
    public var acceptsRequestedSubject = false

    /// Whether the name may be such that a reader takes it for another.
    public var allowsInsecureNames = false

    /// How long it is good for.
    public var lifetime: Lifetime?

    /// How many CAs may stand below it; without one, what the template says, or fewer where the issuer allows no more.
    public var pathLength: Int?

    /// Which names it may certify.
    public var nameConstraints = NameConstraints()

    /// Encrypts the key file.
    public var passphrase: SecretBytes?

    /// Whether files of the same names go to the archive, and another entry may have the same common name. Otherwise both
    /// are in the way.
    public var archivesExisting = false

    /// Makes a request that takes everything from a template.
    ///
    /// - Parameters:
    ///   - template: The template.
    ///   - name: What the files are called.
    public init(template: CertificateTemplate, name: String) {
        self.template = template
        self.name = name
    }
}
