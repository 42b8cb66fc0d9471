// SPDX-License-Identifier: Apache-2.0

/// What a public key is made for.
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
