// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

public import struct FoundationEssentials.Date

/// A list of revoked certificates (RFC 5280 §5).
///
/// As a certificate is, a list is its bytes. The entries are indexed when it is read, so that a serial number is found in
/// the same time in a list of ten and of a million.
public struct CertificateRevocationList: Hashable, Sendable {
    /// The DER encoding, exactly as it was read.
    public let derEncoded: [UInt8]

    /// What stands in the list, read once.
    let contents: Contents

    /// Two lists are the same when their bytes are.
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

        /// Why; nothing when the list does not say.
        public let reason: RevocationReason?
    }

    /// The fields of a list (RFC 5280 §5.1.2, §5.2).
    struct Contents: Sendable {
        var version: Int
        var signatureAlgorithm: SignatureAlgorithm
        var issuer: DistinguishedName
        var thisUpdate: Date
        var nextUpdate: Date?
        var extensions: [CertificateExtension]
        var number: SerialNumber?
        var authorityKeyIdentifier: [UInt8]?
        var entries: [SerialNumber: Entry]
        var unhandledCriticalExtensions: [String]
    }

    /// The version: 1, or 2 for a list with extensions.
    public var version: Int { contents.version }

    /// How the issuer signed.
    public var signatureAlgorithm: SignatureAlgorithm { contents.signatureAlgorithm }

    /// The issuer's name.
    public var issuer: DistinguishedName { contents.issuer }

    /// When the list was made.
    public var thisUpdate: Date { contents.thisUpdate }

    /// When there will be another list at the latest; nothing when the list does not say.
    public var nextUpdate: Date? { contents.nextUpdate }

    /// Every extension, in the order of the list.
    public var extensions: [CertificateExtension] { contents.extensions }

    /// The list's own number, which grows from list to list (RFC 5280 §5.2.3): up to 20 octets, as a serial number.
    public var number: SerialNumber? { contents.number }

    /// The identifier of the issuer's key.
    public var authorityKeyIdentifier: [UInt8]? { contents.authorityKeyIdentifier }

    /// How many certificates are revoked.
    public var revokedCount: Int { contents.entries.count }

    /// Every entry, in no order.
    public var entries: some Collection<Entry> { contents.entries.values }

    /// Whether the list holds only what has changed since another (RFC 5280 §5.2.4): alone it says nothing of what it
    /// does not name.
    public var isDelta: Bool { extensions.contains { $0.identifier == Self.deltaIndicator } }

    /// The critical extensions, of the list and of its entries, that this module does not act upon, by libcrypto's short
    /// names, each once.
    ///
    /// Whoever finds one here must not rely on the list (RFC 5280 §5.2). An `issuingDistributionPoint`, which narrows what
    /// the list speaks of, a `deltaCRL` indicator and the `certificateIssuer` of an entry are among them.
    public var unhandledCriticalExtensions: [String] { contents.unhandledCriticalExtensions }

    /// Finds out whether a certificate of the issuer is revoked.
    ///
    /// - Parameter serialNumber: The certificate's serial number.
    /// - Returns: Nothing when it is not in the list, or only as one that was taken back (`removeFromCRL`).
    public func entry(for serialNumber: SerialNumber) -> Entry? { contents.entries[serialNumber] }

    /// Whether a moment lies between the two updates, both included; without a next update the list stays current.
    ///
    /// - Parameter date: The moment.
    /// - Returns: Whether it does.
    public func isCurrent(at date: Date) -> Bool { thisUpdate <= date && nextUpdate.map { date <= $0 } ?? true }

    /// Whether a certificate's key made the signature. Names, key usage and validity are not looked at.
    ///
    /// - Parameter certificate: The certificate.
    /// - Returns: `false` also when the algorithm is not known.
    public func isSigned(by certificate: Certificate) -> Bool { isSigned(by: certificate.publicKey) }

    /// Whether a certificate's subject issued the list: the name is the issuer's, the key usage allows it or is absent,
    /// and the signature is its key's (RFC 5280 §6.3.3).
    ///
    /// - Parameter certificate: The certificate of the CA.
    /// - Returns: Whether all three are so.
    public func isIssued(by certificate: Certificate) -> Bool {
        certificate.subject == issuer && certificate.keyUsage?.contains(.crlSign) ?? true && isSigned(by: certificate)
    }

    /// The list as a PEM object, without any text around it.
    public var pemEncoded: String { PEMDocument(label: Self.label, bytes: derEncoded).text }

    /// Reads the first list of a PEM text.
    ///
    /// - Parameter pemEncoded: The text, with anything around the list.
    /// - Throws: ``CertificateError`` with ``CertificateErrorCode/malformed``.
    public init(pemEncoded: String) throws(CertificateError) {
        guard let document = try PEMDocument.documents(in: pemEncoded.utf8).first(where: { $0.label == Self.label })
        else {
            throw CertificateError(
                .malformed,
                "there is no certificate revocation list in it",
                hint: "a list in PEM begins with -----BEGIN \(Self.label)-----"
            )
        }
        try self.init(derEncoded: document.bytes)
    }

    /// Makes a list of what was read.
    init(derEncoded: [UInt8], contents: Contents) {
        self.derEncoded = derEncoded
        self.contents = contents
    }

    private static let label = "X509 CRL"
    private static let deltaIndicator = "2.5.29.27"
}
