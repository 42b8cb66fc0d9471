// SPDX-License-Identifier: Apache-2.0

public import struct FoundationEssentials.Date
public import SystemSupport

/// A certificate revocation list (RFC 5280 §5).
///
/// It stores its DER encoding; equality compares it. The entries are indexed when it is read, so that finding a serial
/// number takes the same time in a CRL of any size.
public struct CertificateRevocationList: Hashable, Sendable {
    /// The DER encoding, exactly as it was read.
    public let derEncoded: [UInt8]

    /// Compares the DER encodings.
    public static func == (left: CertificateRevocationList, right: CertificateRevocationList) -> Bool {
        left.derEncoded == right.derEncoded
    }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) { hasher.combine(derEncoded) }

    /// When and why one certificate was revoked.
    public struct Entry: Hashable, Sendable {
        /// The certificate's serial number.
        public let serialNumber: SerialNumber

        /// When it was revoked.
        public let revocationDate: Date

        /// Why; `nil` if the CRL does not say.
        public let reason: RevocationReason?
    }

    /// The version: 1, or 2 for a CRL with extensions.
    public let version: Int

    /// How the issuer signed.
    public let signatureAlgorithm: SignatureAlgorithm

    /// The issuer's name.
    public let issuer: DistinguishedName

    /// When the CRL was made.
    public let thisUpdate: Date

    /// When the next CRL is due at the latest; `nil` if the CRL does not say.
    public let nextUpdate: Date?

    /// Every extension, in the order of the CRL.
    public let extensions: [CertificateExtension]

    /// The CRL's number, which grows from one CRL to the next (RFC 5280 §5.2.3): up to 20 octets.
    public let number: SerialNumber?

    /// The identifier of the issuer's key.
    public let authorityKeyIdentifier: [UInt8]?

    let entriesByNumber: [SerialNumber: Entry]

    /// How many certificates are revoked.
    public var revokedCount: Int { entriesByNumber.count }

    /// Every entry, in no order.
    public var entries: some Collection<Entry> { entriesByNumber.values }

    /// Whether this is a delta CRL (RFC 5280 §5.2.4), which lists only what has changed since another.
    public var isDelta: Bool { extensions.contains { $0.identifier == Self.deltaIndicator } }

    /// The critical extensions, of the CRL and of its entries, that this module does not process, by libcrypto's short
    /// names, each once. A CRL with any must not be relied on (RFC 5280 §5.2); `issuingDistributionPoint`, `deltaCRL` and
    /// an entry's `certificateIssuer` are among them.
    public let unhandledCriticalExtensions: [String]

    /// Returns the entry of a certificate of the issuer; `nil` if it is not revoked, or only listed as `removeFromCRL`.
    public func entry(for serialNumber: SerialNumber) -> Entry? { entriesByNumber[serialNumber] }

    /// Whether a time is between the two updates, both included. A CRL without a next update stays current.
    public func isCurrent(at date: Date) -> Bool { thisUpdate <= date && nextUpdate.map { date <= $0 } ?? true }

    /// Whether a certificate's key made the signature; `false` also if the algorithm is not known. Names, key usage and
    /// validity are not checked.
    public func isSigned(by certificate: Certificate) -> Bool { isSigned(by: certificate.publicKey) }

    /// Whether a CA issued the CRL: its subject is the issuer, its key usage allows it or is absent, and its key made the
    /// signature (RFC 5280 §6.3.3).
    public func isIssued(by certificate: Certificate) -> Bool {
        certificate.subject == issuer && certificate.keyUsage?.contains(.crlSign) ?? true && isSigned(by: certificate)
    }

    /// The CRL in PEM, without any text around it.
    public var pemEncoded: String { PEMDocument(label: Self.label, bytes: derEncoded).text }

    /// Reads the first CRL of a PEM text with anything around it.
    public init(pemEncoded: String) throws(CertificateError) {
        guard let document = try PEMDocument.documents(in: pemEncoded.utf8).first(where: { $0.label == Self.label })
        else {
            throw CertificateError(
                .malformed, "there is no certificate revocation list in it",
                hint: "a list in PEM begins with -----BEGIN \(Self.label)-----")
        }
        try self.init(derEncoded: document.bytes)
    }

    private static let label = "X509 CRL"
    private static let deltaIndicator = "2.5.29.27"
}

/// Why a certificate was revoked (RFC 5280 §5.3.1); the raw value is the CRLReason.
public enum RevocationReason: Int, Hashable, Sendable, CaseIterable {
    /// The reason is unknown. Numbers that RFC 5280 does not define count as this.
    case unspecified = 0
    /// The certified key is known to others.
    case keyCompromise = 1
    /// The CA's key is known to others.
    case cACompromise = 2
    /// The subject's name, or something else in the certificate, has changed.
    case affiliationChanged = 3
    /// Another certificate has taken its place.
    case superseded = 4
    /// It is no longer needed for its purpose.
    case cessationOfOperation = 5
    /// It is suspended, and may come back.
    case certificateHold = 6
    /// It is no longer revoked. Used in delta CRLs only, where it cancels an earlier entry.
    case removeFromCRL = 8
    /// A privilege that the certificate names was withdrawn.
    case privilegeWithdrawn = 9
    /// The key of an attribute authority is known to others.
    case aACompromise = 10

    /// The name in RFC 5280, for example `keyCompromise`.
    public var name: String { "\(self)" }
}
