// SPDX-License-Identifier: Apache-2.0

import Certificates
import struct FoundationEssentials.Date
import SystemSupport

/// Writes what a directory tells into an inventory.
struct ImportWriter {
    let foreign: ImportedCA
    let now: Date
    let who: String
    private(set) var skipped: [String] = []

    init(_ foreign: ImportedCA, now: Date, who: String) {
        self.foreign = foreign
        self.now = now
        self.who = who
    }

    /// Where the files of a certificate are, or will be.
    struct Files {
        var name: String
        var certificate: String
        var key: String?
        var chain: String?
    }

    /// Adds a certificate.
    ///
    /// - Returns: Whether it was added: the inventory takes each once, and each serial number of an issuer once.
    mutating func add(
        _ found: ForeignCertificate,
        files: Files,
        to database: InventoryDatabase
    ) throws -> Bool {
        let issuerKey = found.issuer.digest
        let fingerprint = Digest.sha256.hash(found.certificate.derEncoded)
        guard try !database.contains(fingerprint: fingerprint) else { return false }
        guard try !database.contains(serialNumber: found.certificate.serialNumber, of: issuerKey) else {
            skipped.append(found.certificateFile)
            return false
        }
        // What stood in the file before stands there no more.
        for former in try database.current(files.name)
        where found.place == .current && former.certificateFile == files.certificate {
            try database.setPlace(
                of: former.id,
                .lost,
                certificateFile: former.certificateFile,
                keyFile: nil,
                chainFile: nil
            )
        }
        try database.insert(
            CertificateRecord(
                name: files.name,
                certificate: found.certificate,
                profile: Self.profile(of: found.certificate),
                issuerKey: issuerKey,
                template: nil,
                certificateFile: files.certificate,
                keyFile: files.key,
                chainFile: files.chain,
                place: found.place,
                revocation: found.revocation,
                issuedAt: found.certificate.notBefore,
                issuedBy: who
            )
        )
        try database.record(
            AuditRecord(
                date: now,
                who: who,
                action: .adopt,
                name: files.name,
                serialNumber: found.certificate.serialNumber,
                detail: "\(foreign.kind.rawValue): \(found.certificateFile)"
            )
        )
        return true
    }

    /// Adds what is known without its certificate, so that a revocation is not forgotten.
    func addLost(to database: InventoryDatabase) throws -> Int {
        var count = 0
        for lost in foreign.lost {
            let issuerKey = lost.issuer.digest
            guard try !database.contains(serialNumber: lost.serialNumber, of: issuerKey) else { continue }
            try database.insertLost(lost, issuerKey: issuerKey, now: now, who: who)
            try database.record(
                AuditRecord(
                    date: now,
                    who: who,
                    action: .adopt,
                    name: nil,
                    serialNumber: lost.serialNumber,
                    detail: "\(foreign.kind.rawValue): \(lost.file)\(lost.line.map { ":\($0)" } ?? ""), no certificate"
                )
            )
            count += 1
        }
        return count
    }

    /// Goes on with the numbers of revocation lists.
    func addListNumbers(to database: InventoryDatabase) throws {
        for issuer in foreign.issuers {
            guard let next = issuer.nextRevocationListNumber, next.magnitude.count < 8 else { continue }
            let number = next.magnitude.reduce(Int64(0)) { $0 << 8 | Int64($1) } - 1
            let issuerKey = issuer.certificate.publicKey.digest
            guard number > 0, try database.lastRevocationList(issuerKey: issuerKey)?.number ?? 0 < number else {
                continue
            }
            let list = issuer.revocationListFile.flatMap(list)
            // Without the list itself, the next one holds everything.
            try database.insertRevocationList(
                issuerKey: issuerKey,
                number: number,
                thisUpdate: list?.thisUpdate ?? issuer.certificate.notBefore,
                nextUpdate: list?.nextUpdate ?? now,
                entries: list?.revokedCount ?? 0
            )
        }
    }

    private func list(in file: String) -> CertificateRevocationList? {
        guard let contents = try? foreign.scan.contents(of: file, limit: 64 << 20) else { return nil }
        for case .revocationList(let list) in (try? Container(reading: contents))?.objects ?? [] { return list }
        return nil
    }

    /// The profile whose certificates look like this.
    private static func profile(of certificate: Certificate) -> String {
        if certificate.isCA { return certificate.isSelfIssued ? "root" : "intermediate" }
        let purposes = certificate.extendedKeyUsage
        guard purposes.contains("serverAuth") else { return "client" }
        return purposes.contains("clientAuth") ? "peer" : "server"
    }
}
