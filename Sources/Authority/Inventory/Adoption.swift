// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport
import struct FoundationEssentials.Date

/// Reads the files of a directory into its inventory: of one that was made before there were inventories, that was put
/// together file by file, or whose inventory is gone.
struct Adoption {
    var directory: CADirectory
    var who: String
    var now: Date

    /// Adds every certificate in the directory that a CA of it issued and that the inventory does not know.
    ///
    /// - Parameter database: The inventory, in a transaction.
    /// - Returns: What was added.
    /// - Throws: ``AuthorityError`` when a file cannot be read.
    @discardableResult
    func run(into database: InventoryDatabase) throws -> ImportOutcome {
        var outcome = ImportOutcome()
        guard directory.contains(AuthorityFiles.certificate(of: CertificateAuthority.rootName)) else { return outcome }
        let foreign: ImportedCA
        do {
            foreign = try ImportedCA(reading: directory.directory, now: now)
        } catch let error as AuthorityError {
            // Whoever needs the root says better what is wrong with it.
            guard error.code != .storage else { throw error }
            return outcome
        }
        var acceptance = ImportWriter(foreign, now: now, who: who)
        for found in foreign.certificates {
            let files = ImportWriter.Files(
                name: found.name,
                certificate: found.certificateFile,
                key: found.key.map { $0.address.map(AuthorityFiles.lastingAddress) ?? $0.file },
                chain: found.chainFile
            )
            // What the inventory could not name safely stays a stranger.
            guard files.areSafe else {
                outcome.skipped.append(found.certificateFile)
                continue
            }
            guard try acceptance.add(found, files: files, to: database) else { continue }
            outcome.certificates += 1
            if found.revocation != nil { outcome.revoked += 1 }
        }
        outcome.lost = try acceptance.addLost(to: database)
        try acceptance.addListNumbers(to: database)
        outcome.skipped += acceptance.skipped
        return outcome
    }
}

extension ImportWriter.Files {
    /// Whether everything here is a file of a CA directory, or the address of a key.
    fileprivate var areSafe: Bool {
        AuthorityFiles.isPath(name) && AuthorityFiles.isPath(certificate) && chain.map(AuthorityFiles.isPath) ?? true
            && key.map { AuthorityFiles.isPath($0) || AuthorityFiles.isLastingAddress($0) } ?? true
    }
}
