// SPDX-License-Identifier: Apache-2.0

public import struct FoundationEssentials.Date
import SystemSupport

/// The contents of a complete CRL that its issuer does not determine. It covers every certificate of its issuer.
public struct RevocationListParameters: Sendable {
    /// The CRL's number, which must grow from one CRL to the next: at most 20 octets (RFC 5280 §5.2.3).
    public var number: SerialNumber

    /// When the CRL is made; whole seconds.
    public var thisUpdate: Date

    /// When the next CRL is due at the latest; whole seconds.
    public var nextUpdate: Date

    /// The revoked certificates in any order, each once.
    public var entries: [Entry]

    /// When and why one certificate was revoked.
    public struct Entry: Hashable, Sendable {
        /// The certificate's serial number. One of more than 20 octets is taken as well: who issued such a certificate
        /// must be able to revoke it.
        public var serialNumber: SerialNumber

        /// When it was revoked; whole seconds.
        public var revocationDate: Date

        /// Why. ``RevocationReason/unspecified`` is the same as `nil`: no reason is written (RFC 5280 §5.3.1).
        public var reason: RevocationReason?

        /// Since when the key was known to others, or the certificate was wrong otherwise, when that is known: usually
        /// before the revocation (RFC 5280 §5.3.2); whole seconds.
        public var invalidityDate: Date?

        /// Creates an entry.
        public init(
            serialNumber: SerialNumber, revocationDate: Date, reason: RevocationReason? = nil,
            invalidityDate: Date? = nil
        ) {
            self.serialNumber = serialNumber
            self.revocationDate = revocationDate
            self.reason = reason
            self.invalidityDate = invalidityDate
        }
    }

    /// Creates parameters.
    public init(number: SerialNumber, thisUpdate: Date, nextUpdate: Date, entries: [Entry]) {
        self.number = number
        self.thisUpdate = thisUpdate
        self.nextUpdate = nextUpdate
        self.entries = entries
    }
}

extension RevocationListParameters {
    /// Returns a CRL that a CA issues (RFC 5280 §5), of version 2 with number and authority key identifier. The issuer's
    /// name is the CA's subject, byte for byte, and the entries are sorted by serial number. Throws ``CertificateError``
    /// if the issuer is not a CA that may sign CRLs, the key is not its key, its certificate is not valid at
    /// ``thisUpdate``, or the parameters break another rule.
    public func signed(by key: any SigningKey, issuer: Certificate) throws -> CertificateRevocationList {
        guard key.publicKey == issuer.publicKey else {
            throw CertificateError(.mismatch, "the CA key is not the key in the CA certificate (\(issuer.subject))")
        }
        guard issuer.isCA else {
            throw CertificateError(.forbidden, "\(issuer.subject) is not a CA: it has no certificates to revoke")
        }
        guard issuer.keyUsage?.contains(.crlSign) ?? true else {
            throw CertificateError(
                .forbidden,
                "the certificate of \(issuer.subject) does not allow it to sign revocation lists: its key usage lacks cRLSign",
                hint: "issue the CA's certificate again with keyUsage = critical, keyCertSign, cRLSign")
        }
        try checkTimes(issuer: issuer)
        guard number.fitsInTwentyOctets else {
            throw CertificateError(.forbidden, "the number of a CRL must have at most 20 octets")
        }
        let algorithm = try SignatureIdentifier(for: key.publicKey.algorithm)
        let toBeSigned = DER.sequence([
            DER.unsignedInteger([1]), algorithm.derEncoded, issuer.subject.derEncoded, try DER.time(thisUpdate),
            try DER.time(nextUpdate), try revokedCertificates(),
            DER.encode(DER.constructed(0), DER.sequence(try extensions(issuer: issuer).map(\.derEncoded))),
        ])
        let signature = try key.signature(for: toBeSigned, digest: algorithm.digest)
        return try CertificateRevocationList(
            derEncoded: DER.sequence([toBeSigned, algorithm.derEncoded, DER.bitString(signature)]))
    }

