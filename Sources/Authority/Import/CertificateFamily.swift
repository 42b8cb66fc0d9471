// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import Synchronization

/// Certificates that were found, each once, and who of them issued whom.
struct CertificateFamily {
    /// A certificate and the best of its files.
    struct Member: Sendable {
        let certificate: Certificate
        var file: String
        var name: ForeignName
        /// What speaks against the file, the weightiest first.
        var rank: [Int]
    }

    /// The certificates, in the order of their files' paths.
    let members: [Member]

    /// For each certificate the one that issued it: itself for a root, nothing when its issuer is not among them.
    let issuers: [Int?]

    /// How many certificates of one name are tried as the issuer of another.
    private static let candidateLimit = 8

    /// Finds out who issued whom.
    ///
    /// - Parameters:
    ///   - files: What was found.
    ///   - jobs: How many threads check signatures.
    init(_ files: [ForeignFile], jobs: Int) {
        var members: [Member] = []
        var known: [Certificate: Int] = [:]
        for found in files {
            let name = ForeignName(found.file.path)
            let depth = found.file.path.utf8.count { $0 == UInt8(ascii: "/") }
            for (position, certificate) in found.certificates.enumerated() {
                let rank = [
                    name.isChain || position > 0 ? 1 : 0, name.isArchived ? 1 : 0,
                    name.isSerial(certificate.serialNumber) ? 1 : 0,
                    found.file.name.hasSuffix("-cert.pem") ? 0 : 1, depth,
                ]
                let member = Member(certificate: certificate, file: found.file.path, name: name, rank: rank)
                guard let index = known[certificate] else {
                    known[certificate] = members.count
                    members.append(member)
                    continue
                }
                if rank.lexicographicallyPrecedes(members[index].rank) { members[index] = member }
            }
        }
        members.sort { $0.file < $1.file }
        self.members = members
        issuers = Self.issuers(of: members, jobs: jobs)
    }

    private static func issuers(of members: [Member], jobs: Int) -> [Int?] {
        var authorities: [DistinguishedName: [Int]] = [:]
        for (index, member) in members.enumerated() where isAuthority(member.certificate) {
            authorities[member.certificate.subject, default: []].append(index)
        }
        var verifiers: [PublicKey: SignatureVerifier] = [:]
        for index in authorities.values.joined() {
            let key = members[index].certificate.publicKey
            if verifiers[key] == nil { verifiers[key] = try? SignatureVerifier(key) }
        }
        let found = Mutex([Int?](repeating: nil, count: members.count))
        let (candidates, keys) = (authorities, verifiers)
        _ = Workers.firstFailure(of: members.count, jobs: jobs) { (index) throws(Never) in
            let issuer = issuer(of: index, in: members, candidates[members[index].certificate.issuer] ?? [], keys)
            if let issuer { found.withLock { $0[index] = issuer } }
        }
        return found.withLock { $0 }
    }

    private static func issuer(
        of index: Int,
        in members: [Member],
        _ candidates: [Int],
        _ verifiers: [PublicKey: SignatureVerifier]
    ) -> Int? {
        let certificate = members[index].certificate
        func rank(_ candidate: Int) -> [Int] {
            let other = members[candidate].certificate
            let isNamed =
                if let key = certificate.authorityKeyIdentifier, let own = other.subjectKeyIdentifier {
                    key == own
                } else {
                    true
                }
            return [isNamed ? 0 : 1, candidate == index ? 0 : 1, other.isSelfIssued ? 0 : 1, candidate]
        }
        let ranked = candidates.map { (rank: rank($0), index: $0) }
            .sorted { $0.rank.lexicographicallyPrecedes($1.rank) }
        return ranked.prefix(candidateLimit).first { candidate in
            let issuer = members[candidate.index].certificate
            return verifiers[issuer.publicKey]?.hasSigned(certificate) ?? issuer.hasSigned(certificate)
        }?.index
    }

    /// Whether a certificate can be an issuer's: one that says so, or a root from before there were extensions.
    static func isAuthority(_ certificate: Certificate) -> Bool {
        certificate.isCA || certificate.basicConstraints == nil && certificate.isSelfIssued
    }

    /// How many certificates stand below each, at any depth.
    var descendantCounts: [Int] {
        var counts = [Int](repeating: 0, count: members.count)
        for index in members.indices {
            var steps = 0
            var current = index
            while let issuer = issuers[current], issuer != current, steps < 16 {
                counts[issuer] += 1
                current = issuer
                steps += 1
            }
        }
        return counts
    }

    /// The certificate at the top of the path from one.
    func top(of index: Int) -> Int {
        var current = index
        // Two CAs that certified each other have no top.
        for _ in 0..<16 {
            guard let issuer = issuers[current], issuer != current else { return current }
            current = issuer
        }
        return index
    }

    /// Some certificates and all below them, in the order of their depth.
    func descendants(of roots: [Int]) -> [Int] {
        var children: [Int: [Int]] = [:]
        for (index, issuer) in issuers.enumerated() {
            if let issuer, issuer != index { children[issuer, default: []].append(index) }
        }
        var found = roots
        var seen = Set(roots)
        var position = 0
        while position < found.count {
            for child in children[found[position]] ?? [] where seen.insert(child).inserted { found.append(child) }
            position += 1
        }
        return found
    }
}
