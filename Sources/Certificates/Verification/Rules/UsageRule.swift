// SPDX-License-Identifier: Apache-2.0

/// Rules on what a certificate may be used for, and on what tells its key from others.
enum UsageRule: String, RuleGroup {
    case notCA = "ca-basic-constraints"
    case isCA = "leaf-basic-constraints"
    case constraintsCritical = "basic-constraints-critical"
    case pathLength = "path-length-without-ca"
    case caKeyUsage = "ca-key-usage"
    case caKeyUsageCritical = "ca-key-usage-critical"
    case caCertSign = "ca-cert-sign"
    case caListSign = "ca-crl-sign"
    case certSign = "key-usage-cert-sign"
    case usageEmpty = "key-usage-empty"
    case impossible = "key-usage-impossible"
    case onlyBits = "key-usage-only"
    case extendedEmpty = "extended-key-usage-empty"
    case extendedAny = "extended-key-usage-any"
    case extendedDuplicate = "extended-key-usage-duplicate"
    case extendedInconsistent = "extended-key-usage-inconsistent"
    case client = "client-usage"
    case server = "server-usage"
    case subjectKey = "ca-subject-key-identifier"
    case noAuthorityKey = "authority-key-identifier-absent"
    case authorityKeyWithoutKey = "authority-key-identifier-keyid"
    case authorityKeyIssuer = "authority-key-identifier-issuer"

    var entry: RuleEntry {
        switch self {
        case .notCA:
            .init(
                .error,
                "RFC 5280 §4.2.1.9",
                "A CA's certificate has basicConstraints with CA:TRUE.",
                "issue one with basicConstraints = critical, CA:TRUE"
            )
        case .isCA:
            .init(
                .error,
                "RFC 5280 §4.2.1.9",
                "The certificate of a client or a server is not a CA's.",
                "issue one with basicConstraints = CA:FALSE, or without"
            )
        case .constraintsCritical:
            .init(
                .error,
                "RFC 5280 §4.2.1.9",
                "The basicConstraints of a CA are critical.",
                "issue one with basicConstraints = critical, CA:TRUE"
            )
        case .pathLength:
            .init(
                .error,
                "RFC 5280 §4.2.1.9",
                "A path length stands only in a CA's certificate.",
                "leave the path length out"
            )
        case .caKeyUsage:
            .init(
                .error,
                "RFC 5280 §4.2.1.3",
                "A CA's certificate has a key usage.",
                "issue one with keyUsage = critical, keyCertSign, cRLSign"
            )
        case .caKeyUsageCritical:
            .init(
                .warning,
                "RFC 5280 §4.2.1.3",
                "The key usage of a CA is critical.",
                "issue one with keyUsage = critical, keyCertSign, cRLSign"
            )
        case .caCertSign:
            .init(
                .error,
                "RFC 5280 §4.2.1.3, §4.2.1.9",
                "The key usage of a CA has keyCertSign.",
                "issue one with keyUsage = critical, keyCertSign, cRLSign"
            )
        case .caListSign:
            .init(
                .notice,
                "RFC 5280 §4.2.1.3",
                "The key usage of a CA has cRLSign, without which nothing that it issued can be revoked by a list of its own.",
                "issue one with keyUsage = critical, keyCertSign, cRLSign"
            )
        case .certSign:
            .init(
                .error,
                "RFC 5280 §4.2.1.3",
                "Only a CA has the key usage keyCertSign.",
                "leave keyCertSign out"
            )
        case .usageEmpty:
            .init(
                .error,
                "RFC 5280 §4.2.1.3",
                "A key usage has at least one use.",
                "name the uses, such as digitalSignature, or leave the extension out"
            )
        case .impossible:
            .init(
                .error,
                "RFC 3279 §2.3.1, RFC 8813 §3, RFC 9881 §5",
                "A key usage has only what the key can do: keyEncipherment is for RSA, keyAgreement for elliptic curves.",
                "leave out what the key cannot do"
            )
        case .onlyBits:
            .init(
                .warning,
                "RFC 5280 §4.2.1.3",
                "encipherOnly and decipherOnly go with keyAgreement, and not with each other.",
                "leave them out, or add keyAgreement"
            )
        case .extendedEmpty:
            .init(
                .error,
                "RFC 5280 §4.2.1.12",
                "An extended key usage has at least one use.",
                "name the uses, such as clientAuth, or leave the extension out"
            )
        case .extendedAny:
            .init(
                .notice,
                "RFC 5280 §4.2.1.12",
                "anyExtendedKeyUsage allows every use, and some programs do not know it.",
                "name the uses, such as clientAuth"
            )
        case .extendedDuplicate:
            .init(
                .warning,
                "RFC 5280 §4.2.1.12",
                "No extended key usage stands twice.",
                "name each use once"
            )
        case .extendedInconsistent:
            .init(
                .error,
                "RFC 5280 §4.2.1.12",
                "Key usage and extended key usage have a use in common.",
                "add digitalSignature to the key usage"
            )
        case .client:
            .init(
                .error,
                "RFC 5280 §4.2.1.12",
                "An extended key usage of a client has clientAuth.",
                "issue one with extendedKeyUsage = clientAuth"
            )
        case .server:
            .init(
                .error,
                "RFC 5280 §4.2.1.12",
                "An extended key usage of a server has serverAuth.",
                "issue one with extendedKeyUsage = serverAuth"
            )
        case .subjectKey:
            .init(
                .error,
                "RFC 5280 §4.2.1.2",
                "A CA's certificate has a subjectKeyIdentifier.",
                "issue one with subjectKeyIdentifier = hash"
            )
        case .noAuthorityKey:
            .init(
                .error,
                "RFC 5280 §4.2.1.1",
                "A certificate that another issued has an authorityKeyIdentifier.",
                "issue one with authorityKeyIdentifier = keyid:always"
            )
        case .authorityKeyWithoutKey:
            .init(
                .error,
                "RFC 5280 §4.2.1.1, §5.2.1",
                "An authorityKeyIdentifier names the key.",
                "issue one with authorityKeyIdentifier = keyid:always",
                scopes: [.certificate, .revocationList]
            )
        case .authorityKeyIssuer:
            .init(
                .warning,
                "RFC 5280 §4.2.1.1",
                "An authorityKeyIdentifier names the key alone: a CA that is certified anew would break one that names more.",
                "issue one with authorityKeyIdentifier = keyid:always, without issuer",
                scopes: [.certificate, .revocationList]
            )
        }
    }
}
