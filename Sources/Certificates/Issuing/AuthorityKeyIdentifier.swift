// SPDX-License-Identifier: Apache-2.0

extension CertificateExtension {
    /// The authority key identifier of what a CA signs: its subject key identifier, or one computed from its key.
    ///
    /// - Parameter issuer: The CA's certificate.
    /// - Throws: An error when the key of the CA cannot be taken apart.
    init(authorityKeyOf issuer: Certificate) throws {
        self.init(authorityKeyIdentifier: try issuer.subjectKeyIdentifier ?? issuer.publicKey.keyIdentifier())
    }

    /// An authority key identifier by key only: issuer and serial number would tie all that a CA signs to one of its
    /// certificates.
    ///
    /// - Parameter keyIdentifier: The identifier of the CA's key.
    init(authorityKeyIdentifier keyIdentifier: [UInt8]) {
        self.init(
            Self.authorityKeyIdentifier,
            name: "authorityKeyIdentifier",
            isCritical: false,
            value: DER.sequence([DER.encode(DER.implicit(0), keyIdentifier)])
        )
    }
}
