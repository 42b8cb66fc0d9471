// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// What `pki inspect` says of a certificate request.
struct RequestReport: Encodable, Sendable {
    let kind = "certificateRequest"
    var subject: String
    var subjectAlternativeNames: [NameFacts]
    var key: KeyFacts
    var signatureAlgorithm: String
    var signatureIsWeak: Bool
    /// Whether the signature was made with the key in the request; nothing when this libcrypto cannot tell.
    var signatureIsGood: Bool?
    var extensions: [ExtensionFacts]
    var sha256: String
    /// The SHA-256 of certificates for the same key that were read too.
    var certificates: [String]
    var pem: String

    private let request: CertificateRequest

    private enum CodingKeys: CodingKey {
        case kind, subject, subjectAlternativeNames, key, signatureAlgorithm, signatureIsWeak, signatureIsGood
        case extensions, sha256, certificates, pem
    }

    /// Describes a request.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - certificates: Certificates for the same key.
    init(_ request: CertificateRequest, certificates: [Certificate]) {
        self.request = request
        subject = request.subject.description
        subjectAlternativeNames = request.subjectAlternativeNames.map(NameFacts.init)
        key = KeyFacts(request.publicKey)
        signatureAlgorithm = request.signatureAlgorithm.name
        signatureIsWeak = request.signatureAlgorithm.isWeak
        signatureIsGood = request.isSignedByItsKey
        extensions = request.extensions.map(ExtensionFacts.init)
        sha256 = hexadecimal(Digest.sha256.hash(request.derEncoded))
        self.certificates = certificates.map(\.fingerprint)
        pem = request.pemEncoded
    }

    /// Every field.
    ///
    /// - Parameters:
    ///   - fields: The block.
    ///   - whose: Names for the certificates of the same key.
    func add(to fields: inout FieldList, whose: [String]) {
        fields.add("subject", subject.isEmpty ? "(empty)" : subject)
        fields.add("names", subjectAlternativeNames.map(\.text))
        fields.add("key", key.name)
        fields.add(request.signatureAlgorithm)
        switch signatureIsGood {
        case true?: fields.add("", "made with the key in the request")
        case false?: fields.add("", "WRONG: it was not made with the key in the request")
        case nil: fields.add("", "it cannot be checked with this libcrypto")
        }
        let others = extensions.filter { $0.identifier != "2.5.29.17" }
        fields.add("asks for", others)
        fields.add("certified in", whose)
        fields.add("SHA-256", sha256)
        fields.add("of the key", key.sha256)
    }
}
