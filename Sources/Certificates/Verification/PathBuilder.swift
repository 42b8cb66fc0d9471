// SPDX-License-Identifier: Apache-2.0

import struct FoundationEssentials.Date

/// Builds every path from a certificate to a trusted one, the most promising first (RFC 4158 §3): where a CA has several
/// certificates, or several CAs have one name, the first path is not always the valid one.
///
/// Names and signatures decide which certificate can be the issuer; whether a path is valid is for the caller to check.
/// Prepared certificates cannot make it work for long: depth, signatures and paths have limits.
struct PathBuilder {
    /// The most certificates of a path.
    private static let longest = 16
    /// The most signatures that are verified.
    private static let mostSignatures = 256
    /// The most paths.
    private static let mostPaths = 64

    private let anchors: [Certificate]
    private let intermediates: [Certificate]
    private let date: Date
    private var signatures = 0
    private var answers: [[Certificate]: Bool] = [:]
    private(set) var paths: [[Certificate]] = []

    /// Builds the paths of a certificate. The last certificate of each is an anchor.
    init(for certificate: Certificate, anchors: [Certificate], intermediates: [Certificate], at date: Date) {
        (self.anchors, self.intermediates, self.date) = (anchors, intermediates, date)
        extend([certificate])
    }

    private mutating func extend(_ path: [Certificate]) {
        guard let last = path.last, path.count <= Self.longest, paths.count < Self.mostPaths else { return }
        // A trusted certificate ends the path, even if another CA has certified it too.
        if anchors.contains(last) { return paths.append(path) }
        for issuer in candidates(for: last) where !path.contains(where: { $0.isSameCA(as: issuer) }) {
            if hasSigned(issuer, last) { extend(path + [issuer]) }
        }
    }

    /// The certificates whose name is that of the issuer: anchors first, then those whose key identifier fits, then
    /// those that are valid.
    private func candidates(for certificate: Certificate) -> [Certificate] {
        var seen: Set<Certificate> = []
        let named = (anchors + intermediates).filter {
            $0 != certificate && $0.subject.isEqual(to: certificate.issuer) && seen.insert($0).inserted
        }
        func rank(_ issuer: Certificate) -> Int {
            let identifier = certificate.authorityKeyIdentifier
            let fits = identifier == nil || identifier == issuer.subjectKeyIdentifier
            return (anchors.contains(issuer) ? 0 : 4) + (fits ? 0 : 2) + (issuer.isValid(at: date) ? 0 : 1)
        }
        return named.enumerated().sorted { (rank($0.element), $0.offset) < (rank($1.element), $1.offset) }
            .map(\.element)
    }

    private mutating func hasSigned(_ issuer: Certificate, _ certificate: Certificate) -> Bool {
        if let answer = answers[[issuer, certificate]] { return answer }
        guard signatures < Self.mostSignatures else { return false }
        signatures += 1
        let answer = issuer.hasSigned(certificate)
        answers[[issuer, certificate]] = answer
        return answer
    }
}

extension Certificate {
    /// Whether both are of one name and key: a path never has two such certificates.
    fileprivate func isSameCA(as other: Certificate) -> Bool {
        self == other || publicKey == other.publicKey && subject.isEqual(to: other.subject)
    }
}
