// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date
import SystemSupport

/// A certificate revocation list that is on the disk, and where.
public struct IssuedRevocationList: Sendable {
    /// The list.
    public let list: CertificateRevocationList
    /// The path of its file.
    public let path: String
    /// What the user should know and may not expect, each a sentence without a full stop.
    public let notices: [String]
}

extension CertificateAuthority {
    /// Makes the CA's next certificate revocation list: everything that it revoked and that was not over when its last
    /// list was made. It does not outlive the CA's certificate: verifiers reject a CRL whose signer has expired, however
    /// long it says that it holds.
    ///
    /// - Parameters:
    ///   - lifetime: Until when the next list will be there.
    ///   - now: The moment.
    /// - Returns: The list. Its file takes the place of the last one's.
    /// - Throws: ``AuthorityError``, or `CertificateError` when the CA may not sign lists.
    public func makeRevocationList(validFor lifetime: Lifetime, now: Date) throws -> IssuedRevocationList {
        let this = Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down))
        let wanted = try lifetime.end(from: this)
        let next = min(wanted, certificate.notAfter)
        let notices =
            wanted == next
            ? []
            : ["the list ends with its CA, at \(timestamp(next)), and not at \(timestamp(wanted)) as was asked for"]
        let issuerKey = certificate.publicKey.digest
        let file = AuthorityFiles.revocationList(of: name)
        return try inventory.change(now: now) { change in
            let last = try change.records.lastRevocationList(issuerKey: issuerKey)
            let number = (last?.number ?? 0) + 1
            var entries: [RevocationListParameters.Entry] = []
            try change.records.visitRevoked(
                issuerKey: issuerKey,
                endingAfter: last?.thisUpdate ?? .distantPast
            ) { serial, revocation in
                entries.append(
                    .init(
                        serialNumber: serial,
                        revocationDate: revocation.date,
                        reason: revocation.reason,
                        invalidityDate: revocation.invalidityDate
                    )
                )
            }
            let count = entries.count
            let list = try RevocationListParameters(
                number: SerialNumber(unsafe withUnsafeBytes(of: UInt64(number).bigEndian) { unsafe Array($0) }),
                thisUpdate: this,
                nextUpdate: next,
                entries: entries
            ).signed(by: key, issuer: certificate)
            change.replace(with: .init(name: file, contents: SecretBytes(list.pemEncoded.utf8), mode: 0o644))
            try change.records.insertRevocationList(
                issuerKey: issuerKey,
                number: number,
                thisUpdate: this,
                nextUpdate: next,
                entries: count
            )
            try change.audit(.revocationList, name, nil, detail: "number \(number), \(count) revoked")
            return IssuedRevocationList(list: list, path: directory.path(of: file), notices: notices)
        }
    }
}
