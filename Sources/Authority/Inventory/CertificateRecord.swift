// SPDX-License-Identifier: Apache-2.0

import Certificates
import struct FoundationEssentials.Date

/// What is written into the inventory about a certificate.
struct CertificateRecord {
    var name: String
    var certificate: Certificate
    var profile: String
    /// SHA-256 of the issuer's public key.
    var issuerKey: [UInt8]
    var template: CertificateTemplate?
    /// How many seconds it was to be good for, although its CA may end before.
    var lifetime: Double?
    var certificateFile: String
    var keyFile: String?
    var chainFile: String?
    var place = InventoryEntry.Place.current
    var revocation: InventoryEntry.Revocation?
    var issuedAt: Date
    var issuedBy: String
}

extension PublicKey {
    /// SHA-256 of the SubjectPublicKeyInfo, by which the inventory knows a key.
    var digest: [UInt8] { Digest.sha256.hash(derEncoded) }
}
