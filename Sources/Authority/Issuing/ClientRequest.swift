// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import SystemSupport

/// What a new client certificate is to be. What is left out comes from the certificate request, then from the template.
public struct ClientRequest: Sendable {
    /// Where everything else comes from.
    public var template: CertificateTemplate

    /// What the files are called: `NAME-cert.pem` and `NAME-key.pem`.
    public var name: String

    /// Whether the name is to be the common name, in place of the template's.
    public var nameIsCommonName = false

    /// The subject.
    public var subject: DistinguishedName?

    /// The alternative names.
    public var subjectAlternativeNames: [GeneralName] = []

    /// The kind of key to make. Not together with a request, which brings its own.
    public var keyType: KeyType?

    /// A request whose key is certified; no key is made then. Its subject and names count only where they are accepted.
    public var certificateRequest: CertificateRequest?

    /// Whether the subject of the certificate request is taken, in place of the one made from the name.
    public var acceptsRequestedSubject = false

    /// Whether the alternative names of the certificate request are taken too.
    public var acceptsRequestedNames = false

    /// Whether names may be such that a reader takes them for others: with mixed scripts, with characters that show nothing.
    public var allowsInsecureNames = false

    /// The most alternative names.
    public var maximumNames = NamePolicy.mostNames

    /// How long the certificate is good for.
    public var lifetime: Lifetime?

    /// Encrypts the key file.
    public var passphrase: SecretBytes?

    /// How a PKCS#12 file is encrypted that is made as well, with a passphrase of its own in a file beside it.
    public var bundle: PKCS12Archive.Encryption?

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

/// What becomes of the names that are asked for, in a request and beside it.
public struct RequestReview: Sendable {
    /// The subject that the certificate gets.
    public internal(set) var subject: DistinguishedName

    /// The alternative names that it gets; none when the template has its own.
    public internal(set) var names: [GeneralName]

    /// What is taken of a certificate request because it is accepted, each as `the name DNS:web-1.example.com`. It is to be
    /// shown before the certificate is made, and is fit for a terminal.
    public internal(set) var accepted: [String] = []

    /// What is not taken, each a sentence without a full stop.
    public internal(set) var notices: [String] = []
}

extension ClientRequest {
    /// Decides about names, as issuing does, without issuing.
    ///
    /// - Returns: The names, and what is taken of a certificate request.
    /// - Throws: ``AuthorityError`` or `CertificateError` naming the name and the rule.
    public func review() throws -> RequestReview {
        try ClientPolicy.check(self)
        return try ClientPolicy.review(self)
    }
}
