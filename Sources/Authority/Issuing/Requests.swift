// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import SystemSupport

/// The properties of a new root CA. What is left out comes from the template.
public struct RootRequest: Sendable {
    /// The source of everything else.
    public var template: CertificateTemplate
    /// The CA's name.
    public var subject: DistinguishedName?
    /// The kind of key. An external key must be of this kind.
    public var keyType: KeyType?
    /// How long the CA is valid.
    public var lifetime: Lifetime?
    /// How many intermediate CAs there may be between the root and a client.
    public var pathLength: Int?
    /// Which names the CA may certify.
    public var nameConstraints = NameConstraints()
    /// Whether to allow a name that can be mistaken for another.
    public var allowsInsecureNames = false
    /// A key in a token or an agent that is used instead of a new one.
    public var externalKey: ExternalKey?
    /// Encrypts the key file.
    public var passphrase: SecretBytes?
    /// Whether existing files of the same names go to the archive. Otherwise they are an error.
    public var archivesExisting = false

    /// Creates a request that takes everything from a template.
    public init(template: CertificateTemplate) { self.template = template }
}

/// The properties of a new intermediate CA. What is left out comes from the template.
public struct IntermediateRequest: Sendable {
    /// Whose key is certified.
    public enum KeySource: Sendable {
        /// A new one, whose file is written into the directory.
        case newKey(KeyType?)
        /// One that stays in a token or an agent.
        case externalKey(ExternalKey, KeyType?)
        /// That of a request. Only the key is taken from it, and the subject where that is accepted.
        case request(CertificateRequest)
        /// That of another CA, which keeps its name byte for byte: a cross-certificate.
        case crossCertificate(Certificate)

        /// Whether a key is stored under the CA's name.
        var bringsKey: Bool {
            switch self {
            case .newKey, .externalKey: true
            case .request, .crossCertificate: false
            }
        }
    }

    /// The source of everything else.
    public var template: CertificateTemplate
    /// The name of the files: `NAME-cert.pem` and `NAME-key.pem`.
    public var name: String
    /// Whose key is certified.
    public var key: KeySource = .newKey(nil)
    /// The CA's name in certificates; without one, `CN=NAME`.
    public var subject: DistinguishedName?
    /// Whether the subject of a certificate request is accepted.
    public var acceptsRequestedSubject = false
    /// Whether to allow a name that can be mistaken for another.
    public var allowsInsecureNames = false
    /// How long the CA is valid.
    public var lifetime: Lifetime?
    /// How many CAs there may be below it; without one, what the template says, or fewer where the issuer allows no more.
    public var pathLength: Int?
    /// Which names it may certify.
    public var nameConstraints = NameConstraints()
    /// Encrypts the key file.
    public var passphrase: SecretBytes?
    /// Whether existing files of the same names go to the archive, and another entry may have the same common name.
    /// Otherwise both are errors.
    public var archivesExisting = false

    /// Creates a request that takes everything from a template.
    public init(template: CertificateTemplate, name: String) {
        self.template = template
        self.name = name
    }
}

/// The properties of a new certificate that is not a CA's. What is left out comes from the certificate request, then from the
/// template.
public struct ClientRequest: Sendable {
    /// The source of everything else.
    public var template: CertificateTemplate
    /// The name of the files: `NAME-cert.pem` and `NAME-key.pem`.
    public var name: String
    /// Whether the name is the common name, in place of the template's.
    public var nameIsCommonName = false
    /// The subject.
    public var subject: DistinguishedName?
    /// The alternative names.
    public var subjectAlternativeNames: [GeneralName] = []
    /// The kind of key to make. Not together with a request, which brings its own.
    public var keyType: KeyType?
    /// A request whose key is certified; no key is made then. Its subject and names count only where they are accepted.
    public var certificateRequest: CertificateRequest?
    /// Whether the subject of the certificate request is accepted, in place of the one made from the name.
    public var acceptsRequestedSubject = false
    /// Whether the alternative names of the certificate request are accepted too.
    public var acceptsRequestedNames = false
    /// Whether to allow names that can be mistaken for others: mixed scripts, invisible characters.
    public var allowsInsecureNames = false
    /// The largest number of alternative names.
    public var maximumNames = NamePolicy.mostNames
    /// How long the certificate is valid.
    public var lifetime: Lifetime?
    /// Encrypts the key file.
    public var passphrase: SecretBytes?
    /// The encryption of a PKCS#12 file to make as well, with a passphrase of its own in a file beside it.
    public var bundle: PKCS12Archive.Encryption?
    /// Whether existing files of the same names go to the archive, and another entry may have the same common name.
    /// Otherwise both are errors.
    public var archivesExisting = false

    /// Creates a request that takes everything from a template.
    public init(template: CertificateTemplate, name: String) {
        self.template = template
        self.name = name
    }

    /// Decides about names, as issuing does, without issuing.
    package func review() throws -> RequestReview {
        try ClientPolicy.check(self)
        return try ClientPolicy.review(self)
    }
}

/// The names that a certificate gets, and what becomes of those that its request asks for.
package struct RequestReview: Sendable {
    package internal(set) var subject: DistinguishedName
    /// The alternative names; none when the template has its own.
    package internal(set) var names: [GeneralName]
    /// What is accepted from a certificate request, each as `the name DNS:web-1.example.com`, safe for a terminal. Show it
    /// before the certificate is made.
    package internal(set) var accepted: [String] = []
    /// What is not accepted, each a sentence without a full stop.
    package internal(set) var notices: [String] = []
}

/// A key outside of the CA's directory.
public struct ExternalKey: Sendable {
    /// The address under which it is found again, which holds no secret.
    public var address: String
    /// Opens the key, or makes it. Called once, when everything else in the request is known to be right: a key that is made
    /// in a token stays there.
    public var open: @Sendable () throws -> any SigningKey

    /// Creates a reference to a key; see ``address`` and ``open``.
    public init(address: String, open: @escaping @Sendable () throws -> any SigningKey) {
        self.address = AuthorityFiles.lastingAddress(address)
        self.open = open
    }

    /// Opens the key, which must be of this type if there is one.
    func opened(as type: KeyType?) throws -> any SigningKey {
        let key = try open()
        if let type, key.publicKey.algorithm != type.algorithm {
            throw AuthorityError(
                .invalidRequest,
                "the key \(address) is of the kind \(key.publicKey.algorithm), and \(type.rawValue) was asked for",
                hint: "leave --key-type out, or name another key")
        }
        return key
    }
}

/// A certificate that is on the disk, and where.
public struct IssuedCertificate: Sendable {
    /// The certificate.
    public let certificate: Certificate
    /// The path of the certificate's file.
    public let certificatePath: String
    /// The path of the key's file; `nil` when the key is elsewhere or came in a certificate request.
    public let keyPath: String?
    /// The address of a key that is in a token, a TPM or an agent.
    public let keyAddress: String?
    /// The path of the file with the CA certificates between the certificate and its root; `nil` when there are none.
    public let chainPath: String?
    /// Where existing files of the same names were moved.
    public let archivedPaths: [String]
    /// What the user should know and may not expect, each a sentence without a full stop.
    public let notices: [String]
}
