// SPDX-License-Identifier: Apache-2.0

package import Certificates

/// The certificates above one, picked out of a heap.
struct CertificateChain {
    /// Nearest first. Where two were cross-signed, both stand here.
    let intermediates: [Certificate]

    /// Climbs from a certificate to its issuers, theirs, and so on.
    ///
    /// An issuer is one whose subject is the name and whose key made the signature. Of certificates that differ only in
    /// how long they are valid, the one that ends last is taken.
    ///
    /// - Parameters:
    ///   - certificate: Where to begin.
    ///   - heap: Certificates in any order, with any that have nothing to do with it.
    init(of certificate: Certificate, among heap: [Certificate]) {
        var rest = Self.withoutPredecessors(heap.filter { $0 != certificate && !$0.isSelfSigned })
        var chain: [Certificate] = []
        var level = [certificate]
        while !level.isEmpty {
            let issuers = rest.filter { candidate in
                level.contains { candidate.hasIssued($0) }
            }
            rest.removeAll { issuers.contains($0) }
            chain += issuers
            level = issuers
        }
        intermediates = chain
    }

    /// Leaves out doubles, and certificates that were renewed with the same key by the same issuer.
    private static func withoutPredecessors(_ heap: [Certificate]) -> [Certificate] {
        var kept: [Certificate] = []
        for certificate in heap {
            let twin = kept.firstIndex {
                $0.subject == certificate.subject && $0.issuer == certificate.issuer
                    && $0.publicKey == certificate.publicKey
            }
            guard let twin else {
                kept.append(certificate)
                continue
            }
            if kept[twin].notAfter < certificate.notAfter { kept[twin] = certificate }
        }
        return kept
    }
}

extension Certificate {
    /// Whether the certificate is a root: its own key signed it.
    fileprivate var isSelfSigned: Bool { isSelfIssued && hasSigned(self) }

    /// Whether the subject is another's issuer, and its key made the other's signature.
    ///
    /// Names that are encoded in different ways but read the same count as the same (RFC 5280 §7.1).
    package func hasIssued(_ other: Certificate) -> Bool {
        (subject == other.issuer || subject.relativeNames == other.issuer.relativeNames) && hasSigned(other)
    }
}
