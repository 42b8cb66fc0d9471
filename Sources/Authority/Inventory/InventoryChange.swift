// SPDX-License-Identifier: Apache-2.0

import Certificates
import struct FoundationEssentials.Date
import SQL
import SystemSupport

/// One change of the inventory and the directory.
///
/// Files are collected here; ``write(jobs:generation:)`` writes them as drafts before the inventory commits.
struct InventoryChange {
    /// The inventory, in a transaction.
    let records: InventoryDatabase
    private(set) var now: Date
    let who: String
    let directory: CADirectory
    /// Whether what is issued has files in the directory.
    let keepsFiles: Bool
    private var files: [CADirectory.PlannedFile] = []
    private var archived: [(name: String, archivedName: String)] = []
    /// The names of new files.
    private var added: Set<String> = []
    /// The names of files that are moved or replaced.
    private var leaving: Set<String> = []
    private var taken: Set<String> = []
    private var checkedIssuers: [[UInt8]] = []

    init(records: InventoryDatabase, directory: CADirectory, now: Date, who: String, keepsFiles: Bool = true) {
        (self.records, self.directory, self.now, self.who) = (records, directory, now, who)
        self.keepsFiles = keepsFiles
    }

    /// Makes a part of the change at its own time, which is forgotten if it throws.
    mutating func attempt<Result>(
        at now: Date, _ body: (inout InventoryChange) throws -> Result
    ) throws -> Result {
        var attempt = self
        attempt.now = now
        let result = try records.attempt { try body(&attempt) }
        attempt.now = self.now
        self = attempt
        return result
    }

    /// Whether a name is taken after this change.
    func contains(_ name: String) -> Bool {
        keepsFiles && !leaving.contains(name) && (added.contains(name) || directory.contains(name))
    }

    mutating func add(_ file: CADirectory.PlannedFile) throws(AuthorityError) {
        guard keepsFiles else { return }
        try checkDoesNotExist(file.name)
        files.append(file)
        added.insert(file.name)
    }

    func checkDoesNotExist(_ name: String) throws(AuthorityError) {
        if contains(name) { throw directory.takenName(name) }
    }

    /// Moves a file into the archive and returns its path there; `nil` if there is no such file.
    mutating func archive(_ name: String) throws(AuthorityError) -> String? {
        guard keepsFiles, directory.contains(name), !leaving.contains(name) else { return nil }
        try directory.refuseIrregular(name)
        let archivedName = try directory.archivedName(of: name, stamp: CivilTime(now).basic, taken: taken)
        move(name, to: archivedName)
        return archivedName
    }

    mutating func move(_ name: String, to newName: String) {
        archived.append((name, newName))
        taken.insert(newName)
        leaving.insert(name)
    }

    /// Adds a file that may replace another.
    mutating func replace(with file: CADirectory.PlannedFile) {
        guard keepsFiles else { return }
        files.append(file)
        added.insert(file.name)
        leaving.insert(file.name)
    }

    mutating func checkIssuerNotRevoked(withKey digest: [UInt8]) throws {
        guard !checkedIssuers.contains(digest) else { return }
        try records.refuseRevokedAuthority(withKey: digest)
        checkedIssuers.append(digest)
    }

    func audit(
        _ action: AuditRecord.Action, _ name: String? = nil, _ serialNumber: SerialNumber? = nil, detail: String? = nil
    ) throws {
        try records.record(
            AuditRecord(date: now, who: who, action: action, name: name, serialNumber: serialNumber, detail: detail))
    }

