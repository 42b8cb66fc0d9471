// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import RolesAnywhere
import SystemSupport

extension Identity {
    /// What the CA's directory knows of the certificate and of the CAs above it, first of all a revocation.
    ///
    /// - Parameter directory: The CA's directory; by default the one in which the certificate's file is, if there is an
    ///   inventory or a CRL in it.
    /// - Returns: The certificate and what is known; `nil` if nothing is known to be wrong.
    func knownFinding(in directory: String? = nil) throws -> (certificate: Certificate, standing: CertificateStanding)?
    {
        guard let directory = try directory ?? source.flatMap(Self.directory) else { return nil }
        let certificates = [certificate] + intermediates
        let standings = zip(certificates, try Inventory.standings(of: certificates, in: directory))
        let found =
            standings.first { $0.1.revocation != nil } ?? standings.first { $0.0 == certificate && $0.1.isReplaced }
        return found.map { ($0.0, $0.1) }
    }

    /// The directory of a certificate's file, without links.
    private static func directory(of file: String) throws -> String? {
        guard FileStatus(at: file)?.kind == .regular else { return nil }
        return try FilePath.absolute(FilePath.parent(of: file))
    }
}
