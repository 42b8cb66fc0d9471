// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SQL
import SystemSupport

/// Writes the files that a directory has beside its inventory: certificates, chains and the last CRLs.
///
/// They are brought to the disk together at the end. Files with other contents go to the archive.
struct CopiedFiles {
    let directory: CADirectory
    let records: InventoryDatabase
    let now: Date
    /// How many files were written.
    private(set) var count = 0
    /// The files of CA keys that are not there.
    private(set) var missingKeys: [String] = []
    private var taken: Set<String> = []

    init(directory: CADirectory, records: InventoryDatabase, now: Date) {
        (self.directory, self.records, self.now) = (directory, records, now)
    }

    /// Writes the files; `progress` is called after each certificate.
    mutating func write(progress: () -> Void) throws {
        try refuseOthers()
        let records = records
        let change = InventoryChange(records: records, directory: directory, now: now, who: "")
        var (known, chains): ([[UInt8]: [Certificate]?], [[UInt8]: Chain]) = ([:], [:])
        try records.visit(where: "place < 2 ORDER BY id") { entry in
            if entry.hasFile {
                try write(.certificates([records.certificate(of: entry)], entry.certificateFile), equalTo: nil)
                try writeChain(of: entry, change, &known, &chains)
                if let key = entry.keyFile, entry.isCA, entry.place == .current, !AuthorityFiles.isAddress(key),
                    !directory.contains(key)
                {
                    missingKeys.append(directory.path(of: key))
                }
            }
            progress()
        }
        for authority in try records.entries(where: "is_ca = 1 AND place = 0") { try writeList(of: authority) }
        try rethrown { () throws(FileError) in try directory.directory.synchronizeAll() }
    }

    private mutating func writeChain(
        of entry: InventoryEntry, _ change: InventoryChange, _ known: inout [[UInt8]: [Certificate]?],
        _ chains: inout [[UInt8]: Chain]
    ) throws {
        guard entry.place == .current, let name = entry.chainFile else { return }
        if chains[entry.issuerKey] == nil {
            // Certificates of a CA that is not in the inventory have no chain that is known.
            let chain = try change.chain(ofIssuer: entry.issuerKey, &known, depth: 0) ?? []
            guard !chain.isEmpty else { return }
            chains[entry.issuerKey] = Chain(contents: CADirectory.PlannedFile.certificates(chain, name).contents)
        }
        guard let chain = chains[entry.issuerKey] else { return }
        // A file system has a limit of the names of one file.
        let original = chain.names % 10_000 == 0 ? nil : chain.first
        guard try write(.init(name: name, contents: chain.contents, mode: 0o644), equalTo: original) else { return }
        if original == nil { chains[entry.issuerKey]?.first = name }
        chains[entry.issuerKey]?.names += 1
    }

    private struct Chain {
        let contents: SecretBytes
        var first: String?
        var names = 0
    }

    /// Refuses a directory in which the name of a current certificate is that of one that the inventory does not have.
    private func refuseOthers() throws {
        for name in directory.names().sorted() where name.hasSuffix("-cert.pem") {
            guard let found = try? directory.certificates(in: name)[0],
                try !records.contains(fingerprint: Digest.sha256.hash(found.derEncoded)),
                try !records.entries(where: "certificate_path = ? AND place = 0", [.text(name)]).isEmpty
            else { continue }
            throw AuthorityError(
                .exists,
                "\(directory.path(of: name)) is a certificate that the inventory does not have, with serial number "
                    + "\(found.serialNumber)",
                hint: "copy into a new directory: --to DIRECTORY")
        }
    }

    /// Writes a file unless it is there. Returns whether it was written.
    @discardableResult
    private mutating func write(_ file: CADirectory.PlannedFile, equalTo original: String?) throws -> Bool {
        if directory.contains(file.name) {
            if let there = try? directory.read(file.name, isPrivate: false), there.isEqual(to: file.contents) {
                return false
            }
            try directory.refuseIrregular(file.name)
            let archived = try directory.archivedName(of: file.name, stamp: CivilTime(now).basic, taken: taken)
            taken.insert(archived)
            try directory.moveAside(file.name, to: archived)
        }
        try directory.writeUnsynced(file, equalTo: original)
        count += 1
        return true
    }

    /// Writes a CA's last CRL if a server made it. A newer one in the directory stays: the next CRL continues from it.
    private mutating func writeList(of authority: InventoryEntry) throws {
        let name = AuthorityFiles.revocationList(of: authority.name)
        guard let last = try records.encodedRevocationList(issuerKey: authority.subjectKey) else { return }
        if let contents = try? directory.read(name, isPrivate: false),
            let list = try? Container(reading: contents).revocationLists.first,
            list.issuer.description == authority.subject,
            let number = list.number?.integer, number >= last.number
        {
            return
        }
        let list = try CertificateRevocationList(derEncoded: last.encoded)
        try write(.init(name: name, contents: SecretBytes(list.pemEncoded.utf8), mode: 0o644), equalTo: nil)
    }
}

extension InventoryEntry {
    /// Whether it should have a file in a directory. Those that were replaced on a server have none.
    var hasFile: Bool {
        switch place {
        case .current: true
        case .replaced: certificateFile.hasPrefix("\(CADirectory.archiveDirectory)/")
        case .lost: false
        }
    }
}
