// SPDX-License-Identifier: Apache-2.0

public import struct FoundationEssentials.Date

/// Everything a certificate says that is not its issuer's doing.
public struct CertificateParameters: Sendable {
    /// The serial number.
    public var serialNumber: SerialNumber

    /// The subject.
    public var subject: DistinguishedName

    /// The key to certify.
    public var publicKey: PublicKey

    /// The first moment of validity; whole seconds.
    public var notBefore: Date

    /// The last moment of validity; whole seconds.
    public var notAfter: Date

    /// Where the extensions come from.
    public var template: CertificateTemplate

    /// Alternative names; when there are any they take the place of the template's.
    public var subjectAlternativeNames: [GeneralName]

    /// How long the path below a CA may be; takes the place of the template's.
    public var pathLength: Int?

    /// Which names a CA may certify; when there are any they take the place of the template's.
    public var nameConstraints: NameConstraints

    /// Makes parameters.
    ///
    /// - Parameters:
    ///   - serialNumber: The serial number.
    ///   - subject: The subject.
    ///   - publicKey: The key to certify.
    ///   - notBefore: The first moment of validity.
    ///   - notAfter: The last moment of validity.
    ///   - template: Where the extensions come from.
    ///   - subjectAlternativeNames: Take the place of the template's when there are any.
    ///   - pathLength: Takes the place of the template's.
    ///   - nameConstraints: Take the place of the template's when there are any.
    public init(
        serialNumber: SerialNumber,
        subject: DistinguishedName,
        publicKey: PublicKey,
        notBefore: Date,
        notAfter: Date,
        template: CertificateTemplate,
        subjectAlternativeNames: [GeneralName] = [],
        pathLength: Int? = nil,
        nameConstraints: NameConstraints = NameConstraints()
    ) {
        self.serialNumber = serialNumber
        self.subject = subject
        self.publicKey = publicKey
        self.notBefore = notBefore
        self.notAfter = notAfter
        self.template = template
        self.subjectAlternativeNames = subjectAlternativeNames
        self.pathLength = pathLength
        self.nameConstraints = nameConstraints
    }
}
