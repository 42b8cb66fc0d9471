// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import struct FoundationEssentials.Date
import SQL
package import SystemSupport

/// What changed since a row of the audit in what is to be said about revocations.
package struct RevocationNews: Sendable {
    /// The newest row of the audit.
    package var lastRow: Int64 = 0
    /// The certificates that were revoked, put on hold or released, of any issuer.
    package var serialNumbers: Set<SerialNumber> = []
    /// Whether the issuer's last CRL is out of date.
    package var isListOutdated = false
    /// Whether the audit is another one than before, such as that of a backup.
    package var isOtherAudit = false
}

/// Tells one version of a CRL from another.
package enum RevocationListStamp: Hashable, Sendable {
    case file(FileStamp)
    case number(Int64)
}

extension Inventory {
    /// What other processes and this one have revoked since a row of the audit. If nothing was written since then, that
    /// costs one look at the newest row.
    package func revocationNews(since row: Int64, of issuer: Certificate, named name: String) throws -> RevocationNews {
        try reading { try $0.revocationNews(since: row, of: issuer.publicKey.digest, named: name) }
    }

    /// The last CRL that a CA has made; `nil` if there is none.
    package func lastRevocationList(
        of issuer: Certificate
    ) throws -> (number: Int64, thisUpdate: Date, nextUpdate: Date)? {
        try reading { try $0.lastRevocationList(issuerKey: issuer.publicKey.digest) }
    }

    /// Tells one CRL of a CA from another; `nil` if there is none.
    package func revocationListStamp(of name: String) throws -> RevocationListStamp? {
        guard (try? EntryName.check(name)) != nil else { return nil }
        if !isInDirectory {
            let number = try reading { database in
                try database.current(name).first.flatMap {
                    try database.lastRevocationList(issuerKey: $0.subjectKey)?.number
                }
            }
            return number.map { .number($0) }
        }
        return directory.status(of: AuthorityFiles.revocationList(of: name)).map { .file($0.stamp) }
    }

    /// The CRL in the directory of a current CA of this name, which must have signed it; `nil` if there is no such CA.
    package func revocationList(of name: String) throws -> CertificateRevocationList? {
        guard let issuer = try current(name), issuer.isCA else { return nil }
        if !isInDirectory {
            guard let known = try reading({ try $0.encodedRevocationList(issuerKey: issuer.subjectKey) }) else {
                return nil
            }
            let list = try CertificateRevocationList(derEncoded: known.encoded)
            guard list.isIssued(by: try certificate(of: issuer)) else {
                throw AuthorityError(
                    .broken, "CRL \(known.number) in \(place) is not one that \(printable(name)) signed")
            }
            return list
        }
        let file = AuthorityFiles.revocationList(of: name)
        let contents = try directory.read(file, isPrivate: false)
        let certificate = try certificate(of: issuer)
        guard let list = try Container(reading: contents).revocationLists.first, list.isIssued(by: certificate) else {
            throw AuthorityError(
                .broken, "\(directory.path(of: file)) is not a CRL that \(name) signed",
                hint: "make it again: pki crl --issuer \(name) \(directory.option)")
        }
        return list
    }
}

extension InventoryDatabase {
    fileprivate func revocationNews(
        since row: Int64, of issuerKey: [UInt8], named name: String
    ) throws -> RevocationNews {
        var news = RevocationNews()
        news.lastRow = try database.query("SELECT MAX(id) FROM audit").first?.first?.integer ?? 0
        if news.lastRow == row { return news }
        news.isOtherAudit = news.lastRow < row
        news.isListOutdated = news.isOtherAudit
        var changes: [(isList: Bool, name: String?, serialNumber: SerialNumber?)] = []
        try database.visit(
            """
            SELECT id, action, name, serial FROM audit \
            WHERE id > ? AND action IN ('revoke', 'hold', 'release', 'crl') ORDER BY id
            """, [.integer(row)]
        ) { row in
            let value = RowReader(table: "audit", id: row.integer(0))
            let serial =
                row.isNull(3) ? nil : SerialNumber(stored: try value.bytes(row, 3, "serial", atMost: 64))
            changes.append((row.text(1) == AuditRecord.Action.revocationList.rawValue, row.optionalText(2), serial))
        }
        for change in changes {
            if change.isList {
                if change.name == name { news.isListOutdated = false }
            } else if let serial = change.serialNumber {
                news.serialNumbers.insert(serial)
                if !news.isListOutdated, try contains(serialNumber: serial, of: issuerKey) {
                    news.isListOutdated = true
                }
            }
        }
        return news
    }
}
