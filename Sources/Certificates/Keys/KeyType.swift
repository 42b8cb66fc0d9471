// SPDX-License-Identifier: Apache-2.0

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

    /// What a public key of this kind says of itself.
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
