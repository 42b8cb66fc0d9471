// SPDX-License-Identifier: Apache-2.0

public import Certificates

/// What the account trusts: the CA certificates to which a client's certificate must lead.
public struct TrustAnchor: Hashable, Sendable {
    /// The UUID in the ARN.
    public let identifier: String

    /// The name, `[ a-zA-Z0-9-_]{1,255}`.
    public var name: String

    /// The ARN.
    public let arn: AmazonResourceName

    /// One CA certificate, or two while one replaces the other.
    public let certificates: [Certificate]

    /// Whether sessions can be created through it.
    public var isEnabled = true

    /// Makes a trust anchor.
    ///
    /// - Parameters:
    ///   - identifier: The UUID; nothing derives it from the certificates, so that the same CA has the same ARN again.
    ///   - name: The name.
    ///   - certificates: The CA certificates.
    ///   - environment: The region and the account.
    /// - Throws: ``LabError`` naming the rule of IAM Roles Anywhere that a certificate breaks.
    public init(
        identifier: String? = nil,
        name: String,
        certificates: [Certificate],
        in environment: LabEnvironment
    ) throws(LabError) {
        guard (1...2).contains(certificates.count) else {
            throw LabError(
                .invalidResource,
                "a trust anchor takes one or two certificates, not \(certificates.count)"
            )
        }
        for certificate in certificates { try Self.check(certificate) }
        let identifier =
            identifier
            ?? UniversalIdentifier.derived(from: [Array("trust-anchor".utf8)] + certificates.map(\.derEncoded))
        self.identifier = identifier
        self.name = name
        self.certificates = certificates
        arn = AmazonResourceName(
            rolesAnywhere: "trust-anchor/\(identifier)",
            region: environment.region,
            account: environment.account
        )
    }

    private static func check(_ certificate: Certificate) throws(LabError) {
        func refuse(_ why: String, _ remedy: String) -> LabError {
            LabError(.invalidResource, "\(certificate.subject) cannot be a trust anchor: \(why)", remedy: remedy)
        }
        let remedy = "make a CA with: pki init-ca"
        guard certificate.version == 3 else { throw refuse("it is not of version 3", remedy) }
        guard certificate.isCA else { throw refuse("it is not a CA's (basicConstraints CA:TRUE)", remedy) }
        guard certificate.keyUsage?.contains(.keyCertSign) == true else {
            throw refuse("its keyUsage lacks keyCertSign", remedy)
        }
        guard !certificate.signatureAlgorithm.isWeak else {
            throw refuse("it is signed with \(certificate.signatureAlgorithm.name)", "sign it with SHA-256 or stronger")
        }
    }
}
