// SPDX-License-Identifier: Apache-2.0

import Certificates
import RolesAnywhere
import SystemSupport

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
    /// What Roles Anywhere calls the signatures of the key; nothing when it knows none.
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
        signingAlgorithm = ClientCertificateRules.signingAlgorithm(for: key.algorithm)
    }
}

/// What a report says of an alternative name.
struct NameFacts: Encodable, Sendable {
    /// `DNS`, `IP`, `URI`, `email`, `dirName`, or the name of another kind.
    var kind: String
    /// The name; nothing for a kind that is not read.
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
    ///
    /// - Parameters:
    ///   - label: What they are.
    ///   - extensions: The extensions.
    mutating func add(_ label: String, _ extensions: [ExtensionFacts]) {
        add(label, extensions.map { "\($0.name)\($0.critical ? " (critical)" : ""): \($0.words)" })
    }
}
