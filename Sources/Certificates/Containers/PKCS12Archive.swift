// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// What a new PKCS#12 file (RFC 7292) is to hold: a key with its certificates, or certificates that are to be trusted.
public struct PKCS12Archive: Sendable {
    /// How the file is encrypted and authenticated. Key and certificates are encrypted alike, each with a salt of its own.
    public enum Encryption: String, Sendable, CaseIterable {
        /// PBES2 with AES-256-CBC and PBKDF2 with HMAC-SHA-256 in 600,000 rounds, authenticated by HMAC-SHA-256 of as
        /// many: about half a second for who opens it. OpenSSL 1.1, Java 8u301 and Windows from 2019 on read it.
        case modern
        /// Triple DES under a key derived by SHA-1 in 100,000 rounds, authenticated by HMAC-SHA-1: for macOS, older Java
        /// and Windows before 2019, which read nothing else. Its strength is all in the passphrase.
        case legacy
    }

    /// A certificate that is to be trusted, and what it is called.
    public struct TrustedCertificate: Hashable, Sendable {
        /// The alias: unique in a file, whatever the case.
        public var name: String

        /// The certificate.
        public var certificate: Certificate

        /// Makes an entry.
        ///
        /// - Parameters:
        ///   - name: The alias.
        ///   - certificate: The certificate.
        public init(name: String, certificate: Certificate) {
            self.name = name
            self.certificate = certificate
        }
    }

    /// The kinds of file.
    enum Contents: Sendable {
        case identity(PrivateKey, [Certificate], friendlyName: String?)
        case trust([TrustedCertificate])
    }

    let contents: Contents

    /// How the file is encrypted.
    public var encryption: Encryption

    /// Whether the passphrase was drawn by lot, with 128 random bits or more. Then 2,048 rounds are enough: nobody guesses
    /// it, however little a guess costs, and ten thousand files do not take hours.
    public var hasRandomPassphrase = false

    /// An archive of a key and its certificates, joined by the identifier of the key.
    ///
    /// - Parameters:
    ///   - key: The private key.
    ///   - certificate: The certificate of the key.
    ///   - chain: The certificates of the CAs above, in any order; may be left out.
    ///   - friendlyName: What programs show as its name, and Java as its alias.
    ///   - encryption: How the file is encrypted.
    /// - Throws: ``CertificateError`` with ``CertificateErrorCode/mismatch`` when the certificate is not the key's.
    public init(
        key: PrivateKey,
        certificate: Certificate,
        chain: [Certificate] = [],
        friendlyName: String? = nil,
        encryption: Encryption = .modern
    ) throws(CertificateError) {
        guard key.publicKey == certificate.publicKey else {
            throw CertificateError(
                .mismatch,
                "the private key is not the key in the certificate (\(certificate.subject))"
            )
        }
        contents = .identity(key, [certificate] + chain, friendlyName: friendlyName)
        self.encryption = encryption
    }

    /// An archive of certificates alone, which Java lists as `trustedCertEntry`.
    ///
    /// - Parameters:
    ///   - certificates: The certificates and their aliases.
    ///   - encryption: How the file is encrypted.
    /// - Throws: ``CertificateError`` with ``CertificateErrorCode/invalidName`` when an alias is empty or there twice:
    ///   Java compares them in lower case, and would lose a certificate.
    public init(
        trusting certificates: [TrustedCertificate],
        encryption: Encryption = .modern
    ) throws(CertificateError) {
        var names: Set<String> = []
        for certificate in certificates {
            guard !certificate.name.isEmpty, names.insert(certificate.name.lowercased()).inserted else {
                throw CertificateError(
                    .invalidName,
                    certificate.name.isEmpty
                        ? "the alias of a trusted certificate is empty"
                        : "two trusted certificates would have the alias \(printable(certificate.name))"
                )
            }
        }
        contents = .trust(certificates)
        self.encryption = encryption
    }
}
