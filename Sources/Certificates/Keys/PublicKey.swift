// SPDX-License-Identifier: Apache-2.0

/// A private key that can sign, wherever it lives: in memory, in a token, in an agent.
///
/// This is the seam between what is signed and who signs. Certificates, requests to AWS and test strings are all signed
/// through it.
public protocol SigningKey: Sendable {
    /// The public half.
    var publicKey: PublicKey { get }

    /// Signs a message in the one way that X.509 and Roles Anywhere use for this kind of key.
    ///
    /// RSA keys sign with RSASSA-PKCS1-v1_5 (RFC 8017 §8.2), EC keys with ECDSA and a DER-encoded `(r, s)` (RFC 3279
    /// §2.2.3), ML-DSA keys purely and with an empty context (FIPS 204 §5.2), without the digest.
    ///
    /// - Parameters:
    ///   - message: The bytes to sign, not their hash.
    ///   - digest: The hash function for RSA and EC keys.
    /// - Returns: The signature.
    /// - Throws: An `ExplainedError` if the key cannot be used.
    func signature(for message: [UInt8], digest: Digest) throws -> [UInt8]
}

/// A public key, as its SubjectPublicKeyInfo (RFC 5280 §4.1.2.7). Keys are compared as keys: an EC key on a curve that is
/// spelled out, or with a compressed point, equals the same key in the usual encoding.
public struct PublicKey: Hashable, Sendable {
    /// The DER encoding of the SubjectPublicKeyInfo.
    public let derEncoded: [UInt8]

    /// The algorithm of the key.
    public let algorithm: KeyAlgorithm

    /// The key alone, without its algorithm: an RSAPublicKey (RFC 8017), the point of an elliptic curve (SEC 1 §2.3.3), or
    /// the bytes of ML-DSA.
    package var subjectPublicKey: [UInt8] {
        guard let fields = DER.elements(inSequence: derEncoded), fields.count == 2, fields[1].tag == DER.bitString
        else {
            return []
        }
        return Array(fields[1].contents.dropFirst())
    }

    /// SHA-256 of the SubjectPublicKeyInfo, which identifies a key in inventories.
    package var digest: [UInt8] { Digest.sha256.hash(derEncoded) }

    /// The usual encoding, where ``derEncoded`` is another.
    private let usualEncoding: [UInt8]?

    init(derEncoded: [UInt8], algorithm: KeyAlgorithm, usualEncoding: [UInt8]? = nil) {
        self.derEncoded = derEncoded
        self.algorithm = algorithm
        self.usualEncoding = usualEncoding
    }

    /// Compares the keys.
    public static func == (left: PublicKey, right: PublicKey) -> Bool {
        left.usualEncoding ?? left.derEncoded == right.usualEncoding ?? right.derEncoded
    }

    /// Hashes the key.
    public func hash(into hasher: inout Hasher) { hasher.combine(usualEncoding ?? derEncoded) }

    /// The SubjectPublicKeyInfo of an RSA key from its RSAPublicKey; its parameters are NULL (RFC 3279 §2.3.1).
    package static func rsaEncoding(_ key: [UInt8]) -> [UInt8] {
        let algorithm = DER.sequence([DER.objectIdentifier("1.2.840.113549.1.1.1"), [0x05, 0x00]])
        return DER.sequence([algorithm, DER.bitString(key)])
    }

    /// The SubjectPublicKeyInfo of an RSA key from its big-endian numbers.
    package static func rsaEncoding(modulus: [UInt8], exponent: [UInt8]) -> [UInt8] {
        rsaEncoding(DER.sequence([DER.unsignedInteger(modulus), DER.unsignedInteger(exponent)]))
    }

    /// The SubjectPublicKeyInfo of an EC key from its encoded parameters and its point (RFC 5480 §2).
    package static func ecEncoding(parameters: [UInt8], point: [UInt8]) -> [UInt8] {
        let algorithm = DER.sequence([DER.objectIdentifier("1.2.840.10045.2.1"), parameters])
        return DER.sequence([algorithm, DER.bitString(point)])
    }
}

