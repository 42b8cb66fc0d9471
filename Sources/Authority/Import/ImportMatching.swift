// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Synchronization
import SystemSupport

/// The certificates of a directory, each once, and which of them issued which.
struct ImportedFamily {
    /// A certificate and the best of its files.
    struct Member: Sendable {
        let certificate: Certificate
        var file: String
        var name: ForeignName
        /// Lexicographically smaller for better files.
        var rank: [Int]

        /// Whether it can be an issuer: a CA, or a self-issued certificate without extensions.
        var isAuthority: Bool {
            certificate.isCA || certificate.basicConstraints == nil && certificate.isSelfIssued
        }
    }

    /// In the order of the files' paths.
    let members: [Member]
    /// The issuer of each certificate: itself for a root, `nil` if its issuer is not among them.
    let issuers: [Int?]
    /// The number of certificates with a name that are tried as issuers of another.
    private static let candidateLimit = 8

    /// Finds the issuers by their signatures.
    init(_ files: [ImportScan.File], jobs: Int) {
        var members: [Member] = []
        var known: [Certificate: Int] = [:]
        for file in files {
            let name = ForeignName(file.path)
            let depth = file.path.utf8.count { $0 == UInt8(ascii: "/") }
            for (position, certificate) in file.certificates.enumerated() {
                let rank = [
                    name.isChain || position > 0 ? 1 : 0, name.isArchived ? 1 : 0,
                    name.isSerial(certificate.serialNumber) ? 1 : 0, file.name.hasSuffix("-cert.pem") ? 0 : 1, depth,
                ]
                let member = Member(certificate: certificate, file: file.path, name: name, rank: rank)
                guard let index = known[certificate] else {
                    known[certificate] = members.count
                    members.append(member)
                    continue
                }
                if rank.lexicographicallyPrecedes(members[index].rank) { members[index] = member }
            }
        }
        self.members = members.sorted { $0.file < $1.file }
        issuers = Self.issuers(of: self.members, jobs: jobs)
    }

    private static func issuers(of members: [Member], jobs: Int) -> [Int?] {
        var authorities: [DistinguishedName: [Int]] = [:]
        var verifiers: [PublicKey: SignatureVerifier] = [:]
        for (index, member) in members.enumerated() where member.isAuthority {
            authorities[member.certificate.subject, default: []].append(index)
            let key = member.certificate.publicKey
            if verifiers[key] == nil { verifiers[key] = try? SignatureVerifier(key) }
        }
        let (candidates, keys) = (authorities, verifiers)
        let found = Mutex([Int?](repeating: nil, count: members.count))
        _ = Workers.firstFailure(of: members.count, jobs: jobs) { (index) throws(Never) in
            let certificate = members[index].certificate
            let ranked = (candidates[certificate.issuer] ?? []).map { candidate in
                let other = members[candidate].certificate
                let (wanted, own) = (certificate.authorityKeyIdentifier, other.subjectKeyIdentifier)
                let isNamed = wanted == nil || own == nil || wanted == own
                return [isNamed ? 0 : 1, candidate == index ? 0 : 1, other.isSelfIssued ? 0 : 1, candidate]
            }.sorted { $0.lexicographicallyPrecedes($1) }
            let issuer = ranked.prefix(candidateLimit).map { $0[3] }.first { candidate in
                let issuer = members[candidate].certificate
                return keys[issuer.publicKey]?.hasSigned(certificate) ?? issuer.hasSigned(certificate)
            }
            if let issuer { found.withLock { $0[index] = issuer } }
        }
        return found.withLock { $0 }
    }

    /// The known CAs on the path from a certificate upwards; cycles are cut.
    private func path(from index: Int) -> [Int] {
        var path: [Int] = []
        var current = index
        while let issuer = issuers[current], issuer != current, path.count < 16 {
            path.append(issuer)
            current = issuer
        }
        return path
    }

    /// The certificate at the top of a path; the certificate itself in a cycle.
    private func top(of index: Int) -> Int {
        let path = path(from: index)
        return path.count < 16 ? path.last ?? index : index
    }

    /// The root certificates: the current one first, then former and future ones.
    func roots(in files: [ImportScan.File], _ layout: ImportLayout, directory: String) throws(AuthorityError) -> [Int] {
        let authorities = members.indices.filter { members[$0].isAuthority }
        var first: Int?
        for path in layout.authorities where first == nil {
            let own = files.first { $0.path == path }?.certificates.first
            first = authorities.first { members[$0].certificate == own }.map(top)
        }
        if first == nil {
            // The CA with the most certificates below it.
            var counts = [Int](repeating: 0, count: members.count)
            for index in members.indices { for issuer in path(from: index) { counts[issuer] += 1 } }
            let ranks = members.indices.map { index in
                let rank = members[index].rank
                return [counts[index], -rank[0], -rank[1], -rank[4]]
            }
            first = authorities.filter { top(of: $0) == $0 }.max { ranks[$0].lexicographicallyPrecedes(ranks[$1]) }
        }
        guard let first else {
            throw AuthorityError(
                .missing, "there is no CA certificate in \(directory)",
                hint: "give the directory with the CA certificate first: pki import DIRECTORY MORE...")
        }
        let root = members[first].certificate
        let others = authorities.filter { index in
            guard index != first, top(of: index) == index else { return false }
            let other = members[index].certificate
            if other.subject == root.subject || other.publicKey == root.publicKey { return true }
            return layout.kind == .pki && CertificateAuthority.reservedNames.contains(members[index].name.stem)
        }
        return [first] + others
    }

