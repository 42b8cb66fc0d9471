// SPDX-License-Identifier: Apache-2.0

/// Rules on the certified key.
enum KeyRule: String, RuleGroup {
    case shortRSA = "key-rsa-short"
    case evenModulus = "key-rsa-modulus"
    case exponent = "key-rsa-exponent"
    case smallExponent = "key-rsa-exponent-small"
    case explicitCurve = "key-curve-explicit"
    case curve = "key-curve"
    case compressedPoint = "key-point-compressed"
    case algorithm = "key-algorithm"

    var entry: RuleEntry {
        switch self {
        case .shortRSA:
            .init(
                .error,
                "NIST SP 800-131A §3",
                "An RSA key has 2048 bits or more.",
                "make a key of 2048 bits or more, and a new certificate"
            )
        case .evenModulus:
            .init(.error, "RFC 8017 §3.1", "The modulus of an RSA key is odd.", "make a new key with sound software")
        case .exponent:
            .init(
                .error,
                "RFC 8017 §3.1",
                "The public exponent of an RSA key is odd and at least 3.",
                "make a new key with sound software"
            )
        case .smallExponent:
            .init(
                .warning,
                "FIPS 186-5 §A.1.1",
                "The public exponent of an RSA key is 65537 or more.",
                "make a new key, with the exponent 65537"
            )
        case .explicitCurve:
            .init(
                .error,
                "RFC 5480 §2.1.1",
                "An elliptic curve is named, not written out.",
                "make the key with a named curve, such as P-256"
            )
        case .curve:
            .init(
                .warning,
                "RFC 5480 §2.1.1.1, FIPS 186-5 §6.1",
                "An elliptic curve is P-256, P-384 or P-521, which everybody reads.",
                "make a key on P-256"
            )
        case .compressedPoint:
            .init(
                .warning,
                "RFC 5480 §2.2",
                "The point of an elliptic curve is written in full, which everybody reads.",
                "write the key with its point uncompressed"
            )
        case .algorithm:
            .init(
                .warning,
                "RFC 3279, RFC 5480, RFC 8410, RFC 9881",
                "The key is for RSA, an elliptic curve, EdDSA or ML-DSA.",
                "make a key of one of these kinds"
            )
        }
    }
}
