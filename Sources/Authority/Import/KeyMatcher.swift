// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// The private keys in a directory, and whose they are.
struct KeyMatcher {
    /// A key that gives no public half, and is known by its file's name alone.
    private struct Closed {
        var file: String
        var name: ForeignName
        var key: ForeignFile.Key
    }

    private var open: [PublicKey: [String]] = [:]
    private var closed: [Closed] = []

    /// Collects the keys.
    ///
    /// - Parameter files: What was found.
    init(_ files: [ForeignFile]) {
        for found in files {
            for key in found.keys {
                if let publicKey = key.publicKey {
                    open[publicKey, default: []].append(found.file.path)
                } else {
                    closed.append(Closed(file: found.file.path, name: ForeignName(found.file.path), key: key))
                }
            }
        }
    }

    /// Finds the key of each certificate.
    ///
    /// - Parameters:
    ///   - members: The certificates.
    ///   - known: The public keys of all certificates, others' as well: nothing is said of their keys.
    ///   - findings: Gets what is to be said of keys.
    /// - Returns: For each certificate its key, when there is one.
    func keys(
        of members: [CertificateFamily.Member],
        known: Set<PublicKey>,
        findings: inout [ForeignFinding]
    ) -> [ForeignKey?] {
        var keys = members.map { member -> ForeignKey? in
            guard let files = open[member.certificate.publicKey] else { return nil }
            let file = files.count == 1 ? files[0] : Self.nearest(to: member, of: files)
            return ForeignKey(file: file, proof: .publicKey, isEncrypted: false, address: nil)
        }
        var bare: [String: [Int]] = [:]
        for (index, member) in members.enumerated() where keys[index] == nil {
            bare[Self.pairing(member.name), default: []].append(index)
        }
        for entry in closed {
            let candidates = (bare[Self.pairing(entry.name)] ?? []).filter { keys[$0] == nil }
            let best = candidates.max {
                Self.closeness(members[$0].file, entry.file) < Self.closeness(members[$1].file, entry.file)
            }
            guard let best else {
                findings.append(Self.unknown(entry.file, "it is \(Self.state(of: entry.key))"))
                continue
            }
            keys[best] = ForeignKey(
                file: entry.file,
                proof: .name,
                isEncrypted: entry.key.isEncrypted,
                address: entry.key.address
            )
            guard entry.key.address == nil else { continue }
            let message =
                "\(printable(entry.file)) is \(Self.state(of: entry.key)): by its name it is the key of "
                + printable(members[best].file)
            findings.append(ForeignFinding(.keyByName, message, file: entry.file))
        }
        let unknown = open.filter { !known.contains($0.key) }.values.joined().sorted()
        findings += unknown.map { Self.unknown($0, nil) }
        return keys
    }

    private static func state(of key: ForeignFile.Key) -> String {
        key.isEncrypted ? "encrypted" : key.address == nil ? "in a form that cannot be opened" : "an address"
    }

    private static func unknown(_ file: String, _ why: String?) -> ForeignFinding {
        let reason = why.map { ": \($0)" } ?? ""
        return ForeignFinding(
            .unknownKey,
            "\(printable(file)) is the key of no certificate that was found\(reason)",
            file: file
        )
    }

    private static func pairing(_ name: ForeignName) -> String { "\(name.stamp ?? "")/\(name.pairing)" }

    private static func nearest(to member: CertificateFamily.Member, of files: [String]) -> String {
        func rank(_ file: String) -> [Int] {
            let name = ForeignName(file)
            return [
                name.pairing == member.name.pairing ? 0 : 1, name.isArchived == member.name.isArchived ? 0 : 1,
                -closeness(file, member.file),
            ]
        }
        let ranked = files.map { (rank: rank($0), file: $0) }
        return ranked.min { $0.rank.lexicographicallyPrecedes($1.rank) }?.file ?? files[0]
    }

    /// How many directories two paths begin with together.
    private static func closeness(_ one: String, _ other: String) -> Int {
        zip(one.split(separator: "/"), other.split(separator: "/")).prefix { $0 == $1 }.count
    }
}