    /// These certificates and all below them, in the order of depth.
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

    // MARK: - Keys

    /// The keys of certificates by their numbers, found by the public key, or by the file's name if a key cannot be
    /// opened.
    func keys(of accepted: [Int], in files: [ImportScan.File], findings: inout [ForeignFinding]) -> [Int: ForeignKey] {
        var open: [PublicKey: [String]] = [:]
        var closed: [(file: String, key: ImportScan.Key)] = []
        for file in files {
            for key in file.keys {
                if let publicKey = key.publicKey {
                    open[publicKey, default: []].append(file.path)
                } else {
                    closed.append((file.path, key))
                }
            }
        }
        func pairing(_ name: ForeignName) -> String { "\(name.stamp ?? "")/\(name.pairing)" }
        var keys: [Int: ForeignKey] = [:]
        var unpaired: [String: [Int]] = [:]
        for index in accepted {
            if let files = open[members[index].certificate.publicKey] {
                let file = files.count == 1 ? files[0] : Self.nearest(to: members[index], of: files)
                keys[index] = ForeignKey(file: file, proof: .publicKey, isEncrypted: false, address: nil)
            } else {
                unpaired[pairing(members[index].name), default: []].append(index)
            }
        }
        func report(_ file: String, _ why: String = "") {
            let text = "\(printable(file)) is not the key of any certificate that was found\(why)"
            findings.append(ForeignFinding(.unknownKey, text, file: file))
        }
        for (file, key) in closed {
            let state =
                key.isEncrypted ? "encrypted" : key.address == nil ? "in a format that cannot be opened" : "an address"
            let candidates = (unpaired[pairing(ForeignName(file))] ?? []).filter { keys[$0] == nil }
            let best = candidates.max {
                Self.closeness(members[$0].file, file) < Self.closeness(members[$1].file, file)
            }
            guard let best else {
                report(file, ": it is \(state)")
                continue
            }
            keys[best] = ForeignKey(file: file, proof: .name, isEncrypted: key.isEncrypted, address: key.address)
            guard key.address == nil else { continue }
            let owner = printable(members[best].file)
            let text = "\(printable(file)) is \(state); its name matches the certificate \(owner)"
            findings.append(ForeignFinding(.keyByName, text, file: file))
        }
        let known = Set(members.map(\.certificate.publicKey))
        for file in open.filter({ !known.contains($0.key) }).values.joined().sorted() { report(file) }
        return keys
    }

    private static func nearest(to member: Member, of files: [String]) -> String {
        let ranked = files.map { file in
            let name = ForeignName(file)
            let rank = [
                name.pairing == member.name.pairing ? 0 : 1, name.isArchived == member.name.isArchived ? 0 : 1,
                -closeness(file, member.file),
            ]
            return (rank: rank, file: file)
        }
        return ranked.min { $0.rank.lexicographicallyPrecedes($1.rank) }?.file ?? files[0]
    }

    /// The number of leading directories that two paths share.
    private static func closeness(_ one: String, _ other: String) -> Int {
        zip(one.split(separator: "/"), other.split(separator: "/")).prefix { $0 == $1 }.count
    }

    // MARK: - Names

    typealias Name = (name: String, place: InventoryEntry.Place)

    /// Names certificates, the root first.
    func names(
        of accepted: [Int], _ kind: ImportedCA.Kind, _ revocations: [Int: InventoryEntry.Revocation]
    ) -> [Int: Name] {
        var groups: [String: [Int]] = [:]
        for (position, index) in accepted.enumerated() {
            let name = position == 0 ? CertificateAuthority.rootName : Self.name(of: members[index], kind)
            groups[name, default: []].append(index)
        }
        var names: [Int: Name] = [:]
        var taken = Set(groups.keys)
        for (name, indices) in groups {
            let ranked = indices.map { index in
                let member = members[index]
                let rank: [Double] = [
                    index == accepted.first ? 0 : 1, member.name.isArchived ? 1 : 0, revocations[index] == nil ? 0 : 1,
                    -member.certificate.notBefore.timeIntervalSince1970, Double(index),
                ]
                return (rank: rank, index: index)
            }.sorted { $0.rank.lexicographicallyPrecedes($1.rank) }.map(\.index)
            // Files of one name in several directories may be of several subjects, each of which has a current
            // certificate.
            var named: [DistinguishedName?: String] = [:]
            for index in ranked {
                let member = members[index]
                let subject = kind == .pki ? nil : member.certificate.subject
                if let known = named[subject] {
                    names[index] = (known, .replaced)
                    continue
                }
                let own = named.isEmpty ? name : Self.distinct(name, member.certificate, &taken)
                named[subject] = own
                names[index] = (own, kind == .pki && member.name.isArchived ? .replaced : .current)
            }
        }
        return names
    }

