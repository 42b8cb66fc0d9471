// SPDX-License-Identifier: Apache-2.0

import Certificates
import struct FoundationEssentials.Date
import SystemSupport

/// Brings the files with the CA certificates above a certificate up to date, after a CA was renewed or a root retired.
struct ChainFiles {
    private var chains: [[UInt8]: [Certificate]?] = [:]

    /// Writes every chain file anew that does not say what the inventory says now.
    ///
    /// - Parameters:
    ///   - issuerKeys: The CAs whose certificates' chains are looked at, and all that stand below them.
    ///   - change: The change that has altered a CA.
    /// - Throws: ``AuthorityError``.
    mutating func refresh(below issuerKeys: [[UInt8]], in change: inout InventoryChange) throws {
        var waiting = issuerKeys
        var seen = Set(issuerKeys)
        while let key = waiting.popLast() {
            // What a CA issued that is not here any more keeps the chain that it was given.
            guard let chain = try chain(ofIssuer: key, in: change.records, depth: 0) else { continue }
            for entry in try change.records.issued(byKey: key) where !entry.isSelfSigned {
                if entry.isCA, seen.insert(entry.subjectKey).inserted { waiting.append(entry.subjectKey) }
                guard entry.name != CertificateAuthority.crossName else { continue }
                try refresh(entry, chain, in: &change)
            }
        }
    }

    private func refresh(
        _ entry: InventoryEntry,
        _ chain: [Certificate],
        in change: inout InventoryChange
    ) throws {
        let name = AuthorityFiles.chain(of: entry.name)
        let text = chain.map(\.pemEncoded).joined()
        if chain.isEmpty {
            guard entry.chainFile != nil else { return }
            _ = try change.archive(name)
        } else {
            change.replace(with: .init(name: name, contents: SecretBytes(text.utf8), mode: 0o644))
        }
        try change.records.setPlace(
            of: entry.id,
            entry.place,
            certificateFile: entry.certificateFile,
            keyFile: entry.keyFile,
            chainFile: chain.isEmpty ? nil : name
        )
    }

    /// What goes with the certificates that the CA with a key issues; nothing when that CA is not here.
    private mutating func chain(
        ofIssuer key: [UInt8],
        in records: InventoryDatabase,
        depth: Int
    ) throws -> [Certificate]? {
        if let known = chains[key] { return known }
        var chain: [Certificate]?
        // No path is longer than the names on it; a circle is somebody's mistake.
        if depth < 16, let issuer = try records.authority(withKey: key) {
            if !issuer.isSelfSigned {
                let above = try self.chain(ofIssuer: issuer.issuerKey, in: records, depth: depth + 1)
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
    /// CAs from the one that issues upwards, as long as each allows as many CAs below it as there are. What comes after leads
    /// nowhere: a root's cross-certificate of another name, say, which takes the place of a CA under the old root.
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