    /// Compares times as they are encoded, in whole seconds.
    private func checkTimes(issuer: Certificate) throws(CertificateError) {
        let made = Date(timeIntervalSince1970: thisUpdate.timeIntervalSince1970.rounded(.down))
        guard made.timeIntervalSince1970 < nextUpdate.timeIntervalSince1970.rounded(.down) else {
            throw CertificateError(.forbidden, "the CRL's nextUpdate is not later than its thisUpdate")
        }
        guard issuer.isValid(at: made) else {
            throw CertificateError(
                .forbidden,
                "the certificate of the CA (\(issuer.subject)) is not valid when the revocation list is made")
        }
    }

    private func extensions(issuer: Certificate) throws -> [CertificateExtension] {
        let number = CertificateExtension(
            CertificateExtension.revocationListNumber, name: "crlNumber", isCritical: false,
            value: DER.unsignedInteger(number.magnitude))
        return [try CertificateExtension(authorityKeyOf: issuer), number]
    }

    /// The field, which is left out if no certificate is revoked (RFC 5280 §5.1.2.6).
    private func revokedCertificates() throws(CertificateError) -> [UInt8] {
        guard !entries.isEmpty else { return [] }
        let sorted = entries.sorted { $0.serialNumber < $1.serialNumber }
        var encoder = RevokedCertificateEncoder(capacity: sorted.count)
        var last: SerialNumber?
        for entry in sorted {
            guard entry.serialNumber != last else {
                throw CertificateError(
                    .forbidden, "the certificate with the serial number \(entry.serialNumber) would be in the CRL twice"
                )
            }
            last = entry.serialNumber
            try encoder.append(entry)
        }
        return DER.encode(DER.sequence, encoder.encoded)
    }
}

/// Encodes all entries into one array, so that the time grows only with their number.
private struct RevokedCertificateEncoder {
    private(set) var encoded: [UInt8] = []
    private var fields: [UInt8] = []
    private var extensions: [UInt8] = []
    private let reasons: [RevocationReason: [UInt8]]
    private let invalidityDate: [UInt8]

    /// The octets of a GeneralizedTime.
    private static let timeCount = 17

    init(capacity: Int) {
        // A serial number of 20 octets, a time and a reason.
        encoded.reserveCapacity(capacity * 60)
        reasons = Dictionary(
            uniqueKeysWithValues: RevocationReason.allCases.map { reason in
                let code = DER.encode(DER.enumerated, [UInt8(truncatingIfNeeded: reason.rawValue)])
                return (reason, Self.encode(CertificateExtension.revocationReason, code))
            }
        )
        // Every invalidity date has the same length, so that all extensions begin alike.
        invalidityDate = Self.encode(CertificateExtension.invalidityDate, [UInt8](repeating: 0, count: Self.timeCount))
            .dropLast(Self.timeCount)
    }

    private static func encode(_ identifier: String, _ value: [UInt8]) -> [UInt8] {
        CertificateExtension(identifier, name: "", isCritical: false, value: value).derEncoded
    }

    mutating func append(_ entry: RevocationListParameters.Entry) throws(CertificateError) {
        guard entry.reason != .removeFromCRL else {
            throw CertificateError(
                .forbidden, "removeFromCRL is for delta CRLs only (serial number \(entry.serialNumber))",
                hint: "leave a certificate that is no longer revoked out of the CRL")
        }
        fields.removeAll(keepingCapacity: true)
        let magnitude = entry.serialNumber.magnitude
        if !entry.serialNumber.isNegative, magnitude.first.map({ $0 < 0x80 }) ?? false {
            DER.append(DER.integer, magnitude, to: &fields)
        } else {
            fields += entry.serialNumber.derEncoded
        }
        try DER.append(time: entry.revocationDate, to: &fields)
        extensions.removeAll(keepingCapacity: true)
        if let reason = entry.reason, reason != .unspecified, let encoded = reasons[reason] { extensions += encoded }
        if let date = entry.invalidityDate {
            extensions += invalidityDate
            try DER.append(generalizedTime: date, to: &extensions)
        }
        if !extensions.isEmpty { DER.append(DER.sequence, extensions, to: &fields) }
        DER.append(DER.sequence, fields, to: &encoded)
    }
}
