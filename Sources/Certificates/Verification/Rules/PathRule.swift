// SPDX-License-Identifier: Apache-2.0

/// Rules on a whole path, as a verification applies them.
enum PathRule: String, RuleGroup {
    case incomplete = "path-incomplete"
    case untrustedRoot = "path-untrusted-root"
    case selfSigned = "path-self-signed"
    case expired = "validity-expired"
    case notYetValid = "validity-not-yet"
    case length = "path-length-exceeded"
    case permitted = "name-constraints-permitted"
    case excluded = "name-constraints-excluded"
    case constraintsUnsupported = "name-constraints-unsupported"
    case strict = "path-strict"
    case purposeKeyUsage = "purpose-key-usage"
    case purposeCA = "purpose-ca-usage"
    case hostname = "hostname-mismatch"
    case revoked
    case onHold = "revoked-hold"
    case notCovered = "revocation-unknown"
    case listExpired = "crl-expired"
    case listFuture = "crl-not-yet"
    case listIssuer = "crl-issuer-unknown"
    case listUnusable = "crl-unusable"

    static let scopes: [ValidationRule.Scope] = [.path]

    var entry: RuleEntry {
        switch self {
        case .incomplete:
            .init(
                .error,
                "RFC 5280 §6.1",
                "A path leads to a trusted certificate.",
                "name the missing certificate with --intermediates, or its root with --bundle"
            )
        case .untrustedRoot:
            .init(
                .error,
                "RFC 5280 §6.1",
                "The root at the end of a path is a trusted one.",
                "name the root with --bundle, if you trust it"
            )
        case .selfSigned:
            .init(
                .error,
                "RFC 5280 §6.1",
                "A self-signed certificate is trusted only when it is in the bundle.",
                "have the certificate issued by a CA of the bundle"
            )
        case .expired:
            .init(
                .error,
                "RFC 5280 §6.1.3",
                "Every certificate of a path is still valid.",
                "have it renewed; is this machine's clock right?"
            )
        case .notYetValid:
            .init(
                .error,
                "RFC 5280 §6.1.3",
                "Every certificate of a path is valid already.",
                "wait, or put this machine's clock right"
            )
        case .length:
            .init(
                .error,
                "RFC 5280 §4.2.1.9, §6.1.4",
                "Not more CAs stand below one than its path length allows.",
                "issue it from a CA nearer to the root, or have the CA certified with a greater path length"
            )
        case .permitted:
            .init(
                .error,
                "RFC 5280 §4.2.1.10",
                "Every name lies in a subtree that the CAs above permit.",
                "have it issued with other names, or by a CA that may certify these"
            )
        case .excluded:
            .init(
                .error,
                "RFC 5280 §4.2.1.10",
                "No name lies in a subtree that a CA above excludes.",
                "have it issued with other names, or by a CA that may certify these"
            )
        case .constraintsUnsupported:
            .init(
                .error,
                "RFC 5280 §4.2.1.10",
                "Name constraints are of kinds that can be applied.",
                "use dns, ip, uri, email and directory names without minimum and maximum"
            )
        case .strict:
            .init(
                .error,
                "RFC 5280 §6.1",
                "libcrypto's strict verification has nothing to say.",
                "have it issued again in the way of RFC 5280"
            )
        case .purposeKeyUsage:
            .init(
                .error,
                "RFC 5280 §4.2.1.3",
                "The key usage, where there is one, allows what the purpose needs.",
                "issue one with keyUsage = critical, digitalSignature"
            )
        case .purposeCA:
            .init(
                .error,
                "RFC 5280 §4.2.1.12",
                "The extended key usage of a CA, where there is one, has the purpose of what stands below it.",
                "have it issued by a CA that may issue for the purpose"
            )
        case .hostname:
            .init(
                .error,
                "RFC 9525 §6",
                "The host's name is among the alternative names.",
                "issue one with the name as an alternative name, or ask for a name that it has"
            )
        case .revoked:
            .init(
                .error,
                "RFC 5280 §6.3.3",
                "No certificate of the path is revoked.",
                "have a new one issued, with a new key"
            )
        case .onHold:
            .init(
                .error,
                "RFC 5280 §5.3.1",
                "No certificate of the path is on hold.",
                "have the CA release it, and give the list that it issues then"
            )
        case .notCovered:
            .init(
                .warning,
                "RFC 5280 §6.3",
                "A list speaks of every certificate below the trusted one.",
                "give the list of its issuer with --crl"
            )
        case .listExpired:
            .init(
                .error,
                "RFC 5280 §6.3.3",
                "A list is not older than it says.",
                "give the issuer's new list: what was revoked since stands only there"
            )
        case .listFuture:
            .init(
                .error,
                "RFC 5280 §6.3.3",
                "A list was made already.",
                "put this machine's clock right"
            )
        case .listIssuer:
            .init(
                .error,
                "RFC 5280 §6.3.3",
                "The issuer of a list stands in the path.",
                "leave the list out, or name the issuer's certificate with --intermediates or --bundle"
            )
        case .listUnusable:
            .init(
                .error,
                "RFC 5280 §5.2",
                "A list has no critical extension that narrows or changes what it says.",
                "give a complete list that speaks of every certificate of its issuer"
            )
        }
    }
}