/// The algorithm of a public key.
public enum KeyAlgorithm: Hashable, Sendable {
    /// RSA, with the length of its modulus in bits.
    case rsa(bits: Int)
    /// An elliptic curve, by libcrypto's name of it: `prime256v1`, `secp384r1`, …
    case ec(curve: String)
    /// ML-DSA (FIPS 204) with its parameter set: 44, 65 or 87.
    case mlDSA(Int)
    /// Any other, by libcrypto's name of it.
    case other(String)
}

/// The curves of NIST that keys are made on.
package enum NamedCurve: String, CaseIterable {
    case p256 = "prime256v1"
    case p384 = "secp384r1"
    case p521 = "secp521r1"

    package var objectIdentifier: String {
        switch self {
        case .p256: "1.2.840.10045.3.1.7"
        case .p384: "1.3.132.0.34"
        case .p521: "1.3.132.0.35"
        }
    }

    /// The number of octets of the curve's order.
    package var orderSize: Int {
        switch self {
        case .p256: 32
        case .p384: 48
        case .p521: 66
        }
    }

    /// The number of octets of an uncompressed point (SEC 1 §2.3.3): both coordinates are as long as the order.
    var pointSize: Int { 1 + 2 * orderSize }
}

extension KeyAlgorithm {
    /// The key's curve; `nil` for another curve, and for keys that have none.
    package var namedCurve: NamedCurve? {
        if case .ec(let curve) = self { NamedCurve(rawValue: curve) } else { nil }
    }
}

extension KeyAlgorithm: CustomStringConvertible {
    /// The name that a person would use: `RSA 2048`, `EC P-256`, `ML-DSA-65`.
    public var description: String {
        switch self {
        case .rsa(let bits): "RSA \(bits)"
        case .ec("prime256v1"): "EC P-256"
        case .ec("secp384r1"): "EC P-384"
        case .ec("secp521r1"): "EC P-521"
        case .ec(let curve): "EC \(curve)"
        case .mlDSA(let parameterSet): "ML-DSA-\(parameterSet)"
        case .other(let name): name
        }
    }
}

/// A kind of key that can be generated. The raw value is its name on the command line and in templates.
public enum KeyType: String, CaseIterable, Sendable {
    /// NIST P-256, the default: made in microseconds, 128-bit strength, accepted everywhere.
    case ecP256 = "ec-p256"
    /// NIST P-384.
    case ecP384 = "ec-p384"
    /// RSA with a modulus of 2048 bits and the public exponent 65537.
    case rsa2048 = "rsa-2048"
    /// RSA with a modulus of 3072 bits.
    case rsa3072 = "rsa-3072"
    /// RSA with a modulus of 4096 bits.
    case rsa4096 = "rsa-4096"
    /// ML-DSA-44 (FIPS 204, category 2). Needs OpenSSL 3.5 at run time.
    case mlDSA44 = "ml-dsa-44"
    /// ML-DSA-65 (FIPS 204, category 3). Needs OpenSSL 3.5 at run time.
    case mlDSA65 = "ml-dsa-65"
    /// ML-DSA-87 (FIPS 204, category 5). Needs OpenSSL 3.5 at run time.
    case mlDSA87 = "ml-dsa-87"

    /// The algorithm of a public key of this kind.
    public var algorithm: KeyAlgorithm {
        switch self {
        case .ecP256: .ec(curve: "prime256v1")
        case .ecP384: .ec(curve: "secp384r1")
        case .rsa2048: .rsa(bits: 2048)
        case .rsa3072: .rsa(bits: 3072)
        case .rsa4096: .rsa(bits: 4096)
        case .mlDSA44: .mlDSA(44)
        case .mlDSA65: .mlDSA(65)
        case .mlDSA87: .mlDSA(87)
        }
    }
}

/// A hash function of the SHA-2 family.
public enum Digest: String, CaseIterable, Sendable {
    /// SHA-256, 32 octets.
    case sha256
    /// SHA-384, 48 octets.
    case sha384
    /// SHA-512, 64 octets.
    case sha512
}
