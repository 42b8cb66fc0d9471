// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// A new PKCS#12 file (RFC 7292): a key with its certificates, or trusted certificates.
public struct PKCS12Archive: Sendable {
    /// How the file is encrypted and authenticated. Key and certificates are encrypted alike, each with a salt of its own.
    public enum Encryption: String, Sendable, CaseIterable {
        /// PBES2 with AES-256-CBC and PBKDF2 with HMAC-SHA-256 in 600,000 rounds, authenticated by HMAC-SHA-256 of as
        /// many: about half a second for who opens it. OpenSSL 1.1, Java 8u301 and Windows from 2019 on read it.
        case modern
        /// Triple DES under a key derived by SHA-1 in 100,000 rounds, authenticated by HMAC-SHA-1: for macOS, older Java
        /// and Windows before 2019, which read no other. Its strength is that of the passphrase.
        case legacy
    }

    /// A trusted certificate and its alias.
    public struct TrustedCertificate: Hashable, Sendable {
        /// The alias: unique in a file, whatever the case.
        public var name: String

        /// The certificate.
        public var certificate: Certificate

        /// Creates an entry.
        public init(name: String, certificate: Certificate) {
            self.name = name
            self.certificate = certificate
        }
    }

    enum Contents: Sendable {
        case identity(PrivateKey, [Certificate], friendlyName: String?)
        case trust([TrustedCertificate])
    }

    let contents: Contents

    /// How the file is encrypted.
    public var encryption: Encryption

    /// Whether the passphrase is random, with 128 bits or more. Then 2,048 rounds are enough: it cannot be guessed.
    public var hasRandomPassphrase = false

    /// Creates an archive of a key and its certificates; the chain holds the CAs above, in any order. Programs show the
    /// friendly name, which is Java's alias. Throws ``CertificateErrorCode/mismatch`` if the certificate is not the
    /// key's.
    public init(
        key: PrivateKey, certificate: Certificate, chain: [Certificate] = [], friendlyName: String? = nil,
        encryption: Encryption = .modern
    ) throws(CertificateError) {
        guard key.publicKey == certificate.publicKey else {
            throw CertificateError(
                .mismatch, "the private key is not the key in the certificate (\(certificate.subject))")
        }
        contents = .identity(key, [certificate] + chain, friendlyName: friendlyName)
        self.encryption = encryption
    }

    /// Creates an archive of certificates alone, which Java lists as `trustedCertEntry`. Throws
    /// ``CertificateErrorCode/invalidName`` for an alias that is empty or not unique: Java compares them in lower case.
    public init(
        trusting certificates: [TrustedCertificate], encryption: Encryption = .modern
    ) throws(CertificateError) {
        var names: Set<String> = []
        for certificate in certificates {
            guard !certificate.name.isEmpty, names.insert(certificate.name.lowercased()).inserted else {
                throw CertificateError(
                    .invalidName,
                    certificate.name.isEmpty
                        ? "the alias of a trusted certificate is empty"
                        : "two trusted certificates would have the alias \(printable(certificate.name))")
            }
        }
        contents = .trust(certificates)
        self.encryption = encryption
    }
}
