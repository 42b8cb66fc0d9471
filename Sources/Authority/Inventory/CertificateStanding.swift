// SPDX-License-Identifier: Apache-2.0

package import Certificates
import SQL
import SystemSupport

/// What a directory knows of a certificate, beyond what the certificate says itself.
package struct CertificateStanding: Sendable {
    /// The revocation, and the path of the inventory or the CRL that it is in; `nil` if none is known.
    package var revocation: (revocation: InventoryEntry.Revocation, source: String)?

    /// Whether a newer certificate has its name.
    package var isReplaced = false

    /// What is wrong, after the certificate's name: "was revoked at …"; `nil` if nothing is.
    package var finding: String? {
        guard let (revocation, source) = revocation else {
            return isReplaced ? "was replaced by a newer certificate of its name" : nil
        }
        let date = timestamp(revocation.date)
        let what =
            revocation.reason == .certificateHold
            ? "is on hold since \(date)" : "was revoked at \(date) (\(revocation.reason.name))"
        return "\(what), by \(source)"
    }
}

extension Inventory {
    /// The standing of each certificate by the inventory of a directory and the CRLs in it, as far as there are any. Throws if
    /// the inventory cannot be read.
    package static func standings(of certificates: [Certificate], in path: String) throws -> [CertificateStanding] {
        let directory = try CADirectory(path: path, for: .reading)
        let lists = revocationLists(in: directory)
        func standing(of certificate: Certificate, _ entry: InventoryEntry?) -> CertificateStanding {
            var standing = CertificateStanding(isReplaced: entry?.place == .replaced)
            if let revocation = entry?.revocation {
                standing.revocation = (revocation, directory.path(of: fileName))
                return standing
            }
            // What was released from hold is in the last CRL until the next one.
            guard entry == nil else { return standing }
            for list in lists where list.covers(certificate) {
                guard let found = list.list.entry(for: certificate.serialNumber) else { continue }
                let revocation = InventoryEntry.Revocation(
                    date: found.revocationDate, reason: found.reason ?? .unspecified, invalidityDate: nil)
                standing.revocation = (revocation, list.path)
            }
            return standing
        }
        guard directory.contains(fileName) else { return certificates.map { standing(of: $0, nil) } }
        return try explained(directory.path(of: fileName)) {
            let records = try InventoryDatabase(reading: directory)
            return try certificates.map { certificate in
                let fingerprint = Digest.sha256.hash(certificate.derEncoded)
                return standing(
                    of: certificate, try records.entries(where: "fingerprint = ?", [.blob(fingerprint)]).first)
            }
        }
    }

    private struct FoundList {
        let list: CertificateRevocationList
        let path: String
        /// The certificate beside the CRL, whose CRL it is.
        let issuer: Certificate?

        func covers(_ certificate: Certificate) -> Bool {
            guard list.issuer == certificate.issuer else { return false }
            guard let issuer else { return true }
            return issuer.subject == list.issuer && list.isSigned(by: issuer)
        }
    }

    /// The CRLs of a directory that can be read.
    private static func revocationLists(in directory: CADirectory) -> [FoundList] {
        let end = AuthorityFiles.revocationList(of: "")
        return directory.names().filter { $0.hasSuffix(end) && $0 != end }.sorted().compactMap { name in
            guard let bytes = try? directory.read(name, isPrivate: false),
                let list = try? Container(reading: bytes).revocationLists.first
            else { return nil }
            let certificate = AuthorityFiles.certificate(of: String(name.dropLast(end.count)))
            return FoundList(
                list: list, path: directory.path(of: name), issuer: try? directory.certificates(in: certificate).first)
        }
    }
}
