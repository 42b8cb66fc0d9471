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

    /// A request whose key is certified; no key is made then.
    public var certificateRequest: CertificateRequest?

    /// How long the certificate is good for.
    public var lifetime: Lifetime?

    /// Encrypts the key file.
    public var passphrase: SecretBytes?

    /// How a PKCS#12 file is encrypted that is made as well, with a passphrase of its own in a file beside it.
    public var bundle: PKCS12Archive.Encryption?

    /// Whether files of the same names go to the archive. Otherwise they are in the way.
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
