// SPDX-License-Identifier: Apache-2.0

/// Rules on a certificate or a list and the certificate of its issuer.
enum IssuerRule: String, RuleGroup {
    case signature = "signature-wrong-key"
    case notCA = "issuer-not-ca"
    case keyUsage = "issuer-key-usage"
    case listUsage = "crl-issuer-key-usage"
    case keyIdentifier = "authority-key-identifier-mismatch"
    case nameEncoding = "issuer-name-encoding"
    case validity = "validity-outside-issuer"

    static let scopes: [ValidationRule.Scope] = [.path]

    var entry: RuleEntry {
        switch self {
        case .signature:
            .init(
                .error,
                "RFC 5280 §6.1.3",
                "The issuer's key made the signature.",
                "find the certificate of the issuer's right key, or have it issued again: it may have been changed"
            )
        case .notCA:
            .init(
                .error,
                "RFC 5280 §6.1.4",
                "The issuer is a CA.",
                "have it issued by a CA: who is none may not certify"
            )
        case .keyUsage:
            .init(
                .error,
                "RFC 5280 §6.1.4",
                "The key usage of the issuer has keyCertSign.",
                "have it issued by a CA whose key usage has keyCertSign"
            )
        case .listUsage:
            .init(
                .error,
                "RFC 5280 §6.3.3",
                "The key usage of a list's issuer has cRLSign.",
                "issue the CA's certificate again with keyUsage = critical, keyCertSign, cRLSign"
            )
        case .keyIdentifier:
            .init(
                .error,
                "RFC 5280 §4.2.1.1, §5.2.1",
                "The authorityKeyIdentifier is the subjectKeyIdentifier of the issuer.",
                "find the certificate of the issuer that has this identifier, or have it issued again"
            )
        case .nameEncoding:
            .init(
                .warning,
                "RFC 5280 §4.1.2.4, §7.1",
                "The issuer's name is the subject of its certificate, byte for byte.",
                "have it issued again by software that copies the name: some compare bytes"
            )
        case .validity:
            .init(
                .warning,
                "RFC 5280 §6.1.3",
                "A certificate does not outlive the one of its issuer.",
                "have the CA's certificate renewed before it ends"
            )
        }
    }
}
