// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import SystemSupport

extension StoredIdentity {
    /// Key, certificate and every CA certificate up to the root, under the identity's name.
    ///
    /// - Parameters:
    ///   - key: The key; see ``key(passphrase:)``.
    ///   - encryption: How the file is encrypted.
    /// - Returns: What is to be encoded.
    /// - Throws: `CertificateError` when the key is not the certificate's.
    public func archive(
        with key: PrivateKey,
        encryption: PKCS12Archive.Encryption = .modern
    ) throws(CertificateError) -> PKCS12Archive {
        try PKCS12Archive(
            key: key,
            certificate: certificate,
            chain: intermediates + (root == certificate ? [] : [root]),
            friendlyName: name,
            encryption: encryption
        )
    }

    /// The roots that whoever is to accept the certificate must trust, and no key: a truststore for Java.
    ///
    /// - Parameter encryption: How the file is encrypted.
    /// - Returns: What is to be encoded.
    /// - Throws: `CertificateError` when libcrypto fails.
    public func truststore(encryption: PKCS12Archive.Encryption = .modern) throws(CertificateError) -> PKCS12Archive {
        let names = trustedRoots.map { root in root.subject.commonName.map { printable($0) } ?? "root" }
        let entries = zip(names, trustedRoots).enumerated().map { index, root in
            // The root that is being replaced often has the name of its successor.
            PKCS12Archive.TrustedCertificate(name: index == 0 ? root.0 : "\(root.0) (previous)", certificate: root.1)
        }
        return try PKCS12Archive(trusting: entries, encryption: encryption)
    }
}
