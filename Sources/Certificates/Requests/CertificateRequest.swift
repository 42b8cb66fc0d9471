// SPDX-License-Identifier: Apache-2.0

/// A PKCS#10 certification request (RFC 2986).
///
/// What an issuer takes from a request is its key, its subject and its alternative names. Anything else that it asks for
/// is listed in ``otherExtensions`` so that it can be refused by name. Its public initializers refuse a request whose
/// signature was not made with the key in it; one out of a ``Container`` says so in ``isSignedByItsKey``.
public struct CertificateRequest: Hashable, Sendable {
    /// What the request is called in messages, usually its path.
    public let name: String

    /// What a request without a file of its own is called.
    static let nameInContainers = "the certificate request"

    /// The DER encoding, exactly as it was read.
    public let derEncoded: [UInt8]

    /// Whether the signature was made with the key in the request; nothing when this libcrypto cannot tell.
    public let isSignedByItsKey: Bool?

    /// How the key's owner signed.
    public let signatureAlgorithm: SignatureAlgorithm

    /// The subject asked for; may be empty.
    public let subject: DistinguishedName

    /// The key to certify, whose owner signed the request.
    public let publicKey: PublicKey

    /// The alternative names asked for.
    public let subjectAlternativeNames: [GeneralName]

    /// Every extension asked for, in their order.
    public let extensions: [CertificateExtension]

    /// The names of the extensions asked for besides the alternative names, in their order.
    public var otherExtensions: [String] {
        extensions.filter { $0.identifier != CertificateExtension.subjectAlternativeName }.map(\.name)
    }

    /// The request as a PEM object, without any text around it.
    public var pemEncoded: String { PEMDocument(label: "CERTIFICATE REQUEST", bytes: derEncoded).text }
}
