// SPDX-License-Identifier: Apache-2.0

/// One extension of a certificate or a request (RFC 5280 §4.2).
public struct CertificateExtension: Hashable, Sendable {
    /// The object identifier in dots.
    public let identifier: String

    /// libcrypto's short name of it (`basicConstraints`), or the identifier when it has none.
    public let name: String

    /// Whether a reader that does not know the extension must refuse the certificate.
    public let isCritical: Bool

    /// The DER encoding of the whole Extension.
    let derEncoded: [UInt8]

    /// The contents of its OCTET STRING, which are DER again.
    public let value: [UInt8]
}

extension CertificateExtension {
    /// Encodes an extension.
    ///
    /// - Parameters:
    ///   - identifier: The object identifier in dots.
    ///   - name: The short name.
    ///   - isCritical: Whether a reader that does not know it must refuse the certificate.
    ///   - value: The DER encoding of the value.
    init(_ identifier: String, name: String, isCritical: Bool, value: [UInt8]) {
        self.identifier = identifier
        self.name = name
        self.isCritical = isCritical
        self.value = value
        let criticality = isCritical ? DER.true : []
        derEncoded = DER.sequence([DER.objectIdentifier(identifier), criticality, DER.encode(DER.octetString, value)])
    }

    static let subjectKeyIdentifier = "2.5.29.14"
    static let keyUsage = "2.5.29.15"
    static let subjectAlternativeName = "2.5.29.17"
    static let basicConstraints = "2.5.29.19"
    static let revocationListNumber = "2.5.29.20"
    static let revocationReason = "2.5.29.21"
    static let invalidityDate = "2.5.29.24"
    static let nameConstraints = "2.5.29.30"
    static let authorityKeyIdentifier = "2.5.29.35"
}
