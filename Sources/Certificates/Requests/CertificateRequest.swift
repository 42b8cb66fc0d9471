// SPDX-License-Identifier: Apache-2.0

/// A PKCS#10 certification request (RFC 2986) whose signature was checked.
///
/// What an issuer takes from a request is its key, its subject and its alternative names. Anything else that it asks for
/// is listed in ``otherExtensions`` so that it can be refused by name.
public struct CertificateRequest: Hashable, Sendable {
    /// What the request is called in messages, usually its path.
    public let name: String

    /// The subject asked for; may be empty.
    public let subject: DistinguishedName

    /// The key to certify, whose owner signed the request.
    public let publicKey: PublicKey

    /// The alternative names asked for.
    public let subjectAlternativeNames: [GeneralName]

    /// The names of the other extensions asked for, in their order.
    public let otherExtensions: [String]
}
