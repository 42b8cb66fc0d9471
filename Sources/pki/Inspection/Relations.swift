// SPDX-License-Identifier: Apache-2.0

import Certificates
import RolesAnywhere

/// Which of some objects belong together: who issued whom, and whose key is whose.
///
/// Objects are known by their numbers, which count through all files.
struct Relations {
    /// The issuer of each certificate and list that has one among the certificates.
    private(set) var issuers: [Int: Int] = [:]

    /// The certificates of each key and request.
    private(set) var certificates: [Int: [Int]] = [:]

    /// The certificates that signed themselves.
    private(set) var selfSigned: Set<Int> = []

    /// The numbers of the certificates, in their order.
    private let numbers: [Int]

    /// How many certificates of one name are tried as an issuer: signatures take time, and a file may hold thousands.
    private static let candidateLimit = 16

    /// Finds out what belongs together.
    ///
    /// - Parameter objects: All objects; the first one has the number 0.
    init(of objects: [InspectedObject]) {
        var found: [(number: Int, certificate: Certificate)] = []
        for (number, object) in objects.enumerated() {
            if case .certificate(let certificate) = object { found.append((number, certificate)) }
        }
        numbers = found.map(\.number)
        let byKey = Dictionary(grouping: found, by: \.certificate.publicKey)
        let bySubject = Dictionary(grouping: found, by: \.certificate.subject.relativeNames)
        func candidates(
            _ issuer: DistinguishedName,
            _ keyIdentifier: [UInt8]?
        ) -> some Sequence<(number: Int, certificate: Certificate)> {
            let named = bySubject[issuer.relativeNames] ?? []
            let likely = named.filter { $0.certificate.subjectKeyIdentifier == keyIdentifier }
            let others = named.filter { $0.certificate.subjectKeyIdentifier != keyIdentifier }
            return (likely + others).prefix(Self.candidateLimit)
        }
        for (number, object) in objects.enumerated() {
            switch object {
            case .certificate(let certificate):
                if certificate.isSelfIssued, certificate.hasSigned(certificate) {
                    selfSigned.insert(number)
                } else {
                    issuers[number] =
                        candidates(certificate.issuer, certificate.authorityKeyIdentifier)
                        .first { $0.certificate != certificate && $0.certificate.hasIssued(certificate) }?.number
                }
            case .revocationList(let list):
                issuers[number] =
                    candidates(list.issuer, list.authorityKeyIdentifier)
                    .first { list.isSigned(by: $0.certificate) }?.number
            case .publicKey(let key): certificates[number] = byKey[key]?.map(\.number)
            case .certificateRequest(let request): certificates[number] = byKey[request.publicKey]?.map(\.number)
            case .privateKey(let key):
                if let publicKey = key.publicKey { certificates[number] = byKey[publicKey]?.map(\.number) }
            case .unknown: continue
            }
        }
    }

    /// The certificates as trees, each with its depth: issuers stand above what they issued. Those that have nothing to
    /// do with another are left out.
    var tree: [(number: Int, depth: Int)] {
        var children: [Int: [Int]] = [:]
        for number in numbers {
            if let issuer = issuers[number] { children[issuer, default: []].append(number) }
        }
        var rows: [(number: Int, depth: Int)] = []
        var seen: Set<Int> = []
        // Cross-signed certificates can issue one another in a circle, which has no top: what is left begins one.
        for top in numbers.filter({ issuers[$0] == nil && children[$0] != nil })
            + numbers.filter({ issuers[$0] != nil })
        {
            var waiting = [(number: top, depth: 0)]
            while let row = waiting.popLast() {
                guard seen.insert(row.number).inserted else { continue }
                rows.append(row)
                waiting += (children[row.number] ?? []).reversed().map { ($0, row.depth + 1) }
            }
        }
        return rows
    }
}
