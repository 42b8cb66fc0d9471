// SPDX-License-Identifier: Apache-2.0

import Certificates

/// What `pki inspect` says of a key. Nothing of a private key but its public half ever stands in it.
struct KeyReport: Encodable, Sendable {
    /// `publicKey` or `privateKey`.
    var kind: String
    /// How a private key is written: `pkcs8`, `pkcs1`, `sec1`, …
    var form: String?
    /// Whether a private key is encrypted; nothing when what is around it keeps it, or it is not known.
    var encrypted: Bool?
    /// How it is encrypted.
    var encryption: String?
    /// The public half; nothing when a private key could not be opened.
    var key: KeyFacts?
    /// Why it could not be opened.
    var problem: String?
    /// The SHA-256 of the certificates for the key that were read too.
    var certificates: [String]

    /// Describes a public key.
    init(_ key: PublicKey, certificates: [Certificate]) {
        kind = "publicKey"
        self.key = KeyFacts(key)
        self.certificates = certificates.map(\.fingerprint)
    }

    /// Describes a private key.
    init(_ key: InspectedKey, certificates: [Certificate]) {
        kind = "privateKey"
        form = key.form
        encrypted = key.encryption != nil ? true : key.isEnclosed || key.publicKey == nil ? nil : false
        encryption = key.encryption
        self.key = key.publicKey.map(KeyFacts.init)
        problem = key.problem
        self.certificates = certificates.map(\.fingerprint)
    }

    /// Every field.
    ///
    /// - Parameters:
    ///   - fields: The block.
    ///   - whose: Names for the certificates of the key.
    ///   - hasCertificates: Whether there are certificates that it could be the key of.
    func add(to fields: inout FieldList, whose: [String], hasCertificates: Bool) {
        fields.add("key", key?.name)
        fields.add("form", form)
        if let encrypted { fields.add("encryption", encrypted ? encryption : "NONE: who reads the file has the key") }
        fields.add("not opened", problem)
        fields.add("key of", whose.isEmpty && hasCertificates && key != nil ? ["none of the certificates"] : whose)
        fields.add("signs with", key.map { $0.signingAlgorithm ?? "nothing that IAM Roles Anywhere knows" })
        fields.add("SHA-256", key?.sha256)
    }
}
