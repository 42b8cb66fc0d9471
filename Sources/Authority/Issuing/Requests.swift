// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import SystemSupport

/// The properties of a new root CA. The template has the defaults.
public struct RootRequest: Sendable {
    /// The template, for all other properties.
    public var template: CertificateTemplate
    /// The CA's name.
    public var subject: DistinguishedName?
    /// The kind of key, also of an external key.
    public var keyType: KeyType?
    /// The lifetime.
    public var lifetime: Lifetime?
    /// The largest number of intermediate CAs between the root and a client.
    public var pathLength: Int?
    /// The names that the CA may certify.
    public var nameConstraints = NameConstraints()
    /// Whether confusable names are allowed.
    public var allowsInsecureNames = false
    /// A key in a token or an agent, in place of a new key file.
    public var externalKey: ExternalKey?
    /// Encrypts the key file.
    public var passphrase: SecretBytes?
    /// Whether existing files go to the archive; otherwise they are an error.
    public var archivesExisting = false

    /// Creates a request with the properties of a template.
    public init(template: CertificateTemplate) { self.template = template }
}

/// The properties of a new intermediate CA. The template has the defaults.
public struct IntermediateRequest: Sendable {
    /// The source of the certified key.
    public enum KeySource: Sendable {
        /// A new key, whose file is written into the directory.
        case newKey(KeyType?)
        /// A key in a token or an agent.
        case externalKey(ExternalKey, KeyType?)
        /// The key of a request, of which only the subject may be used too.
        case request(CertificateRequest)
        /// The key of another CA, whose name stays the same byte for byte: a cross-certificate.
        case crossCertificate(Certificate)

        /// Whether a key is stored under the CA's name.
        var bringsKey: Bool {
            switch self {
            case .newKey, .externalKey: true
            case .request, .crossCertificate: false
            }
        }
    }

    /// The template, for all other properties.
    public var template: CertificateTemplate
    /// The name of the files: `NAME-cert.pem` and `NAME-key.pem`.
    public var name: String
    /// The source of the certified key.
    public var key: KeySource = .newKey(nil)
    /// The CA's subject; by default `CN=NAME`.
    public var subject: DistinguishedName?
    /// Whether the subject of a certificate request is accepted.
    public var acceptsRequestedSubject = false
    /// Whether confusable names are allowed.
    public var allowsInsecureNames = false
    /// The lifetime.
    public var lifetime: Lifetime?
    /// The largest number of CAs below it; by default the template's, reduced to the number that the issuer allows.
    public var pathLength: Int?
    /// The names that it may certify.
    public var nameConstraints = NameConstraints()
    /// Encrypts the key file.
    public var passphrase: SecretBytes?
    /// Whether existing files go to the archive, and another entry may have the same common name; otherwise both are
    /// errors.
    public var archivesExisting = false

    /// Creates a request with the properties of a template.
    public init(template: CertificateTemplate, name: String) {
        self.template = template
        self.name = name
    }
}

/// The properties of a new certificate that is not a CA's. The template has the defaults.
public struct ClientRequest: Sendable {
    /// The template, for all other properties.
    public var template: CertificateTemplate
    /// The name of the files: `NAME-cert.pem` and `NAME-key.pem`.
    public var name: String
    /// Whether the name is the common name in place of the template's.
    public var nameIsCommonName = false
    /// The subject.
    public var subject: DistinguishedName?
    /// The alternative names.
    public var subjectAlternativeNames: [GeneralName] = []
    /// The kind of a new key; `nil` if there is a certificate request.
    public var keyType: KeyType?
    /// A request whose key is certified in place of a new one. Its subject and names are used only if they are
    /// accepted.
    public var certificateRequest: CertificateRequest?
    /// Whether the subject of the certificate request is accepted.
    public var acceptsRequestedSubject = false
    /// Whether the alternative names of the certificate request are accepted.
    public var acceptsRequestedNames = false
    /// Whether confusable names are allowed: mixed scripts, invisible characters.
    public var allowsInsecureNames = false
    /// The largest number of alternative names.
    public var maximumNames = NamePolicy.mostNames
    /// The lifetime.
    public var lifetime: Lifetime?
    /// Whether a lifetime beyond the CA's is shortened; otherwise it is an error.
    package var endsWithAuthority = false
    /// The URL below which `pki serve-ca` tells about revocations, for the certificate; `nil` to name none.
    package var statusURL: String?
    /// Whether it is for an ``OwnCertificate``, which has a reserved name.
    var isServers = false
    /// Encrypts the key file.
    public var passphrase: SecretBytes?
    /// The encryption of an additional PKCS#12 file, whose passphrase is in a file next to it; `nil` for none.
    public var bundle: PKCS12Archive.Encryption?
    /// Whether existing files go to the archive, and another entry may have the same common name; otherwise both are
    /// errors.
    public var archivesExisting = false

    /// Creates a request with the properties of a template.
    public init(template: CertificateTemplate, name: String) {
        self.template = template
        self.name = name
    }

    /// Decides about names as issuing does.
    package func review() throws -> RequestReview {
        try ClientPolicy.check(self)
        return try ClientPolicy.review(self)
    }
}

/// The names of a certificate, and the decisions about those that its request contains.
package struct RequestReview: Sendable {
    package internal(set) var subject: DistinguishedName
    /// The alternative names; empty if the template has its own.
    package internal(set) var names: [GeneralName]
    /// What is accepted from a certificate request, such as `the name DNS:web-1.example.com`, safe for a terminal. Show
    /// it before issuing.
    package internal(set) var accepted: [String] = []
    /// What is not accepted, each a sentence without a full stop.
    package internal(set) var notices: [String] = []
}

/// A key outside of the CA's directory.
public struct ExternalKey: Sendable {
    /// The address, which contains no secret.
    public var address: String
    /// Opens or creates the key. Called once, after the rest of the request has been checked: a key that is created in
    /// a token stays there.
    public var open: @Sendable () throws -> any SigningKey

    /// Creates a reference to a key; see ``address`` and ``open``.
    public init(address: String, open: @escaping @Sendable () throws -> any SigningKey) {
        self.address = AuthorityFiles.lastingAddress(address)
        self.open = open
    }

    /// Opens the key and checks its type.
    func opened(as type: KeyType?) throws -> any SigningKey {
        let key = try open()
        if let type, key.publicKey.algorithm != type.algorithm {
            throw AuthorityError(
                .invalidRequest,
                "the key \(address) is \(key.publicKey.algorithm), but \(type.rawValue) was requested",
                hint: "leave out --key-type, or give another key")
        }
        return key
    }
}

/// An issued certificate and the paths of its files.
public struct IssuedCertificate: Sendable {
    /// The certificate.
    public let certificate: Certificate
    /// The path of the certificate's file.
    public let certificatePath: String
    /// The path of the key's file; `nil` if the directory does not have the key.
    public let keyPath: String?
    /// The address of a key that is in a token, a TPM or an agent.
    public let keyAddress: String?
    /// The path of the file with the CA certificates between the certificate and its root; `nil` if there are none.
    public let chainPath: String?
    /// The paths of existing files in the archive.
    public let archivedPaths: [String]
    /// Warnings, each a sentence without a full stop.
    public let notices: [String]

    package init(
        certificate: Certificate, certificatePath: String, keyPath: String?, keyAddress: String? = nil,
        chainPath: String?, archivedPaths: [String], notices: [String] = []
    ) {
        self.certificate = certificate
        self.certificatePath = certificatePath
        self.keyPath = keyPath
        self.keyAddress = keyAddress
        self.chainPath = chainPath
        self.archivedPaths = archivedPaths
        self.notices = notices
    }
}