    /// Writes every file as a draft, and returns the moves that give the drafts their names.
    func write(jobs: Int, generation: Int) throws(AuthorityError) -> [FileMove] {
        // Before the moves are recorded: an obstacle would make them fail again and again.
        for file in files where leaving.contains(file.name) { try directory.refuseIrregular(file.name) }
        var moves: [FileMove] = []
        var links: [(name: String, draft: String)] = []
        for (number, file) in archived.enumerated() {
            let draft = FileMove.draft(number, generation: generation)
            links.append((file.name, draft))
            moves.append(
                FileMove(name: file.archivedName, kind: .place(draft: draft, replaces: false), stage: .archive))
        }
        var drafts: [(draft: String, file: CADirectory.PlannedFile)] = []
        // The certificates of a group have the same chain: it is brought to the disk once.
        var copies: [(name: String, draft: String)] = []
        var originals: [[UInt8]: String] = [:]
        for (number, file) in files.enumerated() {
            let draft = FileMove.draft(archived.count + number, generation: generation)
            let contents = files.count > 1 && file.mode == 0o644 ? file.contents.array : []
            if let original = originals[contents] {
                copies.append((original, draft))
            } else {
                drafts.append((draft, file))
                if !contents.isEmpty { originals[contents] = draft }
            }
            moves.append(
                FileMove(
                    name: file.name, kind: .place(draft: draft, replaces: leaving.contains(file.name)),
                    stage: file.mode & 0o077 == 0 ? .keys : .certificates))
        }
        for file in archived where !added.contains(file.name) {
            moves.append(FileMove(name: file.name, kind: .remove(copy: file.archivedName), stage: .removals))
        }
        try directory.writeDrafts(drafts, links: links, copies: copies, jobs: jobs)
        return moves.sorted { $0.stage.rawValue < $1.stage.rawValue }
    }
}

// MARK: - Chains

extension InventoryChange {
    /// Rewrites the chain files of all certificates below these CAs, after a CA above was renewed, retired or added.
    mutating func refreshChains(below issuerKeys: [[UInt8]]) throws {
        var chains: [[UInt8]: [Certificate]?] = [:]
        var waiting = issuerKeys
        var seen = Set(issuerKeys)
        while let key = waiting.popLast() {
            // Certificates of a CA that is not in the directory keep their chains.
            guard let chain = try chain(ofIssuer: key, &chains, depth: 0) else { continue }
            for entry in try records.issued(byKey: key) where !entry.isSelfSigned {
                if entry.isCA, seen.insert(entry.subjectKey).inserted { waiting.append(entry.subjectKey) }
                guard entry.name != CertificateAuthority.crossName, !chain.isEmpty || entry.chainFile != nil else {
                    continue
                }
                let name = AuthorityFiles.chain(of: entry.name)
                if chain.isEmpty { _ = try archive(name) } else { replace(with: .certificates(chain, name)) }
                try records.setPlace(
                    of: entry.id, entry.place, certificateFile: entry.certificateFile, keyFile: entry.keyFile,
                    chainFile: chain.isEmpty ? nil : name)
            }
        }
    }

    /// The chain of the certificates that the CA with a key issues; `nil` if the CA is not in the directory.
    func chain(
        ofIssuer key: [UInt8], _ chains: inout [[UInt8]: [Certificate]?], depth: Int
    ) throws -> [Certificate]? {
        if let known = chains[key] { return known }
        var chain: [Certificate]?
        // Two CAs that certified each other would go round in a circle.
        if depth < 16, let issuer = try records.currentAuthority(withKey: key) {
            if !issuer.isSelfSigned {
                let above = try self.chain(ofIssuer: issuer.issuerKey, &chains, depth: depth + 1)
                chain = [try records.certificate(of: issuer)] + (above ?? [])
            } else if issuer.name == CertificateAuthority.rootName,
                let cross = try records.current(CertificateAuthority.crossName).first
            {
                chain = [try records.certificate(of: cross)]
            } else {
                chain = []
            }
        }
        chain = chain?.upToPathLength
        chains[key] = .some(chain)
        return chain
    }
}

extension [Certificate] {
    /// The CAs from the issuing one upwards whose path lengths allow the CAs below. No valid path contains the others,
    /// such as the cross-certificate of a new root with another name, which counts as a CA below the old root.
    var upToPathLength: [Certificate] {
        var below = 0
        var allowed: [Certificate] = []
        for certificate in self {
            if let limit = certificate.basicConstraints?.pathLength, below > limit { break }
            allowed.append(certificate)
            // A certificate from a CA of the same name does not count (RFC 5280 §6.1.4).
            if !certificate.isSelfIssued { below += 1 }
        }
        return allowed
    }
}
