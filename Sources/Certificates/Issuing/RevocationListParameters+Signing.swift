// SPDX-License-Identifier: Apache-2.0

import SystemSupport

import struct FoundationEssentials.Date

extension RevocationListParameters {
    /// Makes a list that a CA issues (RFC 5280 §5), of version 2 with number and authority key identifier.
    ///
    /// The issuer's name is the CA's subject, byte for byte, and the entries stand in the order of their serial numbers.
    ///
    /// - Parameters:
    ///   - key: The CA's key.
    ///   - issuer: The CA's certificate.
    /// - Returns: The list.
    /// - Throws: ``CertificateError`` when the issuer is not a CA that may sign lists, the key is not its key, its
    ///   certificate is not valid when the list is made, or the parameters break another rule; or what the key throws.
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
                hint: "issue the CA's certificate anew with keyUsage = critical, keyCertSign, cRLSign"
            )
        }
        try checkTimes(issuer: issuer)
        guard number.fitsInTwentyOctets else {
            throw CertificateError(.forbidden, "the number of a revocation list must have at most 20 octets")
        }
        let algorithm = try SignatureIdentifier(for: key.publicKey.algorithm)
        let toBeSigned = DER.sequence([
            DER.unsignedInteger([1]),
            algorithm.derEncoded,
            issuer.subject.derEncoded,
            try DER.time(thisUpdate),
            try DER.time(nextUpdate),
            try revokedCertificates(),
            DER.encode(DER.constructed(0), DER.sequence(try extensions(issuer: issuer).map(\.derEncoded))),
        ])
        let signature = try key.signature(for: toBeSigned, digest: algorithm.digest)
        return try CertificateRevocationList(
            derEncoded: DER.sequence([toBeSigned, algorithm.derEncoded, DER.bitString(signature)])
        )
    }

    /// Times are compared as the list will say them, in whole seconds.
    private func checkTimes(issuer: Certificate) throws(CertificateError) {
        let made = Date(timeIntervalSince1970: thisUpdate.timeIntervalSince1970.rounded(.down))
        guard made.timeIntervalSince1970 < nextUpdate.timeIntervalSince1970.rounded(.down) else {
            throw CertificateError(.forbidden, "the revocation list would end before it begins")
        }
        guard issuer.isValid(at: made) else {
            throw CertificateError(
                .forbidden,
                "the certificate of the CA (\(issuer.subject)) is not valid when the revocation list is made"
            )
        }
    }

    private func extensions(issuer: Certificate) throws -> [CertificateExtension] {
        let number = CertificateExtension(
            CertificateExtension.revocationListNumber,
            name: "crlNumber",
            isCritical: false,
            value: DER.unsignedInteger(number.magnitude)
        )
        return [try CertificateExtension(authorityKeyOf: issuer), number]
    }

    /// The field, or nothing at all when no certificate is revoked (RFC 5280 §5.1.2.6).
    private func revokedCertificates() throws(CertificateError) -> [UInt8] {
        guard !entries.isEmpty else { return [] }
        let sorted = entries.sorted { $0.serialNumber < $1.serialNumber }
        var encoder = RevokedCertificateEncoder(capacity: sorted.count)
        var last: SerialNumber?
        for entry in sorted {
            guard entry.serialNumber != last else {
                throw CertificateError(
                    .forbidden,
                    "the certificate with the serial number \(entry.serialNumber) would stand in the list twice"
                )
            }
            last = entry.serialNumber
            try encoder.append(entry)
        }
        return DER.encode(DER.sequence, encoder.encoded)
    }
}

/// Encodes entry after entry into one array, so that a list of many takes time by its length alone.
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
        invalidityDate = Self.encode(
            CertificateExtension.invalidityDate,
            [UInt8](repeating: 0, count: Self.timeCount)
        ).dropLast(Self.timeCount)
    }

    private static func encode(_ identifier: String, _ value: [UInt8]) -> [UInt8] {
        CertificateExtension(identifier, name: "", isCritical: false, value: value).derEncoded
    }

    mutating func append(_ entry: RevocationListParameters.Entry) throws(CertificateError) {
        guard entry.reason != .removeFromCRL else {
            throw CertificateError(
                .forbidden,
                "removeFromCRL stands in lists of changes only (serial number \(entry.serialNumber))",
                hint: "leave a certificate that is no longer revoked out of the list"
            )
        }
        fields.removeAll(keepingCapacity: true)
        let magnitude = entry.serialNumber.magnitude
        if magnitude.first.map({ $0 < 0x80 }) ?? false {
            DER.append(DER.integer, magnitude, to: &fields)
        } else {
            fields += DER.unsignedInteger(magnitude)
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
