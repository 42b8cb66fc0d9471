// SPDX-License-Identifier: Apache-2.0

import Certificates

/// One thing that a file holds, as far as it can be looked into.
enum InspectedObject: Sendable {
    case certificate(Certificate)
    case certificateRequest(CertificateRequest)
    case revocationList(CertificateRevocationList)
    case publicKey(PublicKey)
    case privateKey(InspectedKey)
    /// Something else, by the label of its PEM object.
    case unknown(label: String)
}

/// What may be said of a private key. The key itself is not kept.
struct InspectedKey: Sendable {
    /// How it is written: `pkcs8`, `pkcs1`, `sec1`, …
    var form: String
    /// How it is encrypted; nothing when it is not.
    var encryption: String?
    /// Whether something around it keeps it: a PKCS#12 file, whose encryption is its own, or a device.
    var isEnclosed = false
    /// Its public half; nothing when the key could not be opened.
    var publicKey: PublicKey?
    /// Why the key could not be opened.
    var problem: String?
}

/// What one source holds.
struct InspectedFile: Sendable {
    /// What the source is called.
    var name: String
    /// How its objects are written: `pem`, `der`, `pkcs12`.
    var form: String
    /// The objects in their order.
    var objects: [InspectedObject]
}