    private static func name(of member: Member, _ kind: ImportedCA.Kind) -> String {
        let (certificate, stem) = (member.certificate, member.name.stem)
        if kind == .pki, member.file.hasSuffix("-cert.pem") || member.name.stamp != nil { return stem }
        let isTelling = !stem.isEmpty && !member.name.isSerial(certificate.serialNumber) && !member.name.isChain
        let alternatives = certificate.subjectAlternativeNames.map { $0.description.drop { $0 != ":" }.dropFirst() }
        let texts = (isTelling ? [stem[...]] : []) + [(certificate.subject.commonName ?? "")[...]] + alternatives
        let serial = certificate.serialNumber.hexadecimal
        let name = texts.lazy.compactMap { ForeignName.fitting($0) }.first ?? serial
        return CertificateAuthority.reservedNames.contains(name) ? "\(name)-\(serial.prefix(8))" : name
    }

    private static func distinct(_ name: String, _ certificate: Certificate, _ taken: inout Set<String>) -> String {
        let digits = certificate.serialNumber.hexadecimal
        for length in [8, digits.count] {
            let candidate = "\(name.prefix(63 - length))-\(digits.prefix(length))"
            if taken.insert(candidate).inserted { return candidate }
        }
        return certificate.fingerprint
    }
}

/// The parts of a file's name that describe the certificate or key in it.
struct ForeignName {
    /// The file's name without the suffixes for kinds of files.
    let stem: String
    /// Whether the file is in a directory of archived files.
    let isArchived: Bool
    /// The time of archiving in the name, the same for all files of a certificate.
    let stamp: String?
    /// Whether the file contains the chain of a certificate.
    let isChain: Bool

    init(_ path: some StringProtocol) {
        let parts = path.split(separator: "/")
        var name = String(parts.last ?? "")
        func removeSuffix(_ suffixes: [String]) -> Bool {
            let lower = name.lowercased()
            guard let suffix = suffixes.first(where: { lower.hasSuffix($0) && lower.count > $0.count }) else {
                return false
            }
            name.removeLast(suffix.count)
            return true
        }
        _ = removeSuffix([".pem", ".crt", ".cer", ".cert", ".der", ".key", ".uri", ".p7b", ".p7c"])
        isArchived = parts.dropLast().contains {
            ["archive", "revoked", "renewed", "expired"].contains($0.lowercased())
        }
        stamp = isArchived ? Self.splitStamp(&name) : nil
        isChain = removeSuffix(["-fullchain", "_fullchain", ".fullchain", "-chain", "_chain", ".chain", "-bundle"])
        if !isChain { _ = removeSuffix(["-cert", "_cert", ".cert", "-crt", ".crt", "-key", "_key", ".key"]) }
        stem = name
    }

    /// The stem in lower case, without words for certificate and key: the same for the two files of a pair.
    var pairing: String {
        var name = stem.lowercased()
        for word in ["certificate", "cert", "key", "crt"] where name.hasSuffix(word) && name.count > word.count {
            name.removeLast(word.count)
            while let last = name.last, "-_.".contains(last), name.count > 1 { name.removeLast() }
            break
        }
        return name
    }

    /// Whether the file is named after the serial number, ignoring leading zeros.
    func isSerial(_ serialNumber: SerialNumber) -> Bool { SerialNumber(hexadecimal: stem) == serialNumber }

    /// A name for files from any text; `nil` if no character is allowed.
    static func fitting(_ text: some StringProtocol) -> String? {
        var name = ""
        for character in text {
            let isAllowed =
                character.isASCII && (character.isLetter || character.isNumber || "._@-".contains(character))
            if name.isEmpty, !isAllowed || character == "." || character == "-" { continue }
            // A name has up to 64 characters; the rest is for a serial number.
            if name.utf8.count == 54 { break }
            if isAllowed { name.append(character) } else if name.last != "-" { name.append("-") }
        }
        while name.last == "-" { name.removeLast() }
        return name.isEmpty ? nil : name
    }

    /// Removes the suffix of ``CADirectory/archivedName(of:stamp:taken:)``, such as `-20260101T000000Z-2`.
    private static func splitStamp(_ name: inout String) -> String? {
        func isNumber(_ octets: some Sequence<UInt8>) -> Bool { octets.allSatisfy { (0x30...0x39).contains($0) } }
        func isStamp(_ text: Substring) -> Bool {
            let octets = Array(text.utf8)
            return octets.count == 16 && octets[8] == UInt8(ascii: "T") && octets[15] == UInt8(ascii: "Z")
                && isNumber(octets[0..<8] + octets[9..<15])
        }
        guard var dash = name.lastIndex(of: "-") else { return nil }
        let last = name[name.index(after: dash)...]
        if !isStamp(last) {
            guard (1...4).contains(last.count), isNumber(last.utf8), let before = name[..<dash].lastIndex(of: "-"),
                isStamp(name[name.index(after: before)..<dash])
            else { return nil }
            dash = before
        }
        let stamp = String(name[name.index(after: dash)...])
        name = String(name[..<dash])
        return stamp
    }
}
