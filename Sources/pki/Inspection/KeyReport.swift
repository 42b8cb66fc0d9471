// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import RolesAnywhere
import SystemSupport

/// What `pki inspect` says of a key. It contains only the public part of a private key.
struct KeyReport: Encodable, Sendable {
    /// `publicKey` or `privateKey`.
    var kind: String
    /// How a private key is written: `pkcs8`, `pkcs1`, `sec1`, …
    var form: String?
    /// Whether a private key is encrypted; `nil` if what is around it keeps it, or it is not known.
    var encrypted: Bool?
    /// How it is encrypted.
    var encryption: String?
    /// The public half; `nil` if a private key could not be opened.
    var key: KeyFacts?
    /// Why it could not be opened.
    var problem: String?
    /// The SHA-256 of the certificates for the key that were read too.
    var certificates: [String]

    init(_ key: PublicKey, certificates: [Certificate]) {
        kind = "publicKey"
        self.key = KeyFacts(key)
        self.certificates = certificates.map(\.fingerprint)
    }

    init(_ key: InspectedKey, certificates: [Certificate]) {
        kind = "privateKey"
        form = key.form
        encrypted = key.encryption != nil ? true : key.isEnclosed || key.publicKey == nil ? nil : false
        encryption = key.encryption
        self.key = key.publicKey.map(KeyFacts.init)
        problem = key.problem
        self.certificates = certificates.map(\.fingerprint)
    }

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

/// What a report says of a public key.
struct KeyFacts: Encodable, Sendable {
    /// `RSA`, `EC`, `ML-DSA`, or libcrypto's name.
    var algorithm: String
    /// The length of an RSA modulus.
    var bits: Int?
    /// An elliptic curve, by libcrypto's name of it.
    var curve: String?
    /// The parameter set of ML-DSA.
    var parameterSet: Int?
    /// For a person: `EC P-256`.
    var name: String
    /// SHA-256 of the SubjectPublicKeyInfo, in hexadecimal.
    var sha256: String
    /// The key in PEM.
    var pem: String
    /// What Roles Anywhere calls the signatures of the key; `nil` if it knows none.
    var signingAlgorithm: String?

    init(_ key: PublicKey) {
        switch key.algorithm {
        case .rsa(let bits): (algorithm, self.bits) = ("RSA", bits)
        case .ec(let curve): (algorithm, self.curve) = ("EC", curve)
        case .mlDSA(let set): (algorithm, parameterSet) = ("ML-DSA", set)
        case .other(let name): algorithm = name
        }
        name = key.algorithm.description
        sha256 = hexadecimal(Digest.sha256.hash(key.derEncoded))
        pem = PEMDocument(label: "PUBLIC KEY", bytes: key.derEncoded).text
        signingAlgorithm = RequestSignature.name(for: key.algorithm)
    }
}

/// What a report says of an alternative name.
struct NameFacts: Encodable, Sendable {
    /// `DNS`, `IP`, `URI`, `email`, `dirName`, or the name of another kind.
    var kind: String
    /// The name; `nil` for a kind that is not read.
    var value: String?

    init(_ name: GeneralName) {
        if case .other(let kind) = name {
            self.kind = kind
            return
        }
        let text = name.description
        kind = String(text.prefix { $0 != ":" })
        value = String(text.dropFirst(kind.count + 1))
    }

    /// `DNS:web-1.example.com`
    var text: String { value.map { "\(kind):\($0)" } ?? kind }
}

/// What a report says of an extension that has no field of its own, and for a program of every one.
struct ExtensionFacts: Encodable, Sendable {
    /// The object identifier in dots.
    var identifier: String
    /// libcrypto's short name.
    var name: String
    /// Whether who does not know it must refuse.
    var critical: Bool
    /// The value in libcrypto's words.
    var text: String?
    /// The DER of the value, in hexadecimal.
    var value: String

    init(_ found: CertificateExtension) {
        identifier = found.identifier
        name = found.name
        critical = found.isCritical
        text = found.text
        value = hexadecimal(found.value)
    }

    /// The value for a person, in one line.
    var words: String { text ?? (value.count > 64 ? "\(value.prefix(64))…" : value) }
}

extension FieldList {
    /// Adds what there is to say of a signature.
    mutating func add(_ signature: SignatureAlgorithm) {
        add("signature", signature.name + (signature.isWeak ? " (WEAK: AWS wants SHA-256 or stronger)" : ""))
    }

    /// Adds extensions that have no field of their own.
    mutating func add(_ label: String, _ extensions: [ExtensionFacts]) {
        add(label, extensions.map { "\($0.name)\($0.critical ? " (critical)" : ""): \($0.words)" })
    }
}

/// What `pki inspect` says of a certificate request.
struct RequestReport: Encodable, Sendable {
    let kind = "certificateRequest"
    var subject: String
    var subjectAlternativeNames: [NameFacts]
    var key: KeyFacts
    var signatureAlgorithm: String
    var signatureIsWeak: Bool
    /// Whether the signature was made with the key in the request; `nil` if this libcrypto cannot tell.
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
